//! The echo engine.

use orgplane_daemon::EngineKind;
use orgplane_proto::provisioner::v1::result::Payload;
use orgplane_proto::provisioner::v1::{Outcome, WorkspaceTransition};

use crate::fake::Server;

const HELLO: &str = include_str!("../../../deploy/templates/hello-echo/echo.json");

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_script_is_played() {
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Echo);
    let mut peer = server.registered().await;
    let engines: Vec<_> = peer.register.engines.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(engines, ["echo"]);

    let story = peer.run(&server.import("echo", &[("echo.json", HELLO)])).await;
    assert!(story.accepted && story.discovered.as_ref().unwrap().readme.starts_with("# Hello"));
    let Some(Payload::TemplateImport(import)) = &story.result().payload else { panic!("{story:?}") };
    assert_eq!(import.start_resources[0].address, "echo.hello");

    let story = peer.run(&server.build("echo", &[("echo.json", HELLO)], WorkspaceTransition::Start, None)).await;
    assert_eq!(story.result().outcome(), Outcome::Succeeded);
    assert_eq!(story.asked, Some(0));
    assert_eq!(story.count("hello from dev"), 1, "{}", story.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_states_and_broken_scripts() {
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Echo);
    let mut peer = server.registered().await;
    let script = r#"{"start": {"state": {"lineage": "l", "serial": 7, "content": "bytes"},
                               "outcome": "failed", "error": "no luck"}}"#;
    let story = peer.run(&server.build("echo", &[("echo.json", script)], WorkspaceTransition::Start, None)).await;
    assert_eq!((story.result().outcome(), story.result().error.as_str()), (Outcome::Failed, "no luck"));
    let state = story.result().state.clone().unwrap();
    assert_eq!((state.serial, server.bytes(&state.reference.unwrap())), (7, b"bytes".to_vec()));
    assert_eq!(story.checkpoints.len(), 1);

    let story = peer.run(&server.import("echo", &[("echo.json", "{\"imprt\": 1}")])).await;
    assert_eq!(story.result().outcome(), Outcome::Failed);
    assert!(story.result().error.starts_with("echo.json: "), "{}", story.result().error);
}
