//! Logs of jobs: a narrow head row that every batch moves, and one compressed row for each batch.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use sea_orm::Value;

use super::error::from_db;
use super::{Access, Tx, now, placeholders};
use crate::domain::error::ProtocolFault;
use crate::domain::id::JobId;
use crate::domain::job::{Hold, LogBatch, LogLevel, LogLine, LogSource, LogStanding, Status};
use crate::domain::{Error, Result};

/// What a job may print beyond its limit: daemons cut at the limit themselves, and then say so.
const SLACK: i64 = 64 * 1024;
/// Bytes of lines after which a read ends. Readers who take nothing hold two of these each.
const ENOUGH: usize = 64 * 1024;
/// The stage of lines of the server's own.
const OWN_STAGE: &str = "Orgplane";
/// What a line takes besides its texts.
const LINE: usize = 64;

/// The number that the next line has; the head row is held until the transaction ends.
pub(super) async fn next_number(tx: &Tx, job: JobId) -> Result<i64> {
    let sql = format!("SELECT next_number FROM job_log_head WHERE job_id = $1 {}", tx.dialect().for_update());
    let row = tx.query_one(&sql, [job.into()]).await?.ok_or_else(|| Error::internal("a job without a log"))?;
    row.try_get_by_index(0).map_err(from_db)
}

/// Stores lines that the holder of a lease sent, or of one that was lost after its permit; the number of the last one that
/// is stored then, as the sender counts. Lines that are stored
/// already are left out; lines beyond the limit are counted, but not kept.
///
/// # Errors
/// [`Error::LeaseLost`], [`ProtocolFault::LogGap`] when lines are missing before the first, or [`Error::Unavailable`]
/// when the database can't be reached.
pub async fn append(tx: &Tx, hold: &Hold, batch: LogBatch, limit: i64) -> Result<i64> {
    let sql =
        format!("SELECT next_number, bytes, shift FROM job_log_head WHERE job_id = $1 {}", tx.dialect().for_update());
    let row = tx.query_one(&sql, [hold.job.into()]).await?.ok_or(Error::LeaseLost(hold.job))?;
    let number = |index: usize| row.try_get_by_index::<i64>(index).map_err(from_db);
    let (next, bytes, shift) = (number(0)?, number(1)?, number(2)?);
    let overflowed = batch.overflowed;
    let batch = batch.from(next - shift).map_err(|gap| {
        Error::Protocol(ProtocolFault::LogGap { job: hold.job, expected: gap.expected, got: gap.got })
    })?;
    let kept = bytes.saturating_add(batch.bytes()) <= limit.saturating_add(SLACK);
    let sql = "UPDATE job_log_head SET next_number = $2, bytes = bytes + $3, overflowed = overflowed OR $4
         WHERE job_id = $1 AND EXISTS (SELECT 1 FROM provisioner_job
             WHERE id = $1 AND (lease_id = $5 AND status IN ('running', 'canceling') OR lost_lease_id = $5))";
    let end = next + i64::try_from(batch.lines.len()).map_err(Error::internal)?;
    let values: [Value; 5] = [
        hold.job.into(),
        end.into(),
        if kept { batch.bytes() } else { 0 }.into(),
        (overflowed || !kept).into(),
        hold.lease.clone().into(),
    ];
    if tx.execute(sql, values).await? == 0 {
        return Err(Error::LeaseLost(hold.job));
    }
    if kept && !batch.lines.is_empty() {
        insert_chunk(tx, hold.job, next, &batch.lines).await?;
    }
    Ok(end - shift - 1)
}

/// Whether the job's last line is one of its daemon's: it said something under its lease, for the server notes when one
/// ends.
pub(super) async fn said_something(tx: &Tx, job: JobId) -> Result<bool> {
    let sql = "SELECT data FROM job_log_chunk WHERE job_id = $1 ORDER BY first_number DESC LIMIT 1";
    let Some(row) = tx.query_one(sql, [job.into()]).await? else { return Ok(false) };
    let data: Vec<u8> = row.try_get_by_index(0).map_err(from_db)?;
    Ok(unpack(&data)?.last().is_some_and(|line| line.source != LogSource::Daemon || line.stage != OWN_STAGE))
}

