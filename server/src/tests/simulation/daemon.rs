//! A daemon: what it has to do about its jobs, with a disk that outlives it and an engine that only counts.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use turmoil::net::TcpStream;
use turmoil::net::tcp::OwnedWriteHalf;

use super::{Down, Held, How, PORT, SERVERS, Up, World};
use crate::domain::id::JobId;

/// Jobs at a time.
const CAPACITY: usize = 2;
const STEP: Duration = Duration::from_millis(100);
/// Lines in one message.
const BATCH: usize = 4;

/// What the daemon has written down; nothing of it is lost with the process.
#[derive(Default)]
pub(super) struct Disk(BTreeMap<Held, Work>);

/// A job in its hands.
struct Work {
    /// The number of the first line under this lease.
    first: i64,
    lines: Vec<String>,
    /// Lines that needn't be sent again.
    acked: usize,
    at: At,
    canceled: bool,
}

/// How far its engine is.
enum At {
    /// Nothing is changed yet; so many steps are left.
    Plan(u64),
    /// It waits for the permit.
    Asking,
    /// It changes things.
    Apply(u64),
    Ended(How),
}

/// Whether a job changes anything.
pub(super) fn changes(job: JobId) -> bool {
    !job.0.as_u128().is_multiple_of(4)
}

/// The software of a daemon.
pub(super) async fn run(world: Arc<World>, name: &'static str) -> turmoil::Result {
    loop {
        let server = world.dice.one_of(&SERVERS);
        if let Ok(Ok(stream)) = timeout(Duration::from_secs(1), TcpStream::connect((server, PORT))).await {
            // A session that breaks is begun again.
            let _ = Session::run(&world, name, stream).await;
        }
        step_all(&world, name);
        sleep(Duration::from_millis(100 + world.dice.below(400))).await;
    }
}

fn disk<'a>(world: &'a World, name: &str) -> MutexGuard<'a, Disk> {
    world.disks[name].lock().unwrap_or_else(PoisonError::into_inner)
}

/// Engines go on whether or not anybody listens.
fn step_all(world: &World, name: &str) {
    for (of, work) in &mut disk(world, name).0 {
        work.step(world, of);
    }
}

impl Work {
    fn step(&mut self, world: &World, of: &Held) {
        if world.dice.below(2) == 0 && !matches!(self.at, At::Ended(_) | At::Asking) {
            self.lines.push(format!("{} {}", of.1, self.lines.len() + 1));
        }
        self.at = match self.at {
            At::Plan(_) | At::Asking if self.canceled => At::Ended(How::Canceled),
            At::Plan(0) if changes(JobId(of.0)) => At::Asking,
            At::Plan(0) => At::Ended(How::Succeeded),
            At::Plan(left) => At::Plan(left - 1),
            At::Asking => At::Asking,
            At::Apply(0) if world.dice.below(5) == 0 => At::Ended(How::Failed),
            At::Apply(0) => At::Ended(How::Succeeded),
            // Interrupted, it may have been through anyway.
            At::Apply(_) if self.canceled && world.dice.below(3) == 0 => At::Ended(How::Canceled),
            At::Apply(left) => At::Apply(left - 1),
            At::Ended(how) => At::Ended(how),
        };
        if let At::Ended(how) = self.at {
            world.truth().ended.insert(of.1.clone(), (how, self.lines.len()));
        }
    }

    /// The last line's number.
    fn last(&self) -> i64 {
        self.first - 1 + i64::try_from(self.lines.len()).unwrap_or(i64::MAX)
    }
}

/// A connection to a server.
struct Session<'a> {
    world: &'a World,
    name: &'static str,
    write: OwnedWriteHalf,
    /// When leases were last prolonged.
    renewed: Instant,
}

