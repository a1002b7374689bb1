//! Two servers on one PostgreSQL: what one takes in reaches the daemons of the other at once.

use std::time::{Duration, Instant};

use orgplane_proto::provisioner::v1::Outcome;
use orgplane_proto::provisioner::v1::server_message::Message as Heard;
use orgplane_tests::world::text;
use orgplane_tests::{Archive, Databases, Deployment, LONG, Process, Session};
use serde_json::json;

/// A daemon hears of a cancel on another server in less than this.
const CANCEL: Duration = Duration::from_secs(1);
/// Longer than any test waits: what nobody announces isn't found.
const NEVER: &str = "1h";

#[tokio::test]
async fn what_one_takes_in_reaches_the_daemons_of_the_other() {
    if !Databases::Postgres.is_present() {
        return;
    }
    let builder = Deployment::on(Databases::Postgres).flag("--poll-interval", NEVER);
    let builder = builder.flag("--heartbeat-interval", "15s").flag("--contact-lost-after", "2m");
    let mut first = builder.start().await;
    let mut second = Process::start("second server", &mut first.second_server());
    let url =
        second.line(LONG, |line| line.strip_prefix("Orgplane is ready at ").map(|url| url.trim().to_owned())).await;
    let (owner, organization, key) = first.furnished().await;
    let mut session = Session::start_at(&url, &key, "one").await;

    for round in 0..3 {
        let version = owner.import(&organization, Archive::terraform(&round.to_string()), "terraform", json!({})).await;
        let assign = session.take_job().await;
        assert_eq!(json!(assign.job_id), version["job"]["id"]);
        let path = format!("/api/v2/templateversions/{}", text(&version, "id"));
        let start = Instant::now();
        let _ = owner.patch(&format!("{path}/cancel"), json!({})).await.expect(200);
        let heard = session.find("Cancel", |message| match message {
            Heard::Cancel(cancel) => Some(cancel),
            _ => None,
        });
        assert_eq!(heard.await.job_id, assign.job_id);
        assert!(start.elapsed() < CANCEL, "round {round}: {:?}", start.elapsed());
        session.finish(&assign, Outcome::Canceled, 0).await;
        assert_eq!(owner.get(&path).await.expect(200)["job"]["status"], "canceled");
        // A connection that broke is made again, and what was said meanwhile is found: here the next round's job.
        let hang_up = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND query LIKE 'LISTEN%'";
        first.database().execute(hang_up).await;
    }

    // A key that is deleted on one ends its daemons' sessions on the other.
    let deleted = owner.delete("/api/v2/organizations/data-platform/provisionerkeys/key").await;
    let _ = deleted.expect(204);
    assert_eq!(session.end().await.code(), tonic::Code::Unauthenticated);
    assert!(second.stop().await.success());
    assert!(first.stop().await.success());
}
