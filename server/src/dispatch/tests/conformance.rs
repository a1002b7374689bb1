//! What every queue must do; run for memory, SQLite and, where one is given, PostgreSQL.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::memory::{MemoryQueue, Waiting};
use super::super::queue::JobQueue;
use super::super::sql::SqlQueue;
use super::super::testing::{self, Ground};
use crate::domain::engine::Engine;
use crate::domain::error::ProtocolFault;
use crate::domain::id::{BuildId, DaemonId, JobId, OrganizationId, TemplateVersionId, UserId};
use crate::domain::job::{
    CancelOutcome, Claimed, Finished, Grip, Group, Hold, Input, JobType, LeaseId, Live, LogBatch, LogLevel, LogLine,
    LogSource, Outcome, Permit, Rejection, Report, Slot, StateReference, Status, Terms,
};
use crate::domain::tags::Tags;
use crate::domain::{Error, Timestamp};
use crate::store::testing::{TestStore, stores};
use crate::store::{blob, job_upload, provisioner_job};

mod lost;

const TERMS: Terms = Terms {
    lease: Duration::from_secs(60),
    apply_lease: Duration::from_secs(60),
    max_attempts: 2,
    log_limit: 1024,
    contact_lost_after: Duration::from_secs(15),
    pending_timeout: None,
};

enum Backing {
    Memory(Arc<MemoryQueue>, OrganizationId),
    Sql(Box<TestStore>, Ground),
}

struct Bench {
    queue: Arc<dyn JobQueue>,
    backing: Backing,
}

impl Bench {
    async fn all(terms: Terms) -> Vec<Self> {
        let memory = Arc::new(MemoryQueue::new(terms));
        let mut all = vec![Self { queue: memory.clone(), backing: Backing::Memory(memory, OrganizationId::new()) }];
        for store in stores().await {
            let ground = testing::ground(&store, "acme").await;
            let queue = Arc::new(SqlQueue::new((*store).clone(), terms, Arc::default()));
            all.push(Self { queue, backing: Backing::Sql(Box::new(store), ground) });
        }
        all
    }

    fn group(&self) -> Group {
        let organization = match &self.backing {
            Backing::Memory(_, organization) => *organization,
            Backing::Sql(_, ground) => ground.organization,
        };
        Group { organization, engine: Engine::Echo, tags: Tags::of_key(&BTreeMap::new()) }
    }

    async fn add(&self) -> JobId {
        self.add_for(Input::Build(BuildId::new())).await
    }

    async fn add_for(&self, input: Input) -> JobId {
        let Group { organization, engine, tags } = self.group();
        match &self.backing {
            Backing::Memory(queue, _) => {
                let (initiator, job_type) = (UserId::new(), input.job_type());
                queue.add(Waiting { organization, initiator, job_type, engine, tags, automatic: false })
            }
            Backing::Sql(store, ground) => testing::insert(store, ground, input, tags).await,
        }
    }

    /// Adds a job of a user, who is new or not, for each of these groups.
    async fn add_all(&self, initiator: UserId, groups: &[Group]) {
        match &self.backing {
            Backing::Memory(queue, _) => {
                for Group { organization, engine, tags } in groups.iter().cloned() {
                    let job_type = JobType::Import;
                    queue.add(Waiting { organization, initiator, job_type, engine, tags, automatic: false });
                }
            }
            Backing::Sql(store, ground) => {
                let tx = store.begin().await.unwrap();
                testing::user(&tx, initiator).await;
                for group in groups {
                    testing::import(&tx, &Ground { user: initiator, ..*ground }, group.tags.clone()).await;
                }
                tx.commit().await.unwrap();
            }
        }
    }

    async fn claim(&self) -> Claimed {
        let mut claimed = self.queue.claim(&self.group(), &[slot()]).await.unwrap();
        assert_eq!(claimed.len(), 1);
        claimed.remove(0)
    }

    async fn status(&self, id: JobId) -> Status {
        match &self.backing {
            Backing::Memory(queue, _) => queue.status(id).unwrap().0,
            Backing::Sql(store, _) => provisioner_job::find(&***store, id).await.unwrap().unwrap().status,
        }
    }

