//! Runs one engine command under its shim and follows what it prints.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::BytesMut;
use nix::sys::stat::Mode;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::{mpsc, watch};

use crate::config::ShimCommand;
use crate::files::{create_private, write_private};
use crate::foreign;
use crate::job::Stop;
use crate::shim::record::Record;
use crate::shim::{self, Exit, Step};

/// Bytes that the account of a command's end may have.
const MAX_EXIT: u64 = 1024 * 1024;

/// Why a command's end isn't known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecError {
    /// It didn't start.
    #[error("can't start the engine: {0}")]
    Start(io::Error),
    /// It ended, and what it said is lost.
    #[error("what the engine printed can't be read: {0}")]
    Unread(io::Error),
    /// It started, and its shim is gone without a word.
    #[error("the engine's supervisor died: {0}")]
    Lost(io::Error),
}

/// Runs the step in `dir`, sends on each record as it is printed, and interrupts the engine when told to stop. Returns
/// once the engine has ended, save that a shim which died can't say so.
pub(crate) async fn run(
    shim_command: &ShimCommand,
    dir: &Path,
    step: &Step,
    mut stops: watch::Receiver<Option<Stop>>,
    grace: Duration,
    records: mpsc::Sender<Record>,
) -> Result<Exit, ExecError> {
    prepare(dir, step).map_err(ExecError::Start)?;
    let mut control =
        File::options().read(true).write(true).open(dir.join(shim::CONTROL)).await.map_err(ExecError::Start)?;
    let mut child = Command::new(&shim_command.program)
        .args(&shim_command.args)
        .arg(dir)
        .env_clear()
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(ExecError::Start)?;
    let mut doorbell = child.stdout.take().ok_or_else(|| ExecError::Start(io::Error::other("no pipe")))?;

    let mut tail = Tail { file: None, buffer: BytesMut::new() };
    let mut rings = [0; 4096];
    let mut interrupted = false;
    // The first error of ours. The engine is never left running because of one: it is interrupted and waited for.
    let mut broken = None;
    loop {
        let stop = tokio::select! {
            rung = doorbell.read(&mut rings) => {
                if broken.is_none() {
                    broken = tail.forward(dir, &records).await.err();
                }
                if matches!(rung, Ok(0) | Err(_)) {
                    break;
                }
                if broken.is_none() || interrupted {
                    continue;
                }
                None
            }
            stop = first_stop(&mut stops), if !interrupted => Some(stop),
        };
        interrupted = true;
        let grace = stop.and_then(|stop| stop.grace).unwrap_or(grace);
        let line = format!("interrupt {}\n", grace.as_millis());
        let told = async {
            control.write_all(line.as_bytes()).await?;
            control.flush().await
        };
        if let Err(error) = told.await {
            broken.get_or_insert(error);
        }
    }
    child.wait().await.map_err(ExecError::Lost)?;
    if broken.is_none() {
        broken = tail.forward(dir, &records).await.err();
    }
    if let Some(error) = broken {
        return Err(ExecError::Unread(error));
    }
    let exit = foreign::read_async(dir.join(shim::EXIT), MAX_EXIT).await.map_err(ExecError::Lost)?;
    serde_json::from_slice(&exit).map_err(|e| ExecError::Lost(e.into()))
}

fn prepare(dir: &Path, step: &Step) -> io::Result<()> {
    create_private(dir)?;
    nix::unistd::mkfifo(&dir.join(shim::CONTROL), Mode::S_IRUSR | Mode::S_IWUSR)?;
    let json = serde_json::to_vec(step).map_err(io::Error::other)?;
    write_private(&dir.join(shim::STEP), &json)
}

/// Returns when the job is to stop; never, if nobody is left to say so.
async fn first_stop(stops: &mut watch::Receiver<Option<Stop>>) -> Stop {
    match stops.wait_for(Option::is_some).await.map(|stop| stop.clone()) {
        Ok(Some(stop)) => stop,
        _ => std::future::pending().await,
    }
}

struct Tail {
    file: Option<File>,
    buffer: BytesMut,
}

impl Tail {
    async fn forward(&mut self, dir: &Path, records: &mpsc::Sender<Record>) -> io::Result<()> {
        if self.file.is_none() {
            let path = dir.join(shim::RECORDS);
            let opened = tokio::task::spawn_blocking(move || foreign::open(&path)).await;
            match opened.map_err(io::Error::other)? {
                Ok(file) => self.file = Some(File::from_std(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        loop {
            self.buffer.reserve(64 * 1024);
            let read = file.read_buf(&mut self.buffer).await?;
            while let Some(record) = Record::decode(&mut self.buffer)? {
                // A reader that has gone has heard enough.
                let _ = records.send(record).await;
            }
            if read == 0 {
                return Ok(());
            }
        }
    }
}
