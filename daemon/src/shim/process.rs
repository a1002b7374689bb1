//! The engine's process: started in a group of its own, its pipes read to the end, interrupted and killed on demand.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use super::record::{self, Stream, Writer};
use super::remnants::MARK;
use super::{CONTROL, Exit, RECORDS, STDOUT, Step};
use crate::files::private_file;

/// How long a dead engine's children may keep its pipes open.
const LINGER: Duration = Duration::from_secs(2);
const ORPHAN_POLL: Duration = Duration::from_millis(5);
/// A longer one would go past what the clock can count.
const LONGEST_GRACE: Duration = Duration::from_secs(24 * 3600);

enum Event {
    Interrupt(Duration),
    Exited,
    Drained,
}

/// How much sooner than others this process and what it starts are killed when the machine has no memory left.
const SACRIFICED: &[u8] = b"500";

/// Limits the memory of each process that is started from here on, and of this one, which needs little. What counts is
/// private memory that can be written to, so that address space which a runtime only reserves is free.
pub(super) fn be_limited(memory: Option<u64>) {
    if let Some(memory) = memory {
        let hard = getrlimit(Resource::RLIMIT_DATA).map_or(memory, |(_, hard)| hard.min(memory));
        let _ = setrlimit(Resource::RLIMIT_DATA, hard, hard);
    }
    // Else it may be the daemon that goes.
    let _ = std::fs::write("/proc/self/oom_score_adj", SACRIFICED);
}

/// Runs the engine to its end.
pub(super) fn run(dir: &Path, step: &Step) -> io::Result<Exit> {
    let control = OpenOptions::new().read(true).write(true).open(dir.join(CONTROL))?;
    let writer = Arc::new(Mutex::new(Writer::new(private_file(&dir.join(RECORDS))?, step.limit)));
    let captured = if step.capture { Some(private_file(&dir.join(STDOUT))?) } else { None };
    // Else a daemon that doesn't listen would stop the engine after all.
    let _ = fcntl(io::stdout(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK));

    // What leaves the engine's group and session stays a descendant of ours.
    let _ = nix::sys::prctl::set_child_subreaper(true);
    let mut command = Command::new(&step.program);
    if let Some((user, group)) = step.user {
        // Without the groups of the shim's user.
        command.uid(user).gid(group);
    }
    let mut child = command
        .args(&step.args)
        .current_dir(&step.cwd)
        .env_clear()
        .envs(&step.env)
        .env(MARK, dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let (sender, events) = mpsc::sync_channel(16);

    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    if let Some(stderr) = stderr {
        let (writer, sender) = (Arc::clone(&writer), sender.clone());
        thread::spawn(move || drain(stderr, Stream::Stderr, &writer, &sender));
    }
    if let Some(stdout) = stdout {
        let (writer, sender, limit) = (Arc::clone(&writer), sender.clone(), step.limit);
        thread::spawn(move || match captured {
            Some(file) => capture(stdout, file, limit, &writer, &sender),
            None => drain(stdout, Stream::Stdout, &writer, &sender),
        });
    }
    let interrupts = sender.clone();
    thread::spawn(move || read_control(control, &interrupts));
    thread::spawn(move || {
        // It stays a zombie for now, so that its number, which is its group's, isn't taken by another.
        let _ = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
        let _ = sender.send(Event::Exited);
    });

    supervise(&events, pid);
    // What the engine left behind isn't to go on changing things. Its group's number is still taken by the zombie.
    let _ = killpg(pid, Signal::SIGKILL);
    let status = child.wait()?;
    kill_orphans();
    let truncated = writer.lock().unwrap_or_else(PoisonError::into_inner).truncated;
    Ok(Exit { code: status.code(), signal: status.signal(), error: None, truncated })
}

/// Returns when the engine has ended and its pipes are read, or nobody but strangers holds them.
fn supervise(events: &mpsc::Receiver<Event>, group: Pid) {
    let (mut exited, mut interrupted, mut killed) = (false, false, false);
    let mut open_pipes = 2;
    // None while the engine runs and nobody wants it to end.
    let mut deadline: Option<Instant> = None;
    while !exited || open_pipes > 0 {
        match next(events, deadline) {
            Ok(Event::Interrupt(grace)) => {
                if !interrupted && !exited {
                    let _ = killpg(group, Signal::SIGINT);
                }
                interrupted = true;
                let end = Instant::now() + grace;
                deadline = Some(deadline.map_or(end, |deadline| deadline.min(end)));
            }
            Ok(Event::Exited) => {
                exited = true;
                deadline = Some(Instant::now() + LINGER);
            }
            Ok(Event::Drained) => open_pipes -= 1,
            Err(RecvTimeoutError::Timeout) if killed && exited => break,
            Err(RecvTimeoutError::Timeout) => {
                let _ = killpg(group, Signal::SIGKILL);
                killed = true;
                deadline = Some(Instant::now() + LINGER);
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
}

fn next(events: &mpsc::Receiver<Event>, deadline: Option<Instant>) -> Result<Event, RecvTimeoutError> {
    match deadline {
        Some(deadline) => events.recv_timeout(deadline.saturating_duration_since(Instant::now())),
        None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
    }
}

/// Kills what was inherited from the engine, and what is inherited from that, until nothing is left.
fn kill_orphans() {
    let deadline = Instant::now() + LINGER;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) if Instant::now() < deadline => {
                for orphan in children() {
                    let _ = kill(orphan, Signal::SIGKILL);
                }
                thread::sleep(ORPHAN_POLL);
            }
            Ok(WaitStatus::StillAlive) => return,
            Ok(_) | Err(Errno::EINTR) => {}
            // None is left.
            Err(_) => return,
        }
    }
}

/// The processes whose parent is this one. They stay at least as zombies until they are waited for, so the numbers are
/// theirs.
fn children() -> impl Iterator<Item = Pid> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name, in parentheses, may hold anything; the state and the parent's number follow.
        let parent: i32 = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
        (parent == Pid::this().as_raw()).then(|| Pid::from_raw(number))
    })
}

fn drain(pipe: impl Read, stream: Stream, writer: &Mutex<Writer>, events: &SyncSender<Event>) {
    record::read_lines(pipe, stream, |records| {
        writer.lock().unwrap_or_else(PoisonError::into_inner).write(records);
        ring();
    });
    let _ = events.send(Event::Drained);
}

fn capture(mut pipe: impl Read, mut file: File, limit: u64, writer: &Mutex<Writer>, events: &SyncSender<Event>) {
    let kept = io::copy(&mut (&mut pipe).take(limit), &mut file).and_then(|_| file.flush());
    let dropped = io::copy(&mut pipe, &mut io::sink()).unwrap_or(0);
    if kept.is_err() || dropped > 0 {
        writer.lock().unwrap_or_else(PoisonError::into_inner).truncated = true;
    }
    let _ = events.send(Event::Drained);
}

fn read_control(control: File, events: &SyncSender<Event>) {
    for line in BufReader::new(control).lines().map_while(Result::ok) {
        let grace = line.strip_prefix("interrupt ").and_then(|ms| ms.trim().parse().ok());
        if let Some(ms) = grace
            && events.send(Event::Interrupt(Duration::from_millis(ms).min(LONGEST_GRACE))).is_err()
        {
            return;
        }
    }
}

fn ring() {
    // Full means that the daemon has something to read already; broken, that it is gone.
    let _ = nix::unistd::write(io::stdout(), b"\n");
}