    async fn add_blob(&self, job: JobId, bytes: &[u8]) -> String {
        match &self.backing {
            Backing::Memory(queue, _) => {
                let sha256 = blob::sha256(bytes);
                queue.add_blob(&sha256);
                sha256
            }
            Backing::Sql(store, _) => {
                let tx = store.begin().await.unwrap();
                let sha256 = blob::insert(&tx, bytes).await.unwrap();
                job_upload::insert(&tx, job, &sha256).await.unwrap();
                tx.commit().await.unwrap();
                sha256
            }
        }
    }

    /// Waits for leases to lapse.
    async fn reap(&self) -> Vec<Status> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let reaped = self.queue.reap().await.unwrap();
            if !reaped.is_empty() {
                return reaped.into_iter().map(|reaped| reaped.status).collect();
            }
            assert!(Instant::now() < deadline, "nothing lapsed");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn slot() -> Slot {
    Slot { worker: DaemonId::new(), worker_name: "daemon".to_owned() }
}

fn lines(first_number: i64, count: usize) -> LogBatch {
    let line = |n| LogLine {
        time: Timestamp(1),
        source: LogSource::Engine,
        level: LogLevel::Info,
        stage: "apply".to_owned(),
        output: format!("line {n}"),
    };
    LogBatch { first_number, lines: (0..count).map(line).collect(), overflowed: false }
}

fn report(outcome: Outcome, last_log_number: i64) -> Report {
    Report { outcome, error: "no".into(), last_log_number, ..Report::failed("") }
}

fn stale(hold: &Hold) -> Hold {
    Hold { job: hold.job, lease: LeaseId::new() }
}

#[tokio::test]
async fn jobs_are_claimed_oldest_first_and_once() {
    for bench in Bench::all(TERMS).await {
        let (first, second, third) = (bench.add().await, bench.add().await, bench.add().await);
        assert!(bench.queue.groups(&[bench.group().organization], &|_| true).await.unwrap().contains(&bench.group()));
        assert_eq!(bench.queue.groups(&[OrganizationId::new()], &|_| true).await.unwrap(), []);
        let slots = [slot(), slot()];
        let claimed = bench.queue.claim(&bench.group(), &slots).await.unwrap();
        let mut got: Vec<_> = claimed.iter().map(|claimed| (claimed.hold.job, claimed.worker)).collect();
        got.sort();
        let mut expected = vec![(first, slots[0].worker), (second, slots[1].worker)];
        expected.sort();
        assert_eq!(got, expected);
        assert_ne!(claimed[0].hold.lease, claimed[1].hold.lease);
        let other = Group { engine: Engine::Terraform, ..bench.group() };
        assert_eq!(bench.queue.claim(&other, &slots).await.unwrap(), []);
        let other = Group { organization: OrganizationId::new(), ..bench.group() };
        assert_eq!(bench.queue.claim(&other, &slots).await.unwrap(), []);
        assert_eq!(bench.claim().await.hold.job, third);
        assert_eq!(bench.queue.claim(&bench.group(), &slots).await.unwrap(), []);
    }
}

fn named(group: &Group) -> bool {
    group.tags.as_map().contains_key("name")
}

fn tagged(bench: &Bench, name: &str) -> Group {
    Group { tags: Tags::of_key(&[("name".to_owned(), name.to_owned())].into()), ..bench.group() }
}

#[tokio::test]
async fn however_many_groups_nobody_serves_the_others_are_found() {
    for bench in Bench::all(TERMS).await {
        let unserved: Vec<_> = (0..1100).map(|n| tagged(&bench, &format!("{n:04}"))).collect();
        bench.add_all(UserId::new(), &unserved).await;
        let organizations = [bench.group().organization];
        for served in [tagged(&bench, "z"), tagged(&bench, "!"), tagged(&bench, "0500x"), bench.group()] {
            bench.add_all(UserId::new(), std::slice::from_ref(&served)).await;
            let groups = bench.queue.groups(&organizations, &|group| *group == served).await.unwrap();
            assert_eq!(groups, [served]);
        }
        let groups = bench.queue.groups(&organizations, &named).await.unwrap();
        assert_eq!(groups[..200], unserved[..200], "the oldest first");
    }
}

#[tokio::test]
async fn the_group_of_the_next_job_is_first() {
    for bench in Bench::all(TERMS).await {
        let (one, other) = (UserId::new(), UserId::new());
        let (first, second, third) = (tagged(&bench, "c"), tagged(&bench, "b"), tagged(&bench, "a"));
        let groups = async || {
            let groups = bench.queue.groups(&[first.organization], &named).await.unwrap();
            // SQLite's clock counts milliseconds, and what comes next mustn't be as old.
            tokio::time::sleep(Duration::from_millis(2)).await;
            groups
        };
        bench.add_all(one, &[first.clone(), first.clone()]).await;
        assert_eq!(groups().await, std::slice::from_ref(&first));
        bench.add_all(one, std::slice::from_ref(&second)).await;
        assert_eq!(groups().await, [first.clone(), second.clone()]);
        bench.add_all(other, std::slice::from_ref(&third)).await;
        assert_eq!(groups().await, [first.clone(), second.clone(), third.clone()], "the oldest");
        assert_eq!(bench.queue.claim(&first, &[slot()]).await.unwrap().len(), 1);
        assert_eq!(groups().await, [third.clone(), first.clone(), second.clone()], "whose initiator has none running");
        bench.add_all(other, std::slice::from_ref(&second)).await;
        assert_eq!(groups().await, [third, second, first], "of all initiators in a group");
    }
}

#[tokio::test]
async fn concurrent_claims_never_give_a_job_twice() {
    for bench in Bench::all(TERMS).await {
        for _ in 0..40 {
            bench.add().await;
        }
        let claims = (0..8).map(|_| {
            let (queue, group) = (bench.queue.clone(), bench.group());
            tokio::spawn(async move { queue.claim(&group, &[slot(), slot(), slot(), slot(), slot()]).await.unwrap() })
        });
        let mut jobs = Vec::new();
        for claim in claims.collect::<Vec<_>>() {
            jobs.extend(claim.await.unwrap().into_iter().map(|claimed| claimed.hold.job));
        }
        // SKIP LOCKED may leave some behind for the next round, but never gives one twice.
        jobs.extend(
            bench.queue.claim(&bench.group(), &vec![slot(); 40]).await.unwrap().into_iter().map(|c| c.hold.job),
        );
        jobs.sort();
        jobs.dedup();
        assert_eq!(jobs.len(), 40);
    }
}

#[tokio::test]
async fn without_the_lease_nothing_is_written() {
    for bench in Bench::all(TERMS).await {
        let id = bench.add().await;
        let hold = bench.claim().await.hold;
        let stale = stale(&hold);
        let queue = &bench.queue;
        assert!(matches!(queue.append(&stale, lines(1, 1)).await, Err(Error::LeaseLost(_))));
        assert_eq!(queue.permit(&stale, 0).await.unwrap(), Permit::Lost);
        assert_eq!(
            queue.finish(bench.group().organization, &stale, &report(Outcome::Failed, 0)).await.unwrap(),
            Finished::Lost
        );
        assert_eq!(queue.fail(&stale, "x").await.unwrap(), Finished::Lost);
        assert!(!queue.give_back(&stale, Rejection::Full).await.unwrap());
        let live = [Live { hold: hold.clone(), canceling: false }];
        assert_eq!(queue.renew(&[stale.clone(), hold.clone()]).await.unwrap(), live);
        assert_eq!(queue.live(&[stale.clone(), hold.clone()]).await.unwrap(), live);
        let state = StateReference { lineage: "l".into(), serial: 1, sha256: bench.add_blob(hold.job, b"s").await };
        assert!(matches!(queue.checkpoint(&stale, &state).await, Err(Error::LeaseLost(_))));
        assert_eq!(bench.status(id).await, Status::Running);
        assert_eq!(queue.append(&hold, lines(1, 1)).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn nothing_is_written_for_another_organization() {
    for bench in Bench::all(Terms { lease: Duration::from_millis(500), ..TERMS }).await {
        let id = bench.add().await;
        let hold = bench.claim().await.hold;
        let (queue, stranger) = (&bench.queue, OrganizationId::new());
        let finished = queue.finish(stranger, &hold, &report(Outcome::Failed, 0)).await.unwrap();
        assert_eq!((finished, bench.status(id).await), (Finished::Lost, Status::Running));
        // Who doesn't own it can't keep it alive either.
        let deadline = Instant::now() + Duration::from_secs(10);
        while queue.reap().await.unwrap().is_empty() {
            assert!(Instant::now() < deadline, "it lapses");
            assert_eq!(queue.resume(stranger, std::slice::from_ref(&hold)).await.unwrap(), []);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(bench.status(id).await, Status::Pending);
    }
}

#[tokio::test]
async fn a_line_is_stored_once_and_in_order() {
    for bench in Bench::all(TERMS).await {
        bench.add().await;
        let hold = bench.claim().await.hold;
        let queue = &bench.queue;
        assert_eq!(queue.append(&hold, lines(1, 2)).await.unwrap(), 2);
        assert_eq!(queue.append(&hold, lines(1, 2)).await.unwrap(), 2);
        assert_eq!(queue.append(&hold, lines(2, 3)).await.unwrap(), 4);
        let gap = queue.append(&hold, lines(6, 1)).await;
        assert!(matches!(gap, Err(Error::Protocol(ProtocolFault::LogGap { expected: 5, got: 6, .. }))), "{gap:?}");
        let early = queue.finish(bench.group().organization, &hold, &report(Outcome::Succeeded, 5)).await;
        assert!(matches!(early, Err(Error::Protocol(ProtocolFault::ResultBeforeLogs { named: 5, stored: 4, .. }))));
        assert_eq!(
            queue.finish(bench.group().organization, &hold, &report(Outcome::Succeeded, 4)).await.unwrap(),
            Finished::Stored
        );
        assert!(matches!(queue.append(&hold, lines(5, 1)).await, Err(Error::LeaseLost(_))));
        if let Backing::Sql(store, _) = &bench.backing {
            let stored = crate::store::job_log::after(&***store, hold.job, 0).await.unwrap();
            assert_eq!(stored.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3, 4]);
            let rest = crate::store::job_log::after(&***store, hold.job, 3).await.unwrap();
            assert_eq!((rest[0].0, rest[0].1.output.as_str()), (4, "line 2"));
        }
    }
}

#[tokio::test]
async fn a_read_of_a_log_is_bounded_however_short_its_lines_are() {
    for bench in Bench::all(Terms { log_limit: 1 << 20, ..TERMS }).await {
        bench.add().await;
        let hold = bench.claim().await.hold;
        for first in [1, 4501, 9001] {
            bench.queue.append(&hold, lines(first, 4500)).await.unwrap();
        }
        let Backing::Sql(store, _) = &bench.backing else { continue };
        for (after, first, last) in [(0, 1, 4500), (4500, 4501, 9000), (8999, 9000, 13500), (13499, 13500, 13500)] {
            let read = crate::store::job_log::after(&***store, hold.job, after).await.unwrap();
            assert_eq!((read[0].0, read[read.len() - 1].0), (first, last), "after {after}");
        }
        assert_eq!(crate::store::job_log::after(&***store, hold.job, 13500).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_result_is_taken_once_and_confirmed_again() {
    for bench in Bench::all(TERMS).await {
        for (outcome, status) in [
            (Outcome::Succeeded, Status::Succeeded),
            (Outcome::Failed, Status::Failed),
            (Outcome::Lost, Status::Failed),
            (Outcome::Canceled, Status::Canceled),
        ] {
            let id = bench.add().await;
            let hold = bench.claim().await.hold;
            assert_eq!(
                bench.queue.finish(bench.group().organization, &hold, &report(outcome, 0)).await.unwrap(),
                Finished::Stored
            );
            assert_eq!(bench.status(id).await, status);
            assert_eq!(
                bench.queue.finish(bench.group().organization, &hold, &report(Outcome::Failed, 0)).await.unwrap(),
                Finished::Already
            );
            assert_eq!(
                bench.queue.finish(bench.group().organization, &stale(&hold), &report(outcome, 0)).await.unwrap(),
                Finished::Lost
            );
            assert_eq!(bench.status(id).await, status);
            let resumed = bench.queue.resume(bench.group().organization, &[hold]).await.unwrap();
            assert_eq!(resumed[0].grip, Grip::Ended);
        }
    }
}

#[tokio::test]
async fn only_builds_are_permitted() {
    for bench in Bench::all(TERMS).await {
        for (input, permit) in [
            (Input::Import(TemplateVersionId::new()), Permit::Lost),
            (Input::DryRun(TemplateVersionId::new()), Permit::Lost),
            (Input::Build(BuildId::new()), Permit::Go),
        ] {
            let id = bench.add_for(input).await;
            let hold = bench.claim().await.hold;
            assert_eq!(bench.queue.permit(&hold, 0).await.unwrap(), permit, "{input:?}");
            bench.queue.request_cancel(id, None).await.unwrap();
            assert_eq!(bench.queue.permit(&hold, 0).await.unwrap(), Permit::Canceled, "{input:?}");
        }
    }
}

#[tokio::test]
async fn canceling_ends_what_waits_and_asks_what_runs() {
    for bench in Bench::all(TERMS).await {
        let queue = &bench.queue;
        let waiting = bench.add().await;
        let mismatch = queue.request_cancel(waiting, Some(Status::Running)).await;
        assert!(matches!(mismatch, Err(Error::StatusMismatch { expected: "running", actual: "pending" })));
        assert_eq!(queue.request_cancel(waiting, Some(Status::Pending)).await.unwrap(), CancelOutcome::Ended);
        assert_eq!(bench.status(waiting).await, Status::Canceled);
        assert!(matches!(queue.request_cancel(waiting, None).await, Err(Error::JobEnded)));
        assert_eq!(queue.claim(&bench.group(), &[slot()]).await.unwrap(), []);

        let running = bench.add().await;
        let hold = bench.claim().await.hold;
        assert_eq!(queue.request_cancel(running, None).await.unwrap(), CancelOutcome::Canceling(hold.clone()));
        assert!(matches!(queue.request_cancel(running, None).await, Err(Error::JobCanceling)));
        let live = [Live { hold: hold.clone(), canceling: true }];
        assert_eq!(queue.renew(std::slice::from_ref(&hold)).await.unwrap(), live);
        assert_eq!(queue.live(std::slice::from_ref(&hold)).await.unwrap(), live);
        assert_eq!(queue.permit(&hold, 0).await.unwrap(), Permit::Canceled);
        assert_eq!(queue.append(&hold, lines(1, 1)).await.unwrap(), 1);
        let resumed = queue.resume(bench.group().organization, std::slice::from_ref(&hold)).await.unwrap();
        assert!(resumed[0].grip == Grip::Canceling && resumed[0].next_log_number == 2);
        assert_eq!(
            queue.finish(bench.group().organization, &hold, &report(Outcome::Succeeded, 1)).await.unwrap(),
            Finished::Stored
        );
        assert_eq!(bench.status(running).await, Status::Succeeded);
        let missing = queue.request_cancel(JobId::new(), None).await;
        assert!(matches!(missing, Err(Error::NotFound(_))));
    }
}

#[tokio::test]
async fn states_only_go_forward() {
    for bench in Bench::all(TERMS).await {
        bench.add().await;
        let hold = bench.claim().await.hold;
        let (one, two) = (bench.add_blob(hold.job, b"one").await, bench.add_blob(hold.job, b"two").await);
        let state = |lineage: &str, serial, sha256: &str| StateReference {
            lineage: lineage.to_owned(),
            serial,
            sha256: sha256.to_owned(),
        };
        let queue = &bench.queue;
        let missing = queue.checkpoint(&hold, &state("a", 1, &blob::sha256(b"never"))).await;
        assert!(matches!(missing, Err(Error::Protocol(ProtocolFault::MissingBytes(_)))));
        assert_eq!(queue.checkpoint(&hold, &state("a", 3, &one)).await.unwrap(), 3);
        assert_eq!(queue.checkpoint(&hold, &state("a", 3, &one)).await.unwrap(), 3);
        for bad in [state("a", 2, &two), state("a", 3, &two), state("b", 9, &two)] {
            let refused = queue.checkpoint(&hold, &bad).await;
            assert!(matches!(refused, Err(Error::Protocol(ProtocolFault::StaleState(_)))), "{bad:?}");
        }
        assert_eq!(queue.checkpoint(&hold, &state("a", 4, &two)).await.unwrap(), 4);
    }
}
