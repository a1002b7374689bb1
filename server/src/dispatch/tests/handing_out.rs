//! Who gets which job, over the queue in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::super::assignment::{Assemble, Assignment};
use super::super::memory::{MemoryQueue, Waiting};
use super::super::queue::JobQueue as _;
use super::super::session::{Command, Identity, Outbox};
use super::super::testing::assignment;
use super::super::{Dispatcher, SessionId};
use crate::domain::engine::Engine;
use crate::domain::id::{DaemonId, JobId, OrganizationId, ProvisionerKeyId, ProvisionerKeySecretId, UserId};
use crate::domain::job::{Claimed, Hold, JobType, Outcome, Rejection, Report, Status, Terms};
use crate::domain::tags::Tags;
use crate::domain::{Error, Result};
use crate::options::Provisioners;

/// Assembles everything, or nothing.
struct Scripted(std::result::Result<(), String>);

#[async_trait]
impl Assemble for Scripted {
    async fn assemble(&self, claimed: &[Claimed]) -> Result<Vec<std::result::Result<Assignment, String>>> {
        let one = |claimed: &Claimed| self.0.clone().map(|()| assignment(claimed, 1));
        Ok(claimed.iter().map(one).collect())
    }
}

const ALL: Scripted = Scripted(Ok(()));

struct Bench {
    queue: Arc<MemoryQueue>,
    dispatcher: Dispatcher,
    organization: OrganizationId,
}

struct Worker {
    session: SessionId,
    outbox: Outbox,
}

impl Worker {
    fn assigned(&mut self) -> Vec<Hold> {
        let mut holds = Vec::new();
        while let Ok(command) = self.outbox.commands.try_recv() {
            match command {
                Command::Assign(assignment) => holds.push(assignment.hold),
                other => panic!("{other:?}"),
            }
        }
        holds
    }
}

fn tags(names: &str) -> Tags {
    Tags::of_key(&names.chars().map(|name| (name.to_string(), "1".to_owned())).collect::<BTreeMap<_, _>>())
}

impl Bench {
    fn new() -> Self {
        let options = Provisioners::default();
        let queue = Arc::new(MemoryQueue::new(Terms::from(&options)));
        let dispatcher = Dispatcher::new(queue.clone(), &options);
        Self { queue, dispatcher, organization: OrganizationId::new() }
    }

    fn job(&self, names: &str) -> JobId {
        self.queue.add(Waiting {
            organization: self.organization,
            initiator: UserId::new(),
            job_type: JobType::Import,
            engine: Engine::Echo,
            tags: tags(names),
            automatic: false,
        })
    }

    fn worker(&self, organization: OrganizationId, names: &str, capacity: u32) -> Worker {
        let worker = self.attached(organization, names, capacity);
        self.dispatcher.open(worker.session, &[]);
        worker
    }

    fn attached(&self, organization: OrganizationId, names: &str, capacity: u32) -> Worker {
        let daemon = DaemonId::new();
        let identity = Identity {
            daemon,
            organization,
            key: ProvisionerKeyId::new(),
            secret: ProvisionerKeySecretId::new(),
            name: daemon.to_string(),
            instance: daemon.to_string(),
            engines: [Engine::Echo].into(),
            tags: tags(names),
            capacity,
        };
        let (session, outbox) = self.dispatcher.attach(identity, vec![]);
        Worker { session, outbox }
    }

    async fn pass(&self) {
        self.dispatcher.pass(&ALL).await.unwrap();
    }

    async fn finish(&self, worker: &Worker, hold: &Hold) {
        let report = Report { outcome: Outcome::Succeeded, ..Report::failed("") };
        self.dispatcher.finished(worker.session, self.organization, hold, &report).await.unwrap();
    }
}

#[tokio::test]
async fn nobody_gets_more_than_it_has_room_for() {
    let bench = Bench::new();
    let (mut one, mut two) = (bench.worker(bench.organization, "", 2), bench.worker(bench.organization, "", 1));
    for _ in 0..5 {
        bench.job("");
    }
    bench.pass().await;
    bench.pass().await;
    let (first, second) = (one.assigned(), two.assigned());
    assert_eq!((first.len(), second.len()), (2, 1));
    bench.finish(&one, &first[0]).await;
    bench.pass().await;
    assert_eq!((one.assigned().len(), two.assigned().len()), (1, 0));
    bench.dispatcher.offered(two.session, 0, true);
    bench.finish(&two, &second[0]).await;
    bench.dispatcher.offered(two.session, 0, true);
    bench.pass().await;
    assert_eq!(two.assigned().len(), 0, "it says that it has no room");
}

