//! Daemons that come back, and others that come with their names.

use super::*;

#[tokio::test]
async fn one_session_for_each_daemon_and_one_name() {
    let bench = bench(|_| {}).await;
    let (mut first, _) = bench.session(register("one")).await;
    let id = bench.job().await;
    let assign = first.assign().await;
    let namesake = pb::Register { instance_id: "another".into(), ..register("ONE") };
    let refused = bench.open(Daemon::Register(namesake)).await.err().unwrap();
    assert!(refused.message().contains("another daemon named"), "{refused}");

    let held = |lease: &str| pb::HeldJob {
        job_id: assign.job_id.clone(),
        lease_id: lease.to_owned(),
        phase: pb::JobPhase::Preparing.into(),
        last_log_number: 0,
    };
    let again = pb::Register { held: vec![held(&assign.lease_id)], ..register("one") };
    let (mut second, registered) = bench.session(again).await;
    assert!(
        matches!(first.next().await.unwrap(), Server::GoAway(away) if away.reason() == pb::GoAwayReason::Superseded)
    );
    assert!(first.end().await.message().contains("opened another session"));
    assert_eq!((registered.resumed.len(), registered.lost.len()), (1, 0));
    assert_eq!(registered.resumed[0].next_log_number, 1);
    second.send(Daemon::Result(result(&assign, pb::Outcome::Succeeded, 0))).await;
    assert!(matches!(second.next().await.unwrap(), Server::ResultStored(_)));
    assert_eq!(bench.row(id).await.status, JobStatus::Succeeded);
    drop(second);

    let stranger = pb::Register { held: vec![held(&"0".repeat(32))], ..register("two") };
    let (_third, registered) = bench.session(stranger).await;
    assert_eq!((registered.resumed.len(), registered.lost.len()), (0, 1));
}

#[tokio::test]
async fn one_name_over_all_servers() {
    let bench = bench(|_| {}).await;
    let (one, two) = (&bench, bench.another().await);
    let (first, _) = one.session(register("one")).await;
    let namesake = || pb::Register { instance_id: "another".into(), ..register("ONE") };
    let refused = two.open(Daemon::Register(namesake())).await.err().unwrap();
    assert!(refused.message().contains("another daemon named"), "{refused}");
    assert_eq!(bench.daemon().await, ("instance of one".to_owned(), false), "nothing is written");
    first.leave().await;
    assert_eq!(bench.daemon().await, ("instance of one".to_owned(), true));
    two.session(namesake()).await;
    assert_eq!(bench.daemon().await, ("another".to_owned(), false));
}

#[tokio::test]
async fn a_name_is_free_when_its_daemon_is_not_heard_of() {
    let bench = bench(|options| {
        options.heartbeat = Duration::from_millis(20);
        options.contact_lost_after = Duration::from_millis(100);
    })
    .await;
    let two = bench.another().await;
    let (_silent, _) = bench.session(register("one")).await;
    let namesake = pb::Register { instance_id: "another".into(), ..register("one") };
    let deadline = Instant::now() + DEADLINE;
    while let Err(refused) = two.open(Daemon::Register(namesake.clone())).await {
        assert!(refused.message().contains("another daemon named"), "{refused}");
        assert!(Instant::now() < deadline, "the name gets free");
    }
}

#[tokio::test]
async fn the_late_end_of_a_stream_hides_nobody_who_came_back_elsewhere() {
    let bench = bench(|_| {}).await;
    let two = bench.another().await;
    let (first, _) = bench.session(register("one")).await;
    let (_second, _) = two.session(register("one")).await;
    first.leave().await;
    assert_eq!(bench.daemon().await, ("instance of one".to_owned(), false));
}

#[tokio::test]
async fn a_stored_result_is_confirmed_to_who_comes_back() {
    let bench = bench(|_| {}).await;
    let (mut first, _) = bench.session(register("one")).await;
    bench.job().await;
    let assign = first.assign().await;
    first.send(Daemon::Result(result(&assign, pb::Outcome::Succeeded, 0))).await;
    assert!(matches!(first.next().await.unwrap(), Server::ResultStored(_)));
    // It might as well not have heard that.
    let held = pb::HeldJob {
        job_id: assign.job_id.clone(),
        lease_id: assign.lease_id.clone(),
        phase: pb::JobPhase::Finished.into(),
        last_log_number: 0,
    };
    let again = pb::Register { held: vec![held], capacity: 1, ..register("one") };
    let (mut second, registered) = bench.session(again).await;
    assert_eq!((registered.resumed.len(), registered.lost.len()), (1, 0));
    assert!(matches!(second.next().await.unwrap(), Server::ResultStored(stored) if stored.lease_id == assign.lease_id));
    // Leases are renewed, and this one isn't missed.
    let renewed = timeout(DEADLINE, second.messages.message()).await.unwrap().unwrap().unwrap().message.unwrap();
    assert!(matches!(renewed, Server::HeartbeatAck(_)), "{renewed:?}");
    let next = bench.job().await;
    assert_eq!(second.assign().await.job_id, next.to_string(), "nor does it take a place");
    second.send(Daemon::Result(result(&assign, pb::Outcome::Succeeded, 0))).await;
    assert!(matches!(second.next().await.unwrap(), Server::ResultStored(_)));
}

#[tokio::test]
async fn what_never_reached_a_daemon_is_handed_out_again_when_it_comes_back() {
    let bench = bench(|_| {}).await;
    let (mut first, _) = bench.session(register("one")).await;
    let id = bench.job().await;
    first.assign().await;
    drop(first);
    let (mut second, _) = bench.session(register("one")).await;
    let assign = second.assign().await;
    assert_eq!((assign.job_id, assign.attempt), (id.to_string(), 2));
    assert_eq!(bench.row(id).await.losses, 0);
}
