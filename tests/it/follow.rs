//! Logs that are followed and workspaces that are watched: over WebSockets, server-sent events and gRPC.

use std::time::{Duration, Instant};

use orgplane_proto::provisioner::v1::provisioner_job_service_client::ProvisionerJobServiceClient;
use orgplane_proto::provisioner::v1::{Assign, Outcome, StreamJobLogsRequest};
use orgplane_tests::rest::{Events, Socket};
use orgplane_tests::scripted::logs;
use orgplane_tests::world::text;
use orgplane_tests::{Archive, Databases, Deployment, LONG, Process, Rest, SHORT, Session, eventually};
use serde_json::{Value, json};
use tonic::Code;

on_each_database!(
    a_log_is_followed_to_its_end,
    a_canceled_job_ends_its_followers,
    a_workspace_is_watched,
    a_stopping_server_sends_followers_away,
);

/// A server, its owner, and a daemon that does what the test says.
struct Stage {
    deployment: Deployment,
    owner: Rest,
    organization: String,
    session: Session,
}

impl Stage {
    async fn set(deployment: Deployment) -> Self {
        let (owner, organization, key) = deployment.furnished().await;
        let session = Session::start(&deployment, &key, "one").await;
        Self { deployment, owner, organization, session }
    }

    /// Queues an import; the path of its version.
    async fn import(&self) -> String {
        let version = self.owner.import(&self.organization, Archive::terraform("hello"), "terraform", json!({})).await;
        format!("/api/v2/templateversions/{}", text(&version, "id"))
    }

    /// A template, and a workspace whose first build waits.
    async fn workspace(&mut self) -> Value {
        let version = self.import().await;
        let assign = self.session.take_job().await;
        self.session.finish(&assign, Outcome::Succeeded, 0).await;
        let id = version.rsplit('/').next().unwrap();
        let body = json!({"name": "hello", "template_version_id": id});
        let path = format!("/api/v2/organizations/{}/templates", self.organization);
        let template = self.owner.post(&path, body).await.expect(201);
        self.owner.workspace("dev", &template).await
    }
}

fn ids(lines: &[Value]) -> Vec<i64> {
    lines.iter().map(|line| line["id"].as_i64().unwrap()).collect()
}

fn done() -> Option<(u16, String)> {
    Some((1000, "done".to_owned()))
}

async fn take(socket: &mut Socket, lines: usize) -> Vec<Value> {
    let mut taken = Vec::new();
    for _ in 0..lines {
        taken.push(socket.next().await.expect("the job hasn't ended"));
    }
    taken
}

async fn a_log_is_followed_to_its_end(database: Databases) {
    let mut stage = Stage::set(Deployment::on(database).start().await).await;
    let path = stage.import().await;
    let mut from_start = stage.owner.socket(&format!("{path}/logs?follow")).await;
    let assign = stage.session.take_job().await;
    stage.session.log(&assign, 1, &["one", "two <b>", ""]).await;
    let first = take(&mut from_start, 3).await;
    assert_eq!(ids(&first), [1, 2, 3]);
    assert_eq!(first[1]["output"], "two <b>");

    // From the middle; the value of `follow` doesn't count.
    let mut from_middle = stage.owner.socket(&format!("{path}/logs?after=2&follow=false")).await;
    assert_eq!(ids(&take(&mut from_middle, 1).await), [3]);
    stage.session.log(&assign, 4, &["four"]).await;
    assert_eq!(ids(&take(&mut from_middle, 1).await), [4]);
    assert_eq!(ids(&take(&mut from_start, 1).await), [4]);

    // Lines and result on each other's heels: the end comes after the last line.
    let rest: Vec<String> = (5..=500).map(|n| format!("line {n}")).collect();
    stage.session.log(&assign, 5, &rest.iter().map(String::as_str).collect::<Vec<_>>()).await;
    stage.session.finish(&assign, Outcome::Succeeded, 500).await;
    for socket in [&mut from_start, &mut from_middle] {
        let (lines, closed) = socket.rest().await;
        assert_eq!(ids(&lines), (5..=500).collect::<Vec<_>>());
        assert_eq!(closed, done());
    }

    // Of a job that has ended: what is stored, as the array has it, and the end.
    let stored = stage.owner.logs(&path).await;
    let (lines, closed) = stage.owner.socket(&format!("{path}/logs?follow")).await.rest().await;
    assert_eq!((lines, closed), (stored, done()));
    for (after, expected) in [(499, vec![500]), (500, vec![]), (9999, vec![])] {
        let (lines, closed) = stage.owner.socket(&format!("{path}/logs?follow&after={after}")).await.rest().await;
        assert_eq!((ids(&lines), closed), (expected, done()), "after {after}");
    }
}