#[tokio::test]
async fn a_result_that_comes_too_late_may_come_again() {
    let bench = Bench::new();
    let mut worker = bench.worker(bench.organization, "", 1);
    bench.job("");
    bench.pass().await;
    let hold = worker.assigned().remove(0);
    // Behind the session's back, as another server does it when the daemon went there in between.
    assert!(bench.queue.give_back(&hold, Rejection::Full).await.unwrap());
    for _ in 0..2 {
        let own = bench.dispatcher.check_own(worker.session, &hold);
        assert!(matches!(own, Ok(()) | Err(Error::LeaseLost(_))), "{own:?}");
        bench.finish(&worker, &hold).await;
    }
}

#[tokio::test]
async fn the_daemon_with_the_fewest_extra_tags_gets_it() {
    let bench = Bench::new();
    let mut wide = bench.worker(bench.organization, "abc", 9);
    let mut narrow = bench.worker(bench.organization, "ab", 1);
    let mut plain = bench.worker(bench.organization, "", 9);
    let (first, _) = (bench.job("a"), bench.job("a"));
    bench.pass().await;
    assert_eq!(narrow.assigned().iter().map(|hold| hold.job).collect::<Vec<_>>(), [first]);
    assert_eq!((wide.assigned().len(), plain.assigned().len()), (1, 0), "the other one still gets done");
    let untagged = bench.job("");
    bench.pass().await;
    assert_eq!(plain.assigned()[0].job, untagged);
}

#[tokio::test]
async fn nobody_gets_a_job_before_it_is_known_what_they_have() {
    let bench = Bench::new();
    let mut one = bench.attached(bench.organization, "", 1);
    let job = bench.job("");
    bench.pass().await;
    assert_eq!(bench.queue.status(job).unwrap(), (Status::Pending, None));
    bench.dispatcher.open(one.session, &[]);
    bench.pass().await;
    assert_eq!(one.assigned()[0].job, job);
}

#[tokio::test]
async fn another_organization_never_gets_it() {
    let bench = Bench::new();
    let mut foreign = bench.worker(OrganizationId::new(), "", 9);
    let job = bench.job("");
    bench.pass().await;
    assert_eq!(foreign.assigned(), []);
    assert_eq!(bench.queue.status(job).unwrap().0, Status::Pending);
}

#[tokio::test]
async fn a_daemon_that_gives_a_job_back_is_left_alone_for_a_while() {
    let bench = Bench::new();
    let mut one = bench.worker(bench.organization, "", 3);
    let job = bench.job("");
    bench.pass().await;
    let hold = one.assigned().remove(0);
    bench.dispatcher.rejected(one.session, &hold, Rejection::Infrastructure).await.unwrap();
    bench.pass().await;
    assert_eq!(one.assigned(), []);
    let mut two = bench.worker(bench.organization, "", 1);
    bench.pass().await;
    assert_eq!(two.assigned()[0].job, job);
}

#[tokio::test]
async fn a_job_that_cannot_be_assembled_fails() {
    let bench = Bench::new();
    let mut one = bench.worker(bench.organization, "", 1);
    let job = bench.job("");
    bench.dispatcher.pass(&Scripted(Err("no archive".to_owned()))).await.unwrap();
    assert_eq!(bench.queue.status(job).unwrap().0, Status::Failed);
    let next = bench.job("");
    bench.pass().await;
    assert_eq!(one.assigned()[0].job, next, "the slot is free again");
}

/// Can't assemble the first job of a batch that it gets.
struct Spoiled;

#[async_trait]
impl Assemble for Spoiled {
    async fn assemble(&self, claimed: &[Claimed]) -> Result<Vec<std::result::Result<Assignment, String>>> {
        let mut assembled = ALL.assemble(claimed).await?;
        assembled[0] = Err("no archive".to_owned());
        Ok(assembled)
    }
}

#[tokio::test]
async fn what_fails_for_one_job_leaves_the_others_alone() {
    let bench = Bench::new();
    let mut one = bench.worker(bench.organization, "", 3);
    let jobs = [bench.job(""), bench.job(""), bench.job("")];
    bench.queue.refuse_reports(true);
    assert!(matches!(bench.dispatcher.pass(&Spoiled).await, Err(Error::Unavailable(_))));
    bench.queue.refuse_reports(false);
    assert_eq!(one.assigned().iter().map(|hold| hold.job).collect::<Vec<_>>(), jobs[1..]);
    assert_eq!(bench.queue.status(jobs[0]).unwrap().0, Status::Pending, "taken back");
    bench.pass().await;
    assert_eq!(one.assigned()[0].job, jobs[0], "the slot is free again");
}

/// Fails for the batch that has this job.
struct FailsFor(JobId);

