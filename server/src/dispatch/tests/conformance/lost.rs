//! What becomes of jobs whose daemons are lost, give them back, or never come.

use std::time::Duration;

use tokio::time::Instant;

use super::{Backing, Bench, TERMS, lines, report, stale};
use crate::domain::Error;
use crate::domain::error::ProtocolFault;
use crate::domain::job::{Finished, Grip, Outcome, Permit, Reaped, Rejection, StateReference, Status, Terms};
use crate::store::provisioner_job;

#[tokio::test]
async fn giving_back_puts_a_job_first_again() {
    for bench in Bench::all(TERMS).await {
        let id = bench.add().await;
        bench.add().await;
        for attempt in 1..5 {
            let claimed = bench.claim().await;
            assert_eq!((claimed.hold.job, claimed.attempt), (id, attempt));
            assert!(bench.queue.give_back(&claimed.hold, Rejection::Full).await.unwrap());
            assert!(!bench.queue.give_back(&claimed.hold, Rejection::Full).await.unwrap());
            assert_eq!(bench.status(id).await, Status::Pending);
        }
        // What was begun says in its log that it was given back.
        let hold = bench.claim().await.hold;
        assert_eq!(bench.queue.append(&hold, lines(1, 2)).await.unwrap(), 2);
        assert!(bench.queue.give_back(&hold, Rejection::Infrastructure).await.unwrap());
        let hold = bench.claim().await.hold;
        assert!(bench.queue.give_back(&hold, Rejection::Full).await.unwrap(), "nothing was said meanwhile");
        let hold = bench.claim().await.hold;
        assert_eq!(bench.queue.append(&hold, lines(4, 1)).await.unwrap(), 4);
        assert_eq!(bench.queue.permit(&hold, 0).await.unwrap(), Permit::Go);
        assert!(!bench.queue.give_back(&hold, Rejection::Full).await.unwrap());
    }
}

#[tokio::test]
async fn what_a_daemon_lost_counts_and_what_it_never_had_does_not() {
    for bench in Bench::all(Terms { lease: Duration::from_millis(30), ..TERMS }).await {
        let id = bench.add().await;
        for _ in 0..3 {
            let hold = bench.claim().await.hold;
            bench.queue.missed(&hold).await.unwrap();
            assert_eq!(bench.status(id).await, Status::Pending);
        }
        let hold = bench.claim().await.hold;
        assert_eq!(bench.queue.append(&hold, lines(1, 1)).await.unwrap(), 1);
        bench.queue.missed(&stale(&hold)).await.unwrap();
        assert_eq!(bench.status(id).await, Status::Running, "of another lease");
        bench.queue.missed(&hold).await.unwrap();
        assert_eq!(bench.status(id).await, Status::Pending);
        // The log says so: the next line has the number after that.
        let hold = bench.claim().await.hold;
        assert_eq!(bench.queue.append(&hold, lines(3, 1)).await.unwrap(), 3);
        assert_eq!(bench.reap().await, [Status::Failed], "lost as often as it may be");

        bench.add().await;
        let hold = bench.claim().await.hold;
        assert_eq!(bench.queue.append(&hold, lines(1, 1)).await.unwrap(), 1);
        assert_eq!(bench.queue.permit(&hold, 0).await.unwrap(), Permit::Go);
        bench.queue.missed(&hold).await.unwrap();
        assert_eq!(bench.status(hold.job).await, Status::Running, "it may have changed things");
    }
}

#[tokio::test]
async fn what_changed_nothing_is_tried_again_and_what_may_have_is_not() {
    let short = Terms { lease: Duration::from_millis(30), apply_lease: Duration::from_millis(30), ..TERMS };
    for bench in Bench::all(short).await {
        let id = bench.add().await;
        let hold = bench.claim().await.hold;
        assert_eq!(bench.queue.append(&hold, lines(1, 1)).await.unwrap(), 1);
        assert_eq!(bench.reap().await, [Status::Pending]);
        assert_eq!(bench.queue.renew(std::slice::from_ref(&hold)).await.unwrap(), []);
        assert_eq!(bench.queue.resume(bench.group().organization, &[hold]).await.unwrap(), []);
        bench.claim().await;
        assert_eq!(bench.reap().await, [Status::Failed], "lost as often as it may be");
        assert_eq!(bench.status(id).await, Status::Failed);

        let id = bench.add().await;
        let hold = bench.claim().await.hold;
        assert_eq!(bench.queue.permit(&hold, 0).await.unwrap(), Permit::Go);
        assert_eq!(bench.reap().await, [Status::Failed]);
        assert_eq!(
            bench.queue.finish(bench.group().organization, &hold, &report(Outcome::Succeeded, 0)).await.unwrap(),
            Finished::Lost
        );
        if let Backing::Sql(store, _) = &bench.backing {
            let job = provisioner_job::find(&***store, id).await.unwrap().unwrap();
            let log = crate::store::job_log::after(&***store, id, 0).await.unwrap();
            assert_eq!(log.len(), 1);
            assert_eq!(log[0].1.output, job.error);
            assert!(job.completed_at.is_some() && job.error.contains("daemon"), "{}", job.error);
        }

        let id = bench.add().await;
        bench.claim().await;
        bench.queue.request_cancel(id, None).await.unwrap();
        assert_eq!(bench.reap().await, [Status::Canceled]);
        assert_eq!(bench.queue.reap().await.unwrap(), []);
    }
}

