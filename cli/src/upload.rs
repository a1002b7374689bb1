//! Uploads of templates: however long they take, as long as they get on.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, Result};
use orgplane_proto::template::v1::upload_file_request::Message;
use orgplane_proto::template::v1::{UploadFileHeader, UploadFileRequest};
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::archive::size;
use crate::client::Client;

/// Well below the most that one message of an upload may carry.
const PIECE: usize = 128 * 1024;
/// So long a piece, or the answer to all of them, may take.
const STALL: Duration = Duration::from_secs(60);
/// After this, and so often from then on, a terminal shows how far it is.
const SHOW: Duration = Duration::from_secs(1);

/// Uploads a tar archive; the file's id.
pub(crate) async fn upload(client: &Client, archive: Vec<u8>) -> Result<String> {
    let (say, heard) = channel(1);
    let mut files = client.uploads();
    let call = files.upload_file(ReceiverStream::new(heard));
    let answer = tokio::select! {
        answer = call => answer,
        stalled = feed(&archive, say) => Err(stalled),
    };
    Ok(answer.context("can't upload the template")?.into_inner().id)
}

/// Hands on an archive piece by piece. Ends only when that, or the answer after it, takes too long.
async fn feed(archive: &[u8], say: Sender<UploadFileRequest>) -> Status {
    let mut meter = Meter::new(archive.len());
    let header = Message::Header(UploadFileHeader { content_type: "application/x-tar".to_owned() });
    let pieces = archive.chunks(PIECE).map(|piece| Message::Data(piece.to_vec()));
    for message in std::iter::once(header).chain(pieces) {
        let bytes = if let Message::Data(piece) = &message { piece.len() } else { 0 };
        match timeout(STALL, say.send(UploadFileRequest { message: Some(message) })).await {
            Ok(Ok(())) => meter.add(bytes),
            // The server wants no more: its answer says why.
            Ok(Err(_)) => break,
            Err(_) => return Status::deadline_exceeded("the upload stalled"),
        }
    }
    drop((say, meter));
    sleep(STALL).await;
    Status::deadline_exceeded("no answer to the upload")
}

/// How far an upload is, on a terminal.
struct Meter {
    of: usize,
    sent: usize,
    due: Instant,
    shown: bool,
}

impl Meter {
    fn new(of: usize) -> Self {
        Self { of, sent: 0, due: Instant::now() + SHOW, shown: false }
    }

    fn add(&mut self, bytes: usize) {
        self.sent += bytes;
        if Instant::now() >= self.due && std::io::stderr().is_terminal() {
            self.due = Instant::now() + SHOW;
            self.shown = true;
            write_over(&format!("Uploaded {} of {}", size(self.sent), size(self.of)));
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.shown {
            write_over("");
        }
    }
}

fn write_over(text: &str) {
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "\r\u{1b}[2K{text}").and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_upload_may_take_long_but_not_stand_still() {
        let archive = vec![7; 5 * PIECE + 1];
        let (say, mut heard) = channel(1);
        let begin = Instant::now();
        let slow = async {
            let mut bytes = 0;
            while let Some(UploadFileRequest { message }) = heard.recv().await {
                bytes += if let Some(Message::Data(piece)) = message { piece.len() } else { 0 };
                sleep(STALL * 9 / 10).await;
            }
            (bytes, begin.elapsed())
        };
        let (stalled, (bytes, took)) = tokio::join!(feed(&archive, say), slow);
        assert!(bytes == archive.len() && took > 5 * STALL, "{bytes} bytes in {took:?}");
        assert_eq!(stalled.message(), "no answer to the upload");

        let (say, _heard) = channel(1);
        let begin = Instant::now();
        assert_eq!(feed(&archive, say).await.message(), "the upload stalled");
        assert_eq!(begin.elapsed(), STALL);
    }
}