async fn a_canceled_job_ends_its_followers(database: Databases) {
    let stage = Stage::set(Deployment::on(database).start().await).await;
    let tags = json!({"nobody": "has this"});
    let version = stage.owner.import(&stage.organization, Archive::terraform("hello"), "terraform", tags).await;
    let path = format!("/api/v2/templateversions/{}", text(&version, "id"));
    let mut socket = stage.owner.socket(&format!("{path}/logs?follow")).await;
    let _ = stage.owner.patch(&format!("{path}/cancel"), json!({})).await.expect(200);
    assert_eq!(socket.rest().await, (Vec::new(), done()));
    assert_eq!(stage.owner.get(&path).await.expect(200)["job"]["status"], "canceled");
}

#[tokio::test]
async fn lines_of_one_server_are_followed_on_another() {
    if !Databases::Postgres.is_present() {
        return;
    }
    let mut stage = Stage::set(Deployment::on(Databases::Postgres).start().await).await;
    let mut second = Process::start("second server", &mut stage.deployment.second_server());
    let ready = |line: &str| line.strip_prefix("Orgplane is ready at ").map(|url| url.trim().to_owned());
    let there = Rest::new(&second.line(LONG, ready).await).with(stage.owner.token());
    let path = stage.import().await;
    let mut socket = there.socket(&format!("{path}/logs?follow")).await;
    let assign = stage.session.take_job().await;
    for number in 1..=5 {
        stage.session.log(&assign, number, &["a line"]).await;
        stage.session.acknowledged(number).await;
        let stored = Instant::now();
        assert_eq!(ids(&take(&mut socket, 1).await), [number]);
        assert!(stored.elapsed() < Duration::from_secs(5), "{:?}", stored.elapsed());
    }
    stage.session.finish(&assign, Outcome::Failed, 5).await;
    assert_eq!(socket.rest().await, (Vec::new(), done()));
}

#[tokio::test]
async fn who_may_not_follow_is_answered_before_the_upgrade() {
    let mut stage = Stage::set(Deployment::start().await).await;
    let workspace = stage.workspace().await;
    let path = format!("/api/v2/workspacebuilds/{}/logs", text(&workspace["latest_build"], "id"));
    let follow = format!("{path}?follow");
    let (owner, anyone) = (&stage.owner, stage.deployment.rest());
    let token = owner.token();

    // Every documented place of a token.
    let origin = stage.deployment.rest_url().to_owned();
    let cookie = format!("coder_session_token={token}");
    for request in [
        anyone.upgrade(&follow).header("Coder-Session-Token", token),
        anyone.upgrade(&follow).header("Authorization", format!("Bearer {token}")),
        anyone.upgrade(&format!("{follow}&coder_session_token={token}")),
        anyone.upgrade(&format!("{follow}&access_token={token}")),
        anyone.upgrade(&follow).header("Cookie", &cookie).header("Origin", &origin),
    ] {
        drop(anyone.open(request, None).await);
    }
    let foreign = anyone.upgrade(&follow).header("Cookie", &cookie).header("Origin", "https://evil.example");
    anyone.send(foreign).await.refused(403);
    anyone.send(anyone.upgrade(&follow).header("Cookie", &cookie)).await.refused(403);
    anyone.send(anyone.upgrade(&follow)).await.refused(401);

    let away = owner.organization("away").await;
    let (stranger, _) = owner.user("stranger", &[&away]).await;
    let watch = format!("/api/v2/workspaces/{}/watch", text(&workspace, "id"));
    stranger.send(stranger.upgrade(&follow)).await.refused(404);
    stranger.send(stranger.upgrade(&format!("{watch}-ws"))).await.refused(404);
    stranger.get(&watch).await.refused(404);
    for (query, field) in
        [("after=x", "after"), ("after=-1", "after"), ("format=xml", "format"), ("format=text", "format")]
    {
        owner.send(owner.upgrade(&format!("{follow}&{query}"))).await.refused_for(400, field);
    }
    let nothing = follow.replace(&text(&workspace["latest_build"], "id"), &uuid::Uuid::new_v4().to_string());
    owner.send(owner.upgrade(&nothing)).await.refused(404);
    owner.get(&follow).await.refused(426);
    owner.get(&format!("{watch}-ws")).await.refused(426);
    let text = owner.get(&format!("{path}?format=text")).await;
    assert_eq!(text.headers["content-type"], "text/plain; charset=utf-8");

    // A session that ends takes its sockets along.
    let again = stage.deployment.rest().login("owner@example.com").await;
    let mut log = again.socket(&follow).await;
    let mut changes = again.events(&watch).await;
    assert_eq!(changes.next().await.expect("the workspace").0, "data");
    let _ = again.post("/api/v2/users/logout", json!({})).await.expect(200);
    let (_, closed) = log.rest().await;
    assert_eq!(closed.expect("a close frame").0, 1008);
    assert_eq!(changes.next().await.expect("an error").0, "error");
    assert!(changes.next().await.is_none());
}

