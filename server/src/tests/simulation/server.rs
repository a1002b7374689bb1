//! A server: sessions on simulated connections, the real dispatcher and reaper.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use turmoil::net::tcp::OwnedWriteHalf;
use turmoil::net::{TcpListener, TcpStream};
use uuid::Uuid;

use super::{DAEMONS, Down, Held, PORT, Up, World, held, hold};
use crate::background::lease_reaper::Patience;
use crate::dispatch::assignment::{Assemble, Assignment};
use crate::dispatch::queue::JobQueue as _;
use crate::dispatch::session::{Command, Identity, Outbox};
use crate::dispatch::testing::assignment;
use crate::dispatch::{Dispatcher, SessionId};
use crate::domain::engine::Engine;
use crate::domain::id::{DaemonId, ProvisionerKeyId, ProvisionerKeySecretId};
use crate::domain::job::{
    Claimed, Finished, Grip, Hold, LogBatch, LogLevel, LogLine, LogSource, Permit, Rejection, Report,
};
use crate::domain::{Error, Result, Timestamp};

/// Assembles everything; of a job nothing but its next line's number matters here.
struct Everything(Arc<World>);

#[async_trait]
impl Assemble for Everything {
    async fn assemble(&self, claimed: &[Claimed]) -> Result<Vec<std::result::Result<Assignment, String>>> {
        let one = |claimed: &Claimed| {
            let stored = self.0.queue.lines(claimed.hold.job).len();
            Ok(assignment(claimed, i64::try_from(stored).unwrap_or(i64::MAX) + 1))
        };
        Ok(claimed.iter().map(one).collect())
    }
}

/// The software of a server.
pub(super) async fn serve(world: Arc<World>) -> turmoil::Result {
    let dispatcher = Arc::new(Dispatcher::new(world.queue.clone(), &world.options));
    let (giving, all) = (dispatcher.clone(), Everything(world.clone()));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { giving.run(&all, CancellationToken::new()).await });
    tasks.spawn(renew(world.clone(), dispatcher.clone()));
    tasks.spawn(reap(world.clone(), dispatcher.clone()));
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                tasks.spawn(session(world.clone(), dispatcher.clone(), accepted?.0));
            }
            // What panics in a task fails the run.
            Some(ended) = tasks.join_next() => ended?,
        }
    }
}

async fn renew(world: Arc<World>, dispatcher: Arc<Dispatcher>) {
    loop {
        sleep(world.options.heartbeat).await;
        dispatcher.renew().await.unwrap();
    }
}

async fn reap(world: Arc<World>, dispatcher: Arc<Dispatcher>) {
    let mut patience = Patience::new(&world.options, Instant::now());
    loop {
        sleep(world.options.reap_interval).await;
        let stored = i64::try_from(turmoil::sim_elapsed().unwrap_or_default().as_micros()).unwrap_or(i64::MAX);
        if patience.is_over(Instant::now(), Timestamp(stored)) && !world.queue.reap().await.unwrap().is_empty() {
            dispatcher.wake();
        }
    }
}

async fn session(world: Arc<World>, dispatcher: Arc<Dispatcher>, stream: TcpStream) {
    let daemon = turmoil::reverse_lookup(stream.peer_addr().unwrap().ip()).unwrap();
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let Ok(Some(first)) = lines.next_line().await else { return };
    let Ok(Up::Register(brought)) = serde_json::from_str(&first) else { panic!("{first}") };
    let brought: Vec<Hold> = brought.into_iter().map(hold).collect();
    let (id, outbox) = dispatcher.attach(identity(&world, &daemon), brought.clone());
    let mut resumed = world.queue.resume(world.organization, &brought).await.unwrap();
    // Its daemons hand nothing in of a job that they lost.
    resumed.retain(|job| job.grip != Grip::Salvage);
    let lost: Vec<_> = brought.into_iter().filter(|hold| !resumed.iter().any(|job| job.hold == *hold)).collect();
    for job in &resumed {
        match job.grip {
            Grip::Running | Grip::Salvage => {}
            Grip::Canceling => dispatcher.remind(id, Command::Cancel(job.hold.clone())),
            Grip::Ended => dispatcher.settled(id, &job.hold),
        }
    }
    dispatcher.open(id, &lost);
    let goes_on = resumed.iter().map(|job| (held(&job.hold), job.next_log_number)).collect();
    let registered = Down::Registered { resumed: goes_on, lost: lost.iter().map(held).collect() };
    let end = outbox.end.clone();
    if say(&mut write, &registered).await.is_ok() {
        tokio::spawn(tell(outbox, write));
        loop {
            let line = tokio::select! {
                () = end.cancelled() => break,
                line = lines.next_line() => line,
            };
            let Ok(Some(line)) = line else { break };
            dispatcher.heard(id);
            let said = serde_json::from_str(&line).unwrap();
            if let Some(reply) = take(&world, &dispatcher, id, said).await {
                dispatcher.tell(id, reply);
            }
        }
    }
    dispatcher.detach(id);
    end.cancel();
}

