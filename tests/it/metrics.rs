//! What operators watch: metrics, the daemon's probes.

use std::collections::{BTreeMap, BTreeSet};

use orgplane_tests::wait::SHORT;
use orgplane_tests::world::text;
use orgplane_tests::{Archive, Daemon, Databases, Deployment, LONG, Rest, eventually};
use serde_json::json;

async fn metrics(monitor: &Rest) -> String {
    let answer = monitor.get("/metrics").await;
    assert_eq!(answer.status, 200);
    answer.text()
}

/// A sample's value.
fn sample(metrics: &str, series: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// Names and types as they are shown.
fn families(metrics: &str) -> BTreeMap<String, String> {
    let types = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

on_each_database!(they_tell_what_waits_and_who_is_there);

async fn they_tell_what_waits_and_who_is_there(database: Databases) {
    let mut deployment = Deployment::on(database).flag("--metrics-address", "127.0.0.1:0").unrecorded().start().await;
    let owner = deployment.rest().first_user().await;
    let watched = deployment.process().metrics().await;
    deployment.rest().get("/metrics").await.refused(404);
    let organization = owner.organization("data-platform").await;
    let key = owner.key(&organization, "key", json!({"region": "east"})).await;
    let mut daemon = Daemon::start_with(&deployment, "one", &key, "echo", &["--health-address", "127.0.0.1:0"]);
    owner.daemon(&organization, "one", "idle").await;
    let east = json!({"region": "east"});
    let done = owner.import(&organization, Archive::echo(&json!({})), "echo", east).await;
    owner.imported(&text(&done, "id"), LONG).await;
    for number in 0..120 {
        let tags = json!({"pool": format!("p{number}")});
        owner.import(&organization, Archive::echo(&json!({})), "echo", tags).await;
    }
    let shown = eventually("the pending jobs", SHORT, async || {
        let shown = metrics(&watched).await;
        (sample(&shown, r#"orgplane_jobs_pending{organization="other",tags="other"}"#) == Some(20.0)).then_some(shown)
    });
    let shown = shown.await;
    let apart = shown.lines().filter(|line| line.starts_with("orgplane_jobs_pending{")).count();
    assert_eq!(apart, 101, "made-up tags are bounded\n{shown}");
    let idle = r#"orgplane_daemons{organization="data-platform",tags="region=east",state="idle"}"#;
    assert_eq!(sample(&shown, idle), Some(1.0), "{shown}");
    assert_eq!(sample(&shown, "orgplane_sessions"), Some(1.0));
    assert_eq!(sample(&shown, "orgplane_database_up"), Some(1.0));
    let _ = owner.get("/api/v2/made/up/path").await;
    let shown = metrics(&watched).await;
    assert!(!shown.contains("made/up") && shown.contains(r#"route="/api/v2/templateversions/{template_version}""#));
    assert!(shown.trim_end().ends_with("# EOF"));

    let own = daemon.process().metrics().await;
    for probe in ["/healthz", "/readyz"] {
        assert_eq!(own.get(probe).await.status, 200, "{probe}");
    }
    let of_daemon = metrics(&own).await;
    assert_eq!(sample(&of_daemon, "orgplane_daemon_connected"), Some(1.0), "{of_daemon}");
    assert_eq!(sample(&of_daemon, "orgplane_daemon_jobs_done_total"), Some(1.0), "{of_daemon}");
    documented(&[families(&shown), families(&of_daemon)]);
    assert_eq!(deployment.stop().await.code(), Some(0));
    eventually("the daemon to see that", SHORT, async || (own.get("/readyz").await.status == 503).then_some(())).await;
    assert_eq!(own.get("/healthz").await.status, 200);
}

/// The table in `docs/operating.md` names what is shown, and nothing else.
fn documented(shown: &[BTreeMap<String, String>]) {
    let guide = std::fs::read_to_string(orgplane_tests::binary::root().join("docs/operating.md")).unwrap();
    let rows = guide.lines().filter_map(|line| line.strip_prefix("| `orgplane_")).map(|row| {
        let mut cells = row.split('|').map(|cell| cell.trim().trim_end_matches('`').to_owned());
        let name = cells.next().unwrap();
        (
            format!(
                "orgplane_{}",
                name.split('{').next().unwrap().trim_end_matches("_total").trim_end_matches("_info")
            ),
            cells.next().unwrap(),
        )
    });
    let rows: BTreeSet<_> = rows.collect();
    let shown: BTreeSet<_> = shown.iter().flatten().map(|(name, kind)| (name.clone(), kind.clone())).collect();
    assert_eq!(rows, shown);
}