#[async_trait]
impl Assemble for FailsFor {
    async fn assemble(&self, claimed: &[Claimed]) -> Result<Vec<std::result::Result<Assignment, String>>> {
        if claimed.iter().any(|claimed| claimed.hold.job == self.0) {
            return Err(Error::Unavailable("just now".into()));
        }
        ALL.assemble(claimed).await
    }
}

#[tokio::test]
async fn what_fails_for_one_group_leaves_the_others_alone() {
    let bench = Bench::new();
    let mut one = bench.worker(bench.organization, "ab", 3);
    let (first, second) = (bench.job("a"), bench.job("b"));
    assert!(matches!(bench.dispatcher.pass(&FailsFor(first)).await, Err(Error::Unavailable(_))));
    assert_eq!(one.assigned().iter().map(|hold| hold.job).collect::<Vec<_>>(), [second]);
    assert_eq!(bench.queue.status(first).unwrap().0, Status::Pending, "taken back");
}

#[tokio::test]
async fn a_daemon_that_does_not_read_loses_its_session_only() {
    let bench = Bench::new();
    let deaf = bench.worker(bench.organization, "", 1000);
    let mut other = bench.worker(bench.organization, "", 1);
    let jobs: Vec<_> = (0..400).map(|_| bench.job("")).collect();
    bench.pass().await;
    assert!(deaf.outbox.end.is_cancelled());
    assert_eq!(other.assigned().len(), 1);
    let waiting = jobs.iter().filter(|job| bench.queue.status(**job).unwrap().0 == Status::Pending).count();
    assert!(waiting >= 100, "what it never saw waits again: {waiting}");
}

/// Assembles everything, but somebody cancels the jobs meanwhile and finds nobody who could be told.
struct Overtaken(Arc<MemoryQueue>);

#[async_trait]
impl Assemble for Overtaken {
    async fn assemble(&self, claimed: &[Claimed]) -> Result<Vec<std::result::Result<Assignment, String>>> {
        for claimed in claimed {
            self.0.request_cancel(claimed.hold.job, None).await.unwrap();
        }
        ALL.assemble(claimed).await
    }
}

#[tokio::test]
async fn a_cancel_reaches_who_did_not_have_the_job_yet() {
    let bench = Bench::new();
    let mut one = bench.worker(bench.organization, "", 1);
    let job = bench.job("");
    bench.dispatcher.pass(&Overtaken(bench.queue.clone())).await.unwrap();
    let hold = match one.outbox.commands.try_recv() {
        Ok(Command::Assign(assignment)) => assignment.hold,
        other => panic!("{other:?}"),
    };
    assert_eq!(hold.job, job);
    assert!(matches!(one.outbox.commands.try_recv(), Ok(Command::Cancel(canceled)) if canceled == hold));
}

#[tokio::test]
async fn renewing_repeats_cancels() {
    let bench = Bench::new();
    let mut one = bench.worker(bench.organization, "", 2);
    let job = bench.job("");
    bench.pass().await;
    let hold = one.assigned().remove(0);
    // On another server, say.
    bench.queue.request_cancel(job, None).await.unwrap();
    for _ in 0..2 {
        bench.dispatcher.heard(one.session);
        bench.dispatcher.renew().await.unwrap();
        assert!(matches!(one.outbox.commands.try_recv(), Ok(Command::Cancel(canceled)) if canceled == hold));
        assert!(matches!(one.outbox.commands.try_recv(), Ok(Command::HeartbeatAck)));
    }
}

#[tokio::test]
async fn renewing_tells_who_lost_what() {
    let bench = Bench::new();
    let mut one = bench.worker(bench.organization, "", 2);
    bench.job("");
    bench.pass().await;
    let hold = one.assigned().remove(0);
    assert_eq!(bench.dispatcher.renew().await.unwrap(), [one.session.daemon]);
    assert!(matches!(one.outbox.commands.try_recv(), Ok(Command::HeartbeatAck)));
    assert!(bench.dispatcher.renew().await.unwrap().is_empty(), "nothing was heard since");
    bench.dispatcher.queue().fail(&hold, "behind its back").await.unwrap();
    bench.dispatcher.heard(one.session);
    bench.dispatcher.renew().await.unwrap();
    assert!(matches!(one.outbox.commands.try_recv(), Ok(Command::LeaseLost(lost)) if lost == hold));
    let foreign = Hold { job: JobId::new(), ..hold.clone() };
    assert!(matches!(bench.dispatcher.check_own(one.session, &foreign), Err(Error::Protocol(_))));
    assert!(bench.dispatcher.check_own(one.session, &hold).is_ok(), "it had it, so naming it is no fault");
}