fn identity(world: &World, name: &str) -> Identity {
    let number = DAEMONS.iter().position(|daemon| *daemon == name).unwrap() as u128;
    Identity {
        daemon: DaemonId(Uuid::from_u128(number)),
        organization: world.organization,
        key: ProvisionerKeyId::new(),
        secret: ProvisionerKeySecretId::new(),
        name: name.to_owned(),
        instance: name.to_owned(),
        engines: [Engine::Echo].into(),
        tags: crate::domain::tags::Tags::of_key(&std::collections::BTreeMap::new()),
        capacity: 2,
    }
}

/// As the session on the wire does it.
async fn take(world: &World, dispatcher: &Dispatcher, id: SessionId, said: Up) -> Option<Command> {
    let queue = &world.queue;
    let own = |of: Held| {
        let hold = hold(of);
        dispatcher.check_own(id, &hold).map(|()| hold.clone()).map_err(|error| match error {
            Error::LeaseLost(_) => Command::LeaseLost(hold),
            error => panic!("a daemon said what it mustn't: {error}"),
        })
    };
    match said {
        Up::Register(_) => panic!("registered twice"),
        Up::Heartbeat(free) => {
            dispatcher.offered(id, free, true);
            None
        }
        Up::Reject(of) => match own(of) {
            Ok(hold) => {
                dispatcher.rejected(id, &hold, Rejection::Full).await.unwrap();
                None
            }
            Err(lost) => Some(lost),
        },
        Up::Logs { of, first, lines } => {
            let hold = match own(of) {
                Ok(hold) => hold,
                Err(lost) => return Some(lost),
            };
            let line = |output| LogLine {
                time: Timestamp(0),
                source: LogSource::Engine,
                level: LogLevel::Info,
                stage: String::new(),
                output,
            };
            let lines = lines.into_iter().map(line).collect();
            match queue.append(&hold, LogBatch { first_number: first, lines, overflowed: false }).await {
                Ok(log_number) => Some(Command::Ack { hold, log_number, state_serial: 0 }),
                Err(Error::LeaseLost(_)) => Some(Command::LeaseLost(hold)),
                Err(error) => panic!("{error}"),
            }
        }
        Up::Permit(of) => match own(of) {
            Ok(hold) => {
                let permit = queue.permit(&hold, 0).await.unwrap();
                Some(Command::Verdict(hold, permit))
            }
            Err(lost) => Some(lost),
        },
        Up::Result { of, outcome, last } => {
            let hold = hold(of);
            let report = Report { outcome: outcome.into(), last_log_number: last, ..Report::failed("") };
            let own = dispatcher.check_own(id, &hold);
            match (dispatcher.finished(id, world.organization, &hold, &report).await.unwrap(), own) {
                (Finished::Stored | Finished::Already, _) => Some(Command::ResultStored(hold)),
                (Finished::Lost, Ok(()) | Err(Error::LeaseLost(_))) => Some(Command::LeaseLost(hold)),
                (Finished::Lost, Err(error)) => panic!("a daemon said what it mustn't: {error}"),
            }
        }
    }
}

async fn tell(mut outbox: Outbox, mut write: OwnedWriteHalf) {
    loop {
        let command = tokio::select! {
            biased;
            command = outbox.commands.recv() => command,
            () = outbox.end.cancelled() => None,
        };
        let Some(down) = command.and_then(message) else { return };
        if say(&mut write, &down).await.is_err() {
            return;
        }
    }
}

/// On the wire; nothing for the last word.
fn message(command: Command) -> Option<Down> {
    Some(match command {
        Command::Assign(assignment) => Down::Assign { of: held(&assignment.hold), next: assignment.next_log_number },
        Command::Ack { hold, log_number, .. } => Down::Ack { of: held(&hold), number: log_number },
        Command::Verdict(hold, Permit::Go) => Down::Go(held(&hold)),
        Command::Verdict(hold, Permit::Canceled | Permit::Lost) => Down::NoGo(held(&hold)),
        Command::HeartbeatAck => Down::HeartbeatAck,
        Command::ResultStored(hold) => Down::Stored(held(&hold)),
        Command::Cancel(hold) => Down::Cancel(held(&hold)),
        Command::LeaseLost(hold) => Down::Lost(held(&hold)),
        Command::GoAway(_) | Command::End(_) => return None,
    })
}

async fn say(write: &mut OwnedWriteHalf, down: &Down) -> std::io::Result<()> {
    write.write_all(format!("{}\n", serde_json::to_string(down)?).as_bytes()).await
}