impl<'a> Session<'a> {
    async fn run(world: &'a World, name: &'static str, stream: TcpStream) -> std::io::Result<()> {
        let (read, write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        let mut session = Self { world, name, write, renewed: Instant::now() };
        let brought = disk(world, name).0.keys().cloned().collect();
        session.say(&Up::Register(brought)).await?;
        let mut steps = interval(STEP);
        steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut heard, mut registered) = (Instant::now(), false);
        loop {
            tokio::select! {
                line = lines.next_line() => {
                    let Some(line) = line? else { return Ok(()) };
                    heard = Instant::now();
                    let down = serde_json::from_str(&line).unwrap();
                    registered |= matches!(down, Down::Registered { .. });
                    session.take(down).await?;
                }
                _ = steps.tick() => {
                    step_all(world, name);
                    session.give_up_lapsed();
                    if registered {
                        session.report().await?;
                    }
                    if heard.elapsed() > world.options.contact_lost_after {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn say(&mut self, up: &Up) -> std::io::Result<()> {
        self.write.write_all(format!("{}\n", serde_json::to_string(up)?).as_bytes()).await
    }

    async fn take(&mut self, down: Down) -> std::io::Result<()> {
        let world = self.world;
        match down {
            Down::Registered { resumed, lost } => {
                self.renewed = Instant::now();
                let mut disk = disk(world, self.name);
                disk.0.retain(|of, _| !lost.contains(of));
                for (of, next) in resumed {
                    if let Some(work) = disk.0.get_mut(&of) {
                        work.acked = usize::try_from(next - work.first).unwrap_or_default().min(work.lines.len());
                    }
                }
            }
            Down::Assign { of, next } => {
                let full = disk(world, self.name).0.len() >= CAPACITY;
                if full || world.dice.below(8) == 0 {
                    return self.say(&Up::Reject(of)).await;
                }
                let at = At::Plan(world.dice.below(15));
                let work = Work { first: next, lines: Vec::new(), acked: 0, at, canceled: false };
                disk(world, self.name).0.entry(of).or_insert(work);
            }
            Down::Ack { of, number } => self.with(&of, |work| {
                work.acked = work.acked.max(usize::try_from(number - work.first + 1).unwrap_or_default());
            }),
            Down::Go(of) => {
                let steps = world.dice.below(25);
                self.with(&of, |work| {
                    if matches!(work.at, At::Asking) {
                        world.truth().applied.entry(JobId(of.0)).or_default().insert(of.1.clone());
                        work.at = At::Apply(steps);
                    }
                });
            }
            Down::NoGo(of) | Down::Cancel(of) => self.with(&of, |work| work.canceled = true),
            Down::HeartbeatAck => self.renewed = Instant::now(),
            Down::Stored(of) | Down::Lost(of) => {
                disk(world, self.name).0.remove(&of);
            }
        }
        Ok(())
    }

    fn with(&self, of: &Held, act: impl FnOnce(&mut Work)) {
        if let Some(work) = disk(self.world, self.name).0.get_mut(of) {
            act(work);
        }
    }

    /// Who couldn't renew a lease stops before somebody else has the job.
    fn give_up_lapsed(&self) {
        if self.renewed.elapsed() > self.world.options.lease {
            disk(self.world, self.name).0.retain(|_, work| !matches!(work.at, At::Plan(_) | At::Asking));
        }
    }

    /// Says what isn't known to be stored; again, until it is.
    async fn report(&mut self) -> std::io::Result<()> {
        let mut said = Vec::new();
        {
            let disk = disk(self.world, self.name);
            for (of, work) in &disk.0 {
                let of = of.clone();
                if work.acked < work.lines.len() {
                    let lines = work.lines[work.acked..].iter().take(BATCH).cloned().collect();
                    let first = work.first + i64::try_from(work.acked).unwrap_or(i64::MAX);
                    said.push(Up::Logs { of, first, lines });
                } else if let At::Ended(outcome) = work.at {
                    said.push(Up::Result { of, outcome, last: work.last() });
                } else if matches!(work.at, At::Asking) {
                    said.push(Up::Permit(of));
                }
            }
            let free = CAPACITY.saturating_sub(disk.0.len());
            said.push(Up::Heartbeat(u32::try_from(free).unwrap_or_default()));
        }
        for up in &said {
            self.say(up).await?;
        }
        Ok(())
    }
}
