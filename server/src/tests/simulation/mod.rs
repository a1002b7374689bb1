//! Servers, daemons and the network between them, in simulated time: what has to hold whatever breaks. The servers are the
//! real dispatcher and reaper over the queue in memory; the daemons are models of what a daemon has to do.
//!
//! `ORGPLANE_SIMULATION_SEEDS=FROM..TO` says which runs; one that fails names its seed.

mod daemon;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::dispatch::memory::{MemoryQueue, Waiting};
use crate::dispatch::queue::JobQueue as _;
use crate::domain::engine::Engine;
use crate::domain::id::{JobId, OrganizationId, UserId};
use crate::domain::job::{CancelOutcome, Hold, JobType, LeaseId, Outcome, Status, Terms};
use crate::domain::tags::Tags;
use crate::options::Provisioners;

const SERVERS: [&str; 2] = ["server-0", "server-1"];
const DAEMONS: [&str; 3] = ["daemon-0", "daemon-1", "daemon-2"];
const PORT: u16 = 1;
const TICK: Duration = Duration::from_millis(20);
/// So long things break.
const STORM: Duration = Duration::from_secs(20);
/// So long jobs may take to end when nothing breaks any more: leases lapse, and jobs are tried again.
const CALM: Duration = Duration::from_secs(90);
/// Jobs that come during the storm.
const JOBS: u128 = 12;

/// A job and its lease, on the wire.
type Held = (Uuid, String);

fn held(hold: &Hold) -> Held {
    (hold.job.0, hold.lease.0.clone())
}

fn hold((job, lease): Held) -> Hold {
    Hold { job: JobId(job), lease: LeaseId(lease) }
}

/// What daemons say, a JSON object a line.
#[derive(Debug, Serialize, Deserialize)]
enum Up {
    Register(Vec<Held>),
    Reject(Held),
    Logs { of: Held, first: i64, lines: Vec<String> },
    Permit(Held),
    Result { of: Held, outcome: How, last: i64 },
    Heartbeat(u32),
}

/// What servers say.
#[derive(Debug, Serialize, Deserialize)]
enum Down {
    Registered { resumed: Vec<(Held, i64)>, lost: Vec<Held> },
    Assign { of: Held, next: i64 },
    Ack { of: Held, number: i64 },
    Go(Held),
    NoGo(Held),
    HeartbeatAck,
    Stored(Held),
    Cancel(Held),
    Lost(Held),
}

/// An outcome, on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum How {
    Succeeded,
    Failed,
    Canceled,
}

impl From<How> for Outcome {
    fn from(how: How) -> Self {
        match how {
            How::Succeeded => Self::Succeeded,
            How::Failed => Self::Failed,
            How::Canceled => Self::Canceled,
        }
    }
}

/// Seeded random numbers (SplitMix64).
struct Dice(Mutex<u64>);

impl Dice {
    /// A number from 0 on, below this one.
    fn below(&self, limit: u64) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn one_of<'a>(&self, names: &[&'a str]) -> &'a str {
        names[usize::try_from(self.below(names.len() as u64)).unwrap_or_default()]
    }
}

/// What really happened.
#[derive(Default)]
struct Truth {
    /// The leases under which a job's resources were changed.
    applied: BTreeMap<JobId, BTreeSet<String>>,
    /// How engines ended, and how many lines they said, by lease.
    ended: BTreeMap<String, (How, usize)>,
    /// Jobs that were canceled before anybody had them, with the leases that they had had until then.
    canceled: BTreeMap<JobId, i32>,
}

/// What outlives every crash.
struct World {
    queue: Arc<MemoryQueue>,
    options: Provisioners,
    organization: OrganizationId,
    dice: Dice,
    disks: BTreeMap<&'static str, Mutex<daemon::Disk>>,
    truth: Mutex<Truth>,
}

impl World {
    fn new(seed: u64) -> Self {
        let options = Provisioners {
            lease: Duration::from_secs(3),
            apply_lost_after: Duration::from_secs(8),
            heartbeat: Duration::from_millis(500),
            contact_lost_after: Duration::from_secs(2),
            reap_interval: Duration::from_millis(200),
            poll_interval: Duration::from_millis(300),
            ..Provisioners::default()
        };
        let clock = || turmoil::sim_elapsed().unwrap_or_default();
        Self {
            queue: Arc::new(MemoryQueue::with_clock(Terms::from(&options), Box::new(clock))),
            options,
            organization: OrganizationId(Uuid::from_u128(1)),
            dice: Dice(Mutex::new(seed)),
            disks: DAEMONS.iter().map(|name| (*name, Mutex::default())).collect(),
            truth: Mutex::default(),
        }
    }

    fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_job(&self, number: u128) {
        let initiator = UserId(Uuid::from_u128(number % 3));
        let (engine, tags) = (Engine::Echo, Tags::of_key(&BTreeMap::new()));
        let id = JobId(Uuid::from_u128(number));
        let job_type = if daemon::changes(id) { JobType::Build } else { JobType::Import };
        let what = Waiting { organization: self.organization, initiator, job_type, engine, tags, automatic: false };
        self.queue.add_as(id, what);
    }

