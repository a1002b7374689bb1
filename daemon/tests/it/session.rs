//! The stream: who may connect, what a broken one costs, how it ends.

use std::time::Duration;

use orgplane_daemon::{EngineKind, Error, Secret};
use orgplane_proto::provisioner::v1::daemon_message::Message;
use orgplane_proto::provisioner::v1::server_message::Message as Say;
use orgplane_proto::provisioner::v1::{
    Cancel, GoAway, GoAwayReason, JobErrorCode, LeaseLost, LostJob, Outcome, Registered, RejectReason, ResumedJob,
    Verdict, WorkspaceTransition,
};
use prometheus_client::registry::Registry;
use tokio::io::AsyncWriteExt as _;
use tonic::Status;

use crate::fake::{Server, Story, eventually, job_dirs, terms};

const SLOW: &str = r#"{"start": {"logs": [{"stage": "Work", "output": "tick", "delay_ms": 20, "repeat": 30}]}}"#;
const ENDLESS: &str = r#"{"start": {"logs": [{"stage": "Work", "output": "tick", "delay_ms": 100, "repeat": 1000}]}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_ends_the_daemon() {
    let server = Server::start().await;
    let mut config = server.config(EngineKind::Echo);
    config.key = Secret::new("orgp_wrong");
    let (_stop, daemon) = server.daemon_with(config);
    let error = daemon.await.unwrap().unwrap_err();
    assert!(matches!(&error, Error::KeyRejected(_)), "{error}");
    assert!(error.to_string().contains("the key is unknown") && !error.to_string().contains("orgp_wrong"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_organizations_key_ends_the_daemon() {
    let mut server = Server::start().await;
    let mut config = server.config(EngineKind::Echo);
    config.organization = Some("other".to_owned());
    let (_stop, daemon) = server.daemon_with(config);
    let peer = server.registered().await;
    assert_eq!(peer.register.organization, "other");
    let error = daemon.await.unwrap().unwrap_err();
    assert!(matches!(&error, Error::Organization { expected, .. } if expected == "other"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_in_the_work_directory_is_refused() {
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Echo);
    server.peer().await;
    let (_stop, second) = server.daemon(EngineKind::Echo);
    assert!(matches!(second.await.unwrap().unwrap_err(), Error::WorkDirLocked(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_late_is_waited_for() {
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Echo);
    for _ in 0..3 {
        server.peer().await.end(Status::unavailable("starting")).await;
    }
    let mut peer = server.registered().await;
    assert!(matches!(peer.hear().await, Some(Message::Heartbeat(h)) if h.free_slots == 1 && h.engines_healthy));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_survives_its_stream() {
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Echo);
    let mut peer = server.registered().await;
    let job = server.build("echo", &[("echo.json", SLOW)], WorkspaceTransition::Start, None);
    let mut story = Story::default();
    peer.say(Say::Assign(job.clone())).await;
    peer.follow(&job, &mut story, |s| s.logs.len() >= 5).await;
    drop(peer);

    let peer = server.peer().await;
    let [held] = peer.register.held.as_slice() else { panic!("the job is held: {:?}", peer.register.held) };
    assert_eq!((&held.job_id, &held.lease_id), (&job.job_id, &job.lease_id));
    // Some of what was acknowledged is lost by the server, as after a failover: it asks for it again.
    drop(peer);
    let mut peer = server.peer().await;
    let next_log_number = story.logs.len() as i64 + 1;
    let resumed = ResumedJob { job_id: job.job_id.clone(), lease_id: job.lease_id.clone(), next_log_number };
    peer.say(Say::Registered(Registered { resumed: vec![resumed], ..terms() })).await;
    peer.follow(&job, &mut story, |_| false).await;
    assert_eq!(story.result().outcome(), Outcome::Succeeded);
    assert_eq!(story.count("tick"), 30);
    let work = server.dir.path().join("work");
    eventually("the job's directory is removed", || job_dirs(&work).is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_job_is_stopped_and_its_slot_free() {
    let mut server = Server::start().await;
    let config = server.config(EngineKind::Echo);
    let vitals = config.vitals.clone();
    let (_stop, _daemon) = server.daemon_with(config);
    let mut peer = server.registered().await;
    let job = server.build("echo", &[("echo.json", ENDLESS)], WorkspaceTransition::Start, None);
    peer.say(Say::Assign(job.clone())).await;
    peer.follow(&job, &mut Story::default(), |s| !s.logs.is_empty()).await;
    drop(peer);
    let mut peer = server.peer().await;
    let (job_id, lease_id) = (job.job_id.clone(), job.lease_id.clone());
    let lost = LostJob { job_id, lease_id, reason: "reaped".to_owned(), next_log_number: 0 };
    peer.say(Say::Registered(Registered { lost: vec![lost], ..terms() })).await;
    let work = server.dir.path().join("work");
    eventually("the job's directory is removed", || job_dirs(&work).is_empty()).await;
    let next = server.build("echo", &[], WorkspaceTransition::Start, None);
    assert_eq!(peer.run(&next).await.result().outcome(), Outcome::Succeeded);

    // The same on a living stream, whose server says it more than once.
    let job = server.build("echo", &[("echo.json", ENDLESS)], WorkspaceTransition::Start, None);
    peer.say(Say::Assign(job.clone())).await;
    peer.follow(&job, &mut Story::default(), |s| !s.logs.is_empty()).await;
    for _ in 0..3 {
        let (job_id, lease_id) = (job.job_id.clone(), job.lease_id.clone());
        peer.say(Say::LeaseLost(LeaseLost { job_id, lease_id, reason: "reaped".to_owned() })).await;
    }
    eventually("the job's directory is removed", || job_dirs(&work).is_empty()).await;
    let mut registry = Registry::default();
    vitals.register(&mut registry);
    let mut shown = String::new();
    prometheus_client::encoding::text::encode(&mut shown, &registry).unwrap();
    assert!(shown.contains("\njobs_lost_total 2\n"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_daemon_gives_jobs_back() {
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Echo);
    let mut peer = server.registered().await;
    let first = server.build("echo", &[("echo.json", ENDLESS)], WorkspaceTransition::Start, None);
    let second = server.build("echo", &[], WorkspaceTransition::Start, None);
    peer.say(Say::Assign(first.clone())).await;
    peer.say(Say::Assign(second.clone())).await;
    let rejected = loop {
        if let Some(Message::Rejected(rejected)) = peer.hear().await {
            break rejected;
        }
    };
    assert_eq!((rejected.reason(), rejected.lease_id), (RejectReason::Full, second.lease_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cant_be_prepared_fails_and_the_next_one_runs() {
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Echo);
    let mut peer = server.registered().await;
    let build = |server: &Server| server.build("echo", &[], WorkspaceTransition::Start, None);
    let mut refused = build(&server);
    refused.archive.as_mut().unwrap().sha256 = "00".to_owned();
    let mut corrupt = build(&server);
    corrupt.archive.as_mut().unwrap().size += 1;
    for (job, word) in [(refused, "no such bytes"), (corrupt, "not those that were asked for")] {
        let story = peer.run(&job).await;
        assert_eq!(story.result().outcome(), Outcome::Failed);
        assert!(story.result().error.contains(word) && story.count(word) == 1, "{:?}", story.result());
    }
    let jobs = server.dir.path().join("work/jobs");
    eventually("the directories are removed", || std::fs::remove_dir(&jobs).is_ok()).await;
    std::fs::write(&jobs, "in the way").unwrap();
    let mut job = build(&server);
    job.next_log_number = 7;
    peer.say(Say::Assign(job)).await;
    let result = loop {
        match peer.hear().await {
            Some(Message::Result(result)) => break result,
            Some(Message::Accepted(_) | Message::Heartbeat(_)) => {}
            other => panic!("unexpected: {other:?}"),
        }
    };
    assert_eq!((result.outcome(), result.last_log_number), (Outcome::Failed, 6));
    assert!(result.error.contains("can't make the job's directory"), "{}", result.error);
    std::fs::remove_file(&jobs).unwrap();
    assert_eq!(peer.run(&build(&server)).await.result().outcome(), Outcome::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_front_of_the_server_cant_end_a_daemon() {
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Echo);
    for status in [Status::unauthenticated("oidc"), Status::permission_denied("rbac"), Status::not_found("no route")] {
        server.peer().await.end(status).await;
    }
    let mut peer = server.registered().await;
    let job = server.build("echo", &[("echo.json", SLOW)], WorkspaceTransition::Start, None);
    let mut story = Story::default();
    peer.say(Say::Assign(job.clone())).await;
    peer.follow(&job, &mut story, |s| s.logs.len() >= 5).await;
    peer.end(Status::unauthenticated("oidc")).await;
    let mut peer = server.peer().await;
    let next_log_number = story.logs.len() as i64 + 1;
    let resumed = ResumedJob { job_id: job.job_id.clone(), lease_id: job.lease_id.clone(), next_log_number };
    peer.say(Say::Registered(Registered { resumed: vec![resumed], ..terms() })).await;
    peer.follow(&job, &mut story, |_| false).await;
    assert_eq!(story.result().outcome(), Outcome::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cant_be_read_back_doesnt_hold_its_job() {
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Echo);
    let mut peer = server.registered().await;
    let job = server.build("echo", &[("echo.json", SLOW)], WorkspaceTransition::Start, None);
    peer.say(Say::Assign(job.clone())).await;
    while !matches!(peer.hear().await.unwrap(), Message::Logs(_)) {}
    let [dir] = &job_dirs(&server.dir.path().join("work"))[..] else { panic!("one job") };
    std::fs::File::options().write(true).open(dir.join("logs")).unwrap().set_len(0).unwrap();
    drop(peer);
    // What it sent on the other stream is to be sent again.
    let mut peer = server.peer().await;
    let resumed = ResumedJob { job_id: job.job_id.clone(), lease_id: job.lease_id.clone(), next_log_number: 1 };
    peer.say(Say::Registered(Registered { resumed: vec![resumed], ..terms() })).await;
    let mut story = Story::default();
    peer.follow(&job, &mut story, |_| false).await;
    assert_eq!(story.result().outcome(), Outcome::Succeeded);
    assert!(story.count("this line is lost") > 0 && story.count("tick") > 0, "{}", story.text());
    assert_eq!(
        story.count("this line is lost") + story.count("tick"),
        story.logs.len() - story.count("\n"),
        "{}",
        story.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_job_ends_canceled() {
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Echo);
    let mut peer = server.registered().await;
    let job = server.build("echo", &[("echo.json", ENDLESS)], WorkspaceTransition::Start, None);
    let mut story = Story::default();
    peer.say(Say::Assign(job.clone())).await;
    peer.follow(&job, &mut story, |s| !s.logs.is_empty()).await;
    let (job_id, lease_id) = (job.job_id.clone(), job.lease_id.clone());
    peer.say(Say::Cancel(Cancel { job_id, lease_id, reason: "canceled by ada".to_owned(), grace: None })).await;
    peer.follow(&job, &mut story, |_| false).await;
    assert_eq!(story.result().outcome(), Outcome::Canceled);
    assert_eq!(story.result().error, "canceled by ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_contact_a_job_is_interrupted_before_its_lease_ends() {
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Echo);
    let mut peer = server.peer().await;
    let lease = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    peer.say(Say::Registered(Registered { lease, ..terms() })).await;
    let job = server.build("echo", &[("echo.json", ENDLESS)], WorkspaceTransition::Start, None);
    let mut story = Story::default();
    peer.say(Say::Assign(job.clone())).await;
    peer.renews = false;
    let begun = tokio::time::Instant::now();
    peer.follow(&job, &mut story, |s| s.rejected.is_some()).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    let rejected = story.rejected.unwrap();
    assert_eq!(rejected.reason(), RejectReason::Infrastructure);
    assert!(rejected.detail.contains("no contact"), "{}", rejected.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_daemon_gives_back_what_changed_nothing() {
    let mut server = Server::start().await;
    let (stop, daemon) = server.daemon(EngineKind::Echo);
    let mut peer = server.registered().await;
    let job = server.build("echo", &[("echo.json", ENDLESS)], WorkspaceTransition::Start, None);
    let mut story = Story::default();
    peer.say(Say::Assign(job.clone())).await;
    peer.follow(&job, &mut story, |s| !s.logs.is_empty()).await;
    stop.interrupt.cancel();
    peer.follow(&job, &mut story, |s| s.rejected.is_some()).await;
    assert_eq!(story.rejected.unwrap().reason(), RejectReason::Draining);
    daemon.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_daemon_ends_after_its_jobs() {
    let mut server = Server::start().await;
    let (stop, daemon) = server.daemon(EngineKind::Echo);
    let mut peer = server.registered().await;
    let job = server.build("echo", &[("echo.json", SLOW)], WorkspaceTransition::Start, None);
    let mut story = Story::default();
    peer.say(Say::Assign(job.clone())).await;
    peer.follow(&job, &mut story, |s| !s.logs.is_empty()).await;
    stop.drain.cancel();
    peer.follow(&job, &mut story, |_| false).await;
    assert!(story.draining);
    assert_eq!(story.result().outcome(), Outcome::Succeeded);
    daemon.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_interrupts_the_jobs_and_ends_the_daemon() {
    let mut server = Server::start().await;
    let (_stop, daemon) = server.daemon(EngineKind::Echo);
    let mut peer = server.registered().await;
    let job = server.build("echo", &[("echo.json", ENDLESS)], WorkspaceTransition::Start, None);
    let mut story = Story::default();
    peer.say(Say::Assign(job.clone())).await;
    peer.follow(&job, &mut story, |s| !s.logs.is_empty()).await;
    peer.say(Say::GoAway(GoAway { reason: GoAwayReason::KeyRevoked.into(), retry_after: None })).await;
    peer.follow(&job, &mut story, |s| s.rejected.is_some()).await;
    assert_eq!(story.rejected.unwrap().reason(), RejectReason::Draining);
    assert!(matches!(daemon.await.unwrap(), Err(Error::KeyRevoked)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_over_its_time_limit_fails() {
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Echo);
    let mut peer = server.registered().await;
    let mut job = server.build("echo", &[("echo.json", ENDLESS)], WorkspaceTransition::Start, None);
    job.time_limit = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    let story = peer.run(&job).await;
    assert_eq!(story.result().outcome(), Outcome::Failed);
    assert!(story.result().error.contains("time limit of 1 seconds"), "{}", story.result().error);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_quota_nothing_is_applied() {
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Echo);
    let mut peer = server.registered().await;
    let script = r#"{"start": {"apply": true, "daily_cost": 5, "after_permit": [{"output": "applied"}]}}"#;
    let job = server.build("echo", &[("echo.json", script)], WorkspaceTransition::Start, None);
    peer.verdict = Verdict::OverQuota;
    let story = peer.run(&job).await;
    assert_eq!((story.asked, story.count("applied"), story.count("9 of 10")), (Some(5), 0, 1));
    assert_eq!(story.result().error_code(), JobErrorCode::InsufficientQuota);
    assert_eq!(story.result().error, "insufficient quota");

    peer.verdict = Verdict::Canceled;
    let job = server.build("echo", &[("echo.json", script)], WorkspaceTransition::Start, None);
    let story = peer.run(&job).await;
    assert_eq!((story.result().outcome(), story.count("applied")), (Outcome::Canceled, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_isnt_grpc_is_tried_again() {
    let server = Server::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = server.config(EngineKind::Echo);
    config.server.url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, daemon) = server.daemon_with(config);
    for _ in 0..3 {
        let (mut socket, _) = tokio::time::timeout(Duration::from_secs(30), listener.accept()).await.unwrap().unwrap();
        let page = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n502";
        socket.write_all(page).await.unwrap();
    }
    stop.drain.cancel();
    daemon.await.unwrap().unwrap();
}