#[tokio::test]
async fn what_is_left_of_a_lost_job_is_taken_and_no_more() {
    let short = Terms { apply_lease: Duration::from_millis(30), ..TERMS };
    for bench in Bench::all(short).await {
        let queue = &bench.queue;
        let id = bench.add().await;
        let hold = bench.claim().await.hold;
        let state = |serial, sha256: &str| StateReference { lineage: "a".into(), serial, sha256: sha256.to_owned() };
        let (one, two) = (bench.add_blob(id, b"one").await, bench.add_blob(id, b"two").await);
        assert_eq!(queue.append(&hold, lines(1, 2)).await.unwrap(), 2);
        assert_eq!(queue.checkpoint(&hold, &state(1, &one)).await.unwrap(), 1);
        assert_eq!(queue.permit(&hold, 0).await.unwrap(), Permit::Go);
        assert_eq!(bench.reap().await, [Status::Failed]);
        let resumed = queue.resume(bench.group().organization, std::slice::from_ref(&hold)).await.unwrap();
        assert_eq!((resumed[0].grip, resumed[0].next_log_number), (Grip::Salvage, 3));
        assert_eq!(queue.renew(std::slice::from_ref(&hold)).await.unwrap(), []);
        // Lines go on behind the server's own, those that are stored are left out, and a gap is one.
        assert_eq!(queue.append(&hold, lines(2, 2)).await.unwrap(), 3);
        let gap = queue.append(&hold, lines(5, 1)).await;
        assert!(matches!(gap, Err(Error::Protocol(ProtocolFault::LogGap { expected: 4, got: 5, .. }))), "{gap:?}");
        assert_eq!(queue.checkpoint(&hold, &state(2, &two)).await.unwrap(), 2);
        assert_eq!(queue.append(&hold, lines(3, 2)).await.unwrap(), 4);
        let older = queue.checkpoint(&hold, &state(1, &one)).await;
        assert!(matches!(older, Err(Error::Protocol(ProtocolFault::StaleState(_)))), "{older:?}");
        let report = report(Outcome::Succeeded, 4);
        assert_eq!(queue.finish(bench.group().organization, &hold, &report).await.unwrap(), Finished::Lost);
        assert_eq!(queue.permit(&hold, 0).await.unwrap(), Permit::Lost);
        assert!(matches!(queue.append(&stale(&hold), lines(5, 1)).await, Err(Error::LeaseLost(_))));
        assert_eq!(bench.status(id).await, Status::Failed);
        if let Backing::Sql(store, _) = &bench.backing {
            let log = crate::store::job_log::after(&***store, id, 0).await.unwrap();
            let numbers: Vec<_> = log.iter().map(|(number, _)| *number).collect();
            assert_eq!(numbers, [1, 2, 3, 4, 5, 6], "{log:?}");
            assert!(log[2].1.output.contains("was lost") && log[4].1.output.contains("serial 2"), "{log:?}");
        }
    }
}

#[tokio::test]
async fn only_jobs_out_of_contact_are_released() {
    let silent = Terms { contact_lost_after: Duration::from_millis(30), ..TERMS };
    for bench in Bench::all(silent).await {
        let queue = &bench.queue;
        let id = bench.add().await;
        assert!(matches!(queue.release(id, "ada").await, Err(Error::NotReleasable(_))), "it waits");
        bench.claim().await;
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Err(error) = queue.release(id, "ada").await {
            assert!(matches!(error, Error::NotReleasable(_)) && Instant::now() < deadline, "{error:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(bench.status(id).await, Status::Failed);
        assert!(matches!(queue.release(id, "ada").await, Err(Error::JobEnded)));
    }
}

#[tokio::test]
async fn what_nobody_takes_in_time_ends() {
    let short = Terms { pending_timeout: Some(Duration::from_millis(30)), ..TERMS };
    for bench in Bench::all(short).await {
        let ours = [bench.add().await, bench.add().await];
        let (mut ended, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(10));
        while bench.status(ours[0]).await != Status::Failed || bench.status(ours[1]).await != Status::Failed {
            assert!(Instant::now() < deadline, "they wait on");
            ended.extend(bench.queue.reap().await.unwrap());
        }
        for id in ours {
            let of: Vec<_> = ended.iter().filter(|reaped| reaped.job == id).collect();
            assert!(matches!(of[..], [Reaped { status: Status::Failed, lapsed: false, .. }]), "once: {of:?}");
        }
    }
}