    fn cancel(&self, id: JobId) {
        // The queue in memory waits for nothing.
        let canceled = self.queue.request_cancel(id, None).now_or_never();
        if let Some(Ok(CancelOutcome::Ended)) = canceled {
            let attempt = self.queue.state(id).map(|state| state.attempt).unwrap_or_default();
            self.truth().canceled.insert(id, attempt);
        }
    }

    fn is_over(&self) -> bool {
        let ended = |n| self.queue.state(JobId(Uuid::from_u128(n))).is_some_and(|state| state.status.is_ended());
        (1..=JOBS).all(ended)
    }

    /// What must hold of a job that has ended.
    fn check(&self, id: JobId) {
        let (truth, state) = (self.truth(), self.queue.state(id).unwrap());
        assert!(state.status.is_ended(), "{id} hasn't ended: {state:?}");
        assert!(state.losses <= self.queue_attempts(), "{id}: {state:?}");
        let applied = truth.applied.get(&id).map_or(0, BTreeSet::len);
        assert!(applied <= 1, "{id} was applied {applied} times");
        if let Some(attempt) = truth.canceled.get(&id) {
            assert_eq!(
                (state.status, state.attempt),
                (Status::Canceled, *attempt),
                "{id} was canceled while it waited"
            );
        }
        // Lines of each lease are there in order, none twice.
        let mut said: BTreeMap<String, usize> = BTreeMap::new();
        for line in self.queue.lines(id).into_iter().flatten() {
            let (lease, number) = line.split_once(' ').unwrap();
            let before = said.entry(lease.to_owned()).or_default();
            *before += 1;
            assert_eq!(number.parse(), Ok(*before), "{id}: a line is missing or there twice");
        }
        let Some(lease) = &state.lease else {
            assert_ne!(state.status, Status::Succeeded, "{id} succeeded without a result");
            return;
        };
        let (how, lines) = truth.ended.get(&lease.id.0).expect("who ended it has ended");
        let status = match how {
            How::Succeeded => Status::Succeeded,
            How::Failed => Status::Failed,
            How::Canceled => Status::Canceled,
        };
        assert_eq!(state.status, status, "{id} isn't what its daemon said");
        assert_eq!(said.get(&lease.id.0).copied().unwrap_or_default(), *lines, "{id} has ended without all its lines");
        if status == Status::Succeeded && daemon::changes(id) {
            assert_eq!(applied, 1, "{id} succeeded and nothing was applied");
        }
    }

    fn queue_attempts(&self) -> i32 {
        i32::try_from(self.options.max_attempts).unwrap_or(i32::MAX)
    }
}

/// One run.
fn simulate(seed: u64) {
    let world = Arc::new(World::new(seed));
    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .enable_random_order()
        .tick_duration(TICK)
        .max_message_latency(Duration::from_millis(60))
        .tcp_capacity(4096)
        .simulation_duration(STORM + CALM + CALM)
        .build();
    for name in SERVERS {
        let world = world.clone();
        sim.host(name, move || server::serve(world.clone()));
    }
    for name in DAEMONS {
        let world = world.clone();
        sim.host(name, move || daemon::run(world.clone(), name));
    }
    let dice = &world.dice;
    let (mut down, mut jobs) = (BTreeSet::new(), 0);
    while sim.elapsed() < STORM {
        sim.step().unwrap();
        let (server, daemon) = (dice.one_of(&SERVERS), dice.one_of(&DAEMONS));
        match dice.below(400) {
            0..10 if jobs < JOBS => {
                jobs += 1;
                world.add_job(jobs);
            }
            10..14 if jobs > 0 => {
                world.cancel(JobId(Uuid::from_u128(u128::from(dice.below(JOBS as u64)) % jobs + 1)));
            }
            14..20 => sim.partition(server, daemon),
            20..22 => sim.partition_oneway(server, daemon),
            22..24 => sim.partition_oneway(daemon, server),
            24..38 => sim.repair(server, daemon),
            38..40 => sim.hold(server, daemon),
            40..46 => sim.release(server, daemon),
            46..48 if down.insert(server) => sim.crash(server),
            48..50 if down.insert(daemon) => sim.crash(daemon),
            50..58 => {
                for name in [server, daemon] {
                    if down.remove(name) {
                        sim.bounce(name);
                    }
                }
            }
            _ => {}
        }
    }
    for server in SERVERS {
        for daemon in DAEMONS {
            sim.release(server, daemon);
            sim.repair(server, daemon);
        }
    }
    for name in down {
        sim.bounce(name);
    }
    for number in jobs + 1..=JOBS {
        world.add_job(number);
    }
    while !world.is_over() && sim.elapsed() < STORM + CALM {
        sim.step().unwrap();
    }
    for number in 1..=JOBS {
        world.check(JobId(Uuid::from_u128(number)));
    }
}

#[test]
fn whatever_breaks_no_job_is_lost_or_done_twice() {
    let asked = std::env::var("ORGPLANE_SIMULATION_SEEDS").unwrap_or_else(|_| "0..200".to_owned());
    let (from, to) = asked.split_once("..").expect("FROM..TO");
    let seeds = from.parse().unwrap()..to.parse::<u64>().unwrap();
    for seed in seeds {
        let run = std::panic::catch_unwind(|| simulate(seed));
        assert!(run.is_ok(), "seed {seed}: see above; ORGPLANE_SIMULATION_SEEDS={seed}..{} runs it alone", seed + 1);
    }
}
