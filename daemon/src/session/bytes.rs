//! Downloads and uploads beside the stream: tried again until they are done or refused.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use orgplane_proto::provisioner::v1::{
    DownloadRequest, Reference, UploadHeader, UploadKind, UploadRequest, upload_request,
};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::connect::{Client, is_ours};
use crate::files::private_file;
use crate::job::Job;

const CHUNK: usize = 256 * 1024;
/// Longer than any archive or state may be.
const MAX_DOWNLOAD: u64 = 512 * 1024 * 1024;
const RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(10);
/// A server that is reached but fails is tried for so long.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// A transfer that takes longer is begun anew.
const TRANSFER_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Why a transfer was given up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BytesError {
    /// The server won't.
    #[error("{0}")]
    Refused(String),
    /// The bytes are not those that were named.
    #[error("the bytes that came are not those that were asked for")]
    Corrupt,
    /// This machine can't.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// The way to the server, whichever stream is the current one.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    way: watch::Receiver<Way>,
}

/// Whether there is a stream.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// Not now.
    Broken,
    /// With this client.
    Open(Box<Client>),
    /// And there won't be one again.
    Closed,
}

enum Attempt {
    Again(Status),
    Failed(BytesError),
}

impl From<Status> for Attempt {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unauthenticated
                if is_ours(&status) =>
            {
                Self::Failed(BytesError::Refused(status.message().to_owned()))
            }
            _ => Self::Again(status),
        }
    }
}

impl From<std::io::Error> for Attempt {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.into())
    }
}

/// How often a transfer is tried: without end while the server can't be reached, for that is the lease's to end; for a
/// while when it answers that it can't, or what stands in front of it refuses.
struct Tries {
    wait: Duration,
    failing_since: Option<Instant>,
}

impl Tries {
    const fn new() -> Self {
        Self { wait: RETRY, failing_since: None }
    }

    /// Waits for the next try, or gives up.
    async fn failed(&mut self, status: &Status) -> Result<(), BytesError> {
        // What a broken connection ends with.
        let unreached = matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::Unknown);
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        if unreached {
            *self = Self::new();
        } else if since.elapsed() > PATIENCE {
            return Err(BytesError::Refused(status.message().to_owned()));
        }
        tracing::info!(cause = status.message(), "a transfer is tried again");
        tokio::time::sleep(self.wait).await;
        self.wait = (self.wait * 2).min(LONGEST_RETRY);
        Ok(())
    }
}

impl Link {
    pub(crate) const fn new(way: watch::Receiver<Way>) -> Self {
        Self { way }
    }

    /// A connected client, as soon as there is one.
    async fn client(&self) -> Result<Client, BytesError> {
        let mut way = self.way.clone();
        match way.wait_for(|way| !matches!(way, Way::Broken)).await.map(|way| way.clone()) {
            Ok(Way::Open(client)) => Ok(*client),
            _ => Err(BytesError::Refused("the daemon is ending".to_owned())),
        }
    }

    /// Fetches bytes that the job's assignment names into a file.
    pub(crate) async fn download(&self, job: &Job, reference: &Reference, path: &Path) -> Result<(), BytesError> {
        if reference.size > MAX_DOWNLOAD {
            return Err(BytesError::Refused(format!("{} bytes are more than a job may have", reference.size)));
        }
        let mut tries = Tries::new();
        loop {
            let client = self.client().await?;
            let attempt = download_once(client, job, reference, path);
            match tokio::time::timeout(TRANSFER_LIMIT, attempt).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(Attempt::Failed(error))) => return Err(error),
                Ok(Err(Attempt::Again(status))) => tries.failed(&status).await?,
                Err(_) => tries.failed(&Status::deadline_exceeded("a download took too long")).await?,
            }
        }
    }

    /// Hands bytes in; returns when the server has them.
    pub(crate) async fn upload(&self, job: &Job, kind: UploadKind, bytes: Bytes) -> Result<Reference, BytesError> {
        let reference = Reference { sha256: hex(&Sha256::digest(&bytes)), size: bytes.len() as u64 };
        let mut tries = Tries::new();
        loop {
            if job.is_abandoned() {
                return Err(BytesError::Refused("the job's lease is lost".to_owned()));
            }
            let client = self.client().await?;
            let attempt = upload_once(client, job, kind, &reference, bytes.clone());
            match tokio::time::timeout(TRANSFER_LIMIT, attempt).await {
                Ok(Ok(())) => return Ok(reference),
                Ok(Err(Attempt::Failed(error))) => return Err(error),
                Ok(Err(Attempt::Again(status))) => tries.failed(&status).await?,
                Err(_) => tries.failed(&Status::deadline_exceeded("an upload took too long")).await?,
            }
        }
    }
}

async fn download_once(mut client: Client, job: &Job, reference: &Reference, path: &Path) -> Result<(), Attempt> {
    let request = DownloadRequest {
        job_id: job.assign.job_id.clone(),
        lease_id: job.assign.lease_id.clone(),
        reference: Some(reference.clone()),
    };
    let mut chunks = client.download(request).await?.into_inner();
    let mut file: File = private_file(path)?;
    file.set_len(0)?;
    let mut hash = Sha256::new();
    let mut size = 0;
    while let Some(chunk) = chunks.message().await? {
        size += chunk.data.len() as u64;
        if size > reference.size {
            return Err(Attempt::Failed(BytesError::Corrupt));
        }
        hash.update(&chunk.data);
        // At most 256 KiB into the page cache: quicker than handing it to another thread.
        file.write_all(&chunk.data)?;
    }
    if size != reference.size || hex(&hash.finalize()) != reference.sha256.to_ascii_lowercase() {
        return Err(Attempt::Failed(BytesError::Corrupt));
    }
    Ok(())
}

async fn upload_once(
    mut client: Client,
    job: &Job,
    kind: UploadKind,
    reference: &Reference,
    bytes: Bytes,
) -> Result<(), Attempt> {
    let header = UploadHeader {
        job_id: job.assign.job_id.clone(),
        lease_id: job.assign.lease_id.clone(),
        kind: kind.into(),
        reference: Some(reference.clone()),
    };
    let header = UploadRequest { message: Some(upload_request::Message::Header(header)) };
    let chunks = stream::unfold(bytes, |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        let chunk = rest.split_to(rest.len().min(CHUNK));
        Some((UploadRequest { message: Some(upload_request::Message::Data(chunk.to_vec())) }, rest))
    });
    client.upload(stream::StreamExt::chain(stream::iter([header]), chunks)).await?;
    Ok(())
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