/// The next state of a workspace that `is` takes.
async fn until(events: &mut Events, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let (kind, data) = events.next().await.unwrap_or_else(|| panic!("the stream ended before {what}"));
        assert_eq!(kind, "data", "{data}");
        if is(&data) {
            return data;
        }
        assert!(start.elapsed() < SHORT, "not {what}: {data}");
    }
}

async fn a_workspace_is_watched(database: Databases) {
    let mut stage = Stage::set(Deployment::on(database).start().await).await;
    let workspace = stage.workspace().await;
    let path = format!("/api/v2/workspaces/{}", text(&workspace, "id"));
    let assign = stage.session.take_job().await;
    let mut events = stage.owner.events(&format!("{path}/watch")).await;
    let mut socket = stage.owner.socket(&format!("{path}/watch-ws")).await;
    let status = |is: &'static str| move |data: &Value| data["latest_build"]["status"] == is;
    let now = until(&mut events, "starting", status("starting")).await;
    assert_eq!(now["id"], workspace["id"]);
    let message = socket.next().await.unwrap();
    assert_eq!((&message["type"], &message["data"]["id"]), (&json!("data"), &workspace["id"]), "{message}");

    stage.session.finish(&assign, Outcome::Succeeded, 0).await;
    let running = until(&mut events, "running", status("running")).await;
    assert_eq!(running, stage.owner.get(&path).await.expect(200));
    let deletion = stage.owner.build(&workspace, "delete").await;
    let next = until(&mut events, "deleting", |data| data["latest_build"]["id"] == deletion["id"]).await;
    assert!(["pending", "deleting"].contains(&text(&next["latest_build"], "status").as_str()), "{next}");
    let assign = stage.session.take_job().await;
    stage.session.finish(&assign, Outcome::Succeeded, 0).await;
    let _ = until(&mut events, "deleted", status("deleted")).await;
    loop {
        let message = socket.next().await.unwrap();
        if message["data"]["latest_build"]["status"] == "deleted" {
            break;
        }
    }
    stage.owner.get(&format!("{path}/watch")).await.refused(410);
}