/// Stores a line of the server's own. Only while no lease lives: it takes the next number, which is else the daemon's.
pub(super) async fn append_own(tx: &Tx, job: JobId, level: LogLevel, output: &str) -> Result<()> {
    let next = next_number(tx, job).await?;
    let line = LogLine {
        time: now(tx).await?,
        source: LogSource::Daemon,
        level,
        stage: OWN_STAGE.to_owned(),
        output: output.to_owned(),
    };
    tx.execute("UPDATE job_log_head SET next_number = $2 WHERE job_id = $1", [job.into(), (next + 1).into()]).await?;
    insert_chunk(tx, job, next, &[line]).await
}

/// The same in the log of a lost job, of which its daemon may still send lines: it counts on as if this one weren't there.
pub(super) async fn append_lost(tx: &Tx, job: JobId, level: LogLevel, output: &str) -> Result<()> {
    append_own(tx, job, level, output).await?;
    tx.execute("UPDATE job_log_head SET shift = shift + 1 WHERE job_id = $1", [job.into()]).await.map(|_| ())
}

async fn insert_chunk(tx: &Tx, job: JobId, first: i64, lines: &[LogLine]) -> Result<()> {
    let sql = "INSERT INTO job_log_chunk (job_id, first_number, line_count, data) VALUES ($1, $2, $3, $4)";
    let count = i32::try_from(lines.len()).map_err(Error::internal)?;
    tx.execute(sql, [job.into(), first.into(), count.into(), pack(lines)?.into()]).await.map(|_| ())
}

/// Some of the lines after a number, in order, with their numbers: about as many bytes as make a message. Empty at the
/// log's end.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached, [`Error::Internal`] when a row is damaged.
pub async fn after(db: &impl Access, job: JobId, number: i64) -> Result<Vec<(i64, LogLine)>> {
    // From the chunk that the next line is in, or would be: the index finds that, but not where chunks end.
    let sql = "SELECT first_number, data FROM job_log_chunk
         WHERE job_id = $1 AND first_number + line_count > $2 AND first_number >= COALESCE(
             (SELECT MAX(first_number) FROM job_log_chunk WHERE job_id = $1 AND first_number <= $2), 0)
         ORDER BY first_number LIMIT 8";
    let mut lines = Vec::new();
    for row in db.query_all(sql, [job.into(), number.saturating_add(1).into()]).await? {
        let first: i64 = row.try_get_by_index(0).map_err(from_db)?;
        let data: Vec<u8> = row.try_get_by_index(1).map_err(from_db)?;
        lines.extend((first..).zip(unpack(&data)?).filter(|(own, _)| *own > number));
        if lines.iter().map(|(_, line)| LINE + line.output.len() + line.stage.len()).sum::<usize>() >= ENOUGH {
            break;
        }
    }
    Ok(lines)
}

/// Where the logs of these jobs stand, of those that exist, in no order.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn standings(db: &impl Access, jobs: Vec<JobId>) -> Result<Vec<(JobId, LogStanding)>> {
    let mut found = Vec::new();
    for some in jobs.chunks(super::IDS) {
        let sql = format!(
            "SELECT job.id, head.next_number, job.status FROM provisioner_job job
             JOIN job_log_head head ON head.job_id = job.id WHERE job.id IN ({})",
            placeholders(1, some.len())
        );
        let ids: Vec<Value> = some.iter().map(|id| (*id).into()).collect();
        for row in db.query_all(&sql, ids).await? {
            let status: Status = row.try_get_by_index(2).map_err(from_db)?;
            let next: i64 = row.try_get_by_index(1).map_err(from_db)?;
            let standing = LogStanding { last_number: next - 1, ended: status.is_ended() };
            found.push((row.try_get_by_index(0).map_err(from_db)?, standing));
        }
    }
    Ok(found)
}

fn pack(lines: &[LogLine]) -> Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&serde_json::to_vec(lines).map_err(Error::internal)?).map_err(Error::internal)?;
    encoder.finish().map_err(Error::internal)
}

fn unpack(data: &[u8]) -> Result<Vec<LogLine>> {
    let mut json = Vec::new();
    ZlibDecoder::new(data).read_to_end(&mut json).map_err(Error::internal)?;
    serde_json::from_slice(&json).map_err(Error::internal)
}
