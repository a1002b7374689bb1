//! Runs one engine command under its shim and follows what it prints.

use std::fs::{TryLockError, remove_dir_all};
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::BytesMut;
use nix::sys::stat::Mode;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{mpsc, watch};

use crate::config::ShimCommand;
use crate::files::{make_empty, write_private};
use crate::foreign;
use crate::job::Stop;
use crate::shim::record::Record;
use crate::shim::{self, Exit, Step};

/// Bytes that the account of a command's end may have.
const MAX_EXIT: u64 = 1024 * 1024;
/// How often a step of an earlier daemon is looked at: its shim rings for nobody.
const LOOK_EVERY: Duration = Duration::from_millis(100);

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
/// once the engine has ended; where its shim died, it is killed. A step that an earlier daemon began isn't run
/// again: its records are sent on from the first, and its end is waited for. What is locked for the engine stays so until
/// its shim has ended, also when the daemon dies.
pub(crate) async fn run(
    shim_command: &ShimCommand,
    dir: &Path,
    step: &Step,
    locked: Option<std::fs::File>,
    mut stops: watch::Receiver<Option<Stop>>,
    grace: Duration,
    records: mpsc::Sender<Record>,
) -> Result<Exit, ExecError> {
    let mut shim = match Shim::adopt(dir).map_err(ExecError::Lost)? {
        Some(running) => running,
        None => Shim::start(shim_command, dir, step, locked).map_err(ExecError::Start)?,
    };
    let control = File::options().read(true).write(true).open(dir.join(shim::CONTROL)).await;
    let mut control = control.map_err(ExecError::Start)?;

    let mut tail = Tail { file: None, buffer: BytesMut::new() };
    let mut interrupted = false;
    // The first error of ours. The engine is never left running because of one: it is interrupted and waited for.
    let mut broken = None;
    loop {
        let stop = tokio::select! {
            alive = shim.rung() => {
                if broken.is_none() {
                    broken = tail.forward(dir, &records).await.err();
                }
                if !alive {
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
    shim.ended().await.map_err(ExecError::Lost)?;
    end_remnants(dir).await.map_err(ExecError::Lost)?;
    if broken.is_none() {
        broken = tail.forward(dir, &records).await.err();
    }
    if let Some(error) = broken {
        return Err(ExecError::Unread(error));
    }
    let exit = foreign::read_async(dir.join(shim::EXIT), MAX_EXIT).await.map_err(ExecError::Lost)?;
    serde_json::from_slice(&exit).map_err(|e| ExecError::Lost(e.into()))
}

/// Ends what an earlier daemon left running of these steps, for a job that can't be gone on with. Returns whether there was
/// something, once it has ended.
pub(crate) async fn end_all(steps: &Path, grace: Duration) -> io::Result<bool> {
    let mut found = false;
    let mut entries = tokio::fs::read_dir(steps).await?;
    while let Some(entry) = entries.next_entry().await? {
        let dir = entry.path();
        let Some(mut shim @ Shim::Adopted(Some(_))) = Shim::adopt(&dir)? else {
            end_remnants(&dir).await?;
            continue;
        };
        found = true;
        let mut control = File::options().read(true).write(true).open(dir.join(shim::CONTROL)).await?;
        control.write_all(format!("interrupt {}\n", grace.as_millis()).as_bytes()).await?;
        control.flush().await?;
        while shim.rung().await {}
        end_remnants(&dir).await?;
    }
    Ok(found)
}

/// Ends what a shim that is dead left running, if it died before its engine.
async fn end_remnants(dir: &Path) -> io::Result<()> {
    if shim::has_ended(dir) {
        return Ok(());
    }
    let dir = dir.to_owned();
    tokio::task::spawn_blocking(move || shim::kill_remnants(&dir)).await.map_err(io::Error::other)?
}

/// The shim, as far as it can be heard.
#[derive(Debug)]
enum Shim {
    /// A child of this daemon.
    Own(Box<Child>, ChildStdout),
    /// An earlier daemon's: it holds the lock as long as it lives. `None`: it has ended.
    Adopted(Option<std::fs::File>),
}

impl Shim {
    fn start(command: &ShimCommand, dir: &Path, step: &Step, locked: Option<std::fs::File>) -> io::Result<Self> {
        prepare(dir, step)?;
        let mut child = Command::new(&command.program)
            .args(&command.args)
            .arg(dir)
            .env_clear()
            .current_dir(dir)
            // It reads nothing; a lock lasts as long as anybody has the file open.
            .stdin(locked.map_or_else(Stdio::null, Stdio::from))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let doorbell = child.stdout.take().ok_or_else(|| io::Error::other("no pipe"))?;
        Ok(Self::Own(Box::new(child), doorbell))
    }

    /// The step's shim, if an earlier daemon started one that came to life.
    fn adopt(dir: &Path) -> io::Result<Option<Self>> {
        if !shim::has_begun(dir) {
            return Ok(None);
        }
        let life = shim::life(dir)?;
        match life.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(Some(Self::Adopted(Some(life)))),
            Err(TryLockError::Error(error)) => Err(error),
            Ok(()) if dir.join(shim::RECORDS).exists() => Ok(Some(Self::Adopted(None))),
            // It ran nothing yet, and never will: what it needs goes while we have its lock.
            Ok(()) => remove_dir_all(dir).map(|()| None),
        }
    }

    /// Returns when there may be something to read; whether the shim still lives.
    async fn rung(&mut self) -> bool {
        match self {
            Self::Own(_, doorbell) => !matches!(doorbell.read(&mut [0; 4096]).await, Ok(0) | Err(_)),
            Self::Adopted(life) => {
                let Some(file) = life else { return false };
                if file.try_lock().is_ok() {
                    *life = None;
                    return false;
                }
                tokio::time::sleep(LOOK_EVERY).await;
                true
            }
        }
    }

    async fn ended(&mut self) -> io::Result<()> {
        if let Self::Own(child, _) = self {
            child.wait().await?;
        }
        Ok(())
    }
}

fn prepare(dir: &Path, step: &Step) -> io::Result<()> {
    // A daemon that died on its way here left no step.
    make_empty(dir)?;
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