async fn a_stopping_server_sends_followers_away(database: Databases) {
    let mut stage = Stage::set(Deployment::on(database).start().await).await;
    let workspace = stage.workspace().await;
    let build = text(&workspace["latest_build"], "id");
    let assign = stage.session.take_job().await;
    stage.session.log(&assign, 1, &["one"]).await;
    let mut socket = stage.owner.socket(&format!("/api/v2/workspacebuilds/{build}/logs?follow")).await;
    take(&mut socket, 1).await;
    let mut events = stage.owner.events(&format!("/api/v2/workspaces/{}/watch", text(&workspace, "id"))).await;
    let _ = until(&mut events, "anything", |_| true).await;
    let api = stage.deployment.grpc(Some(stage.owner.token())).await;
    let request = StreamJobLogsRequest { workspace_build: build, follow: true, ..Default::default() };
    let mut lines =
        ProvisionerJobServiceClient::new(api.transport()).stream_job_logs(request).await.unwrap().into_inner();
    assert_eq!(lines.message().await.unwrap().expect("the line").logs.len(), 1);

    let start = Instant::now();
    let status = stage.deployment.stop().await;
    assert!(status.success(), "{status:?}");
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    let (_, closed) = socket.rest().await;
    assert_eq!(closed.expect("a close frame").0, 1001);
    assert_eq!(lines.message().await.unwrap_err().code(), Code::Unavailable);
    let mut last = None;
    while let Some((kind, _)) = events.next().await {
        last = Some(kind);
    }
    assert_eq!(last.as_deref(), Some("error"));
}

/// Bytes of memory that a server has had at most.
fn peak(deployment: &mut Deployment) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", deployment.process().pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

const BATCHES: i64 = 100;
const LINES: i64 = 200;

async fn say_much(stage: &mut Stage, assign: &Assign) {
    use orgplane_proto::provisioner::v1::daemon_message::Message;
    let line = "x".repeat(1000);
    let lines = vec![line.as_str(); usize::try_from(LINES).unwrap()];
    for batch in 0..BATCHES {
        stage.session.say(Message::Logs(logs(assign, batch * LINES + 1, &lines))).await;
        stage.session.acknowledged((batch + 1) * LINES).await;
    }
}

#[tokio::test]
async fn a_slow_reader_is_cut_off_and_not_buffered() {
    let deployment = Deployment::on(Databases::Sqlite).flag("--job-log-limit", "67108864").unrecorded().start().await;
    let mut stage = Stage::set(deployment).await;
    let path = format!("{}/logs?follow", stage.import().await);
    let assign = stage.session.take_job().await;
    let mut slow = Vec::new();
    for _ in 0..10 {
        slow.push(stage.owner.open(stage.owner.upgrade(&path), Some(4096)).await);
    }
    let mut reader = stage.owner.socket(&path).await;
    let reading = tokio::spawn(async move { reader.rest().await });
    let before = peak(&mut stage.deployment);
    say_much(&mut stage, &assign).await;
    stage.session.finish(&assign, Outcome::Succeeded, BATCHES * LINES).await;
    let (lines, closed) = reading.await.unwrap();
    assert_eq!((lines.len(), closed), ((BATCHES * LINES).try_into().unwrap(), done()), "others aren't held up");

    let process = stage.deployment.process();
    eventually("the slow readers to be cut off", Duration::from_secs(60), || {
        let cut_off = process.stderr().matches("too slow").count();
        std::future::ready((cut_off >= 10).then_some(()))
    })
    .await;
    let grown = peak(&mut stage.deployment) - before;
    assert!(grown < 80 * 1024 * 1024, "{} MiB for readers of 10 times 20 MB", grown / 1024 / 1024);
    for mut socket in slow {
        let (lines, closed) = socket.rest().await;
        assert!((lines.len() as i64) < BATCHES * LINES, "{}", lines.len());
        assert_ne!(closed, done(), "it can't take the log for complete");
    }
}

#[tokio::test]
async fn nobody_takes_the_places_of_all() {
    let stage = Stage::set(Deployment::start().await).await;
    let path = format!("{}/logs?follow", stage.import().await);
    let (ada, _) = stage.owner.user("ada", &[&stage.organization]).await;
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(stage.owner.socket(&path).await);
    }
    let refused = stage.owner.send(stage.owner.upgrade(&path)).await;
    assert!(refused.refused(429).contains("64 open streams"), "{}", refused.text());
    let _other = ada.socket(&path).await;
    drop(open);
    eventually("a place for another", SHORT, async || {
        let status = stage.owner.upgrade(&path).send().await.unwrap().status();
        (status == 101).then_some(())
    })
    .await;
}
