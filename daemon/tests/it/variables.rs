//! The values of a template's variables on their way into Terraform, and not into the log.

use orgplane_daemon::EngineKind;
use orgplane_proto::provisioner::v1::{Outcome, VariableValue, WorkspaceTransition};

use crate::fake::Server;
use crate::terraform::terraform;

#[tokio::test(flavor = "multi_thread")]
async fn ephemeral_values_are_given_to_plan_and_apply() {
    if !terraform() {
        return;
    }
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Terraform);
    let mut peer = server.registered().await;
    let text = "variable \"token\" {\n  ephemeral = true\n}\nvariable \"kept\" {}\n\
                resource \"terraform_data\" \"x\" {\n  input = var.kept\n  provisioner \"local-exec\" {\n    \
                command = \"test \\\"$T\\\" = let-in\"\n    environment = { T = var.token }\n  }\n}\n";
    let value =
        |name: &str, value: &str| VariableValue { name: name.to_owned(), value: value.to_owned(), sensitive: false };
    let mut state = None;
    for transition in [WorkspaceTransition::Start, WorkspaceTransition::Delete] {
        let mut job = server.build("terraform", &[("main.tf", text)], transition, state);
        job.variables = vec![value("token", "let-in"), value("kept", "k")];
        let story = peer.run(&job).await;
        assert_eq!(story.result().outcome(), Outcome::Succeeded, "{transition:?}\n{}", story.text());
        state = story.result().state.clone();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sensitive_lists_hold_is_not_in_the_log() {
    if !terraform() {
        return;
    }
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Terraform);
    let mut peer = server.registered().await;
    let text = r#"
        variable "tokens" {
          type      = list(string)
          sensitive = "true"
        }
        resource "terraform_data" "x" {
          provisioner "local-exec" {
            command = "echo the token is ${nonsensitive(var.tokens)[1]}"
          }
        }
    "#;
    let mut job = server.build("terraform", &[("main.tf", text)], WorkspaceTransition::Start, None);
    let value = r#"["first", "t0p-secret"]"#.to_owned();
    job.variables = vec![VariableValue { name: "tokens".to_owned(), value, sensitive: false }];
    let story = peer.run(&job).await;
    assert_eq!(story.result().outcome(), Outcome::Succeeded, "{}", story.text());
    assert!(story.count("the token is (sensitive value)") > 0, "{}", story.text());
    assert_eq!(story.count("t0p-secret"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sensitive_values_are_not_in_the_log() {
    if !terraform() {
        return;
    }
    let mut server = Server::start().await;
    let (_stop, _daemon) = server.daemon(EngineKind::Terraform);
    let mut peer = server.registered().await;
    let text = r#"
        variable "token" {}
        resource "terraform_data" "x" {
          provisioner "local-exec" {
            command = "echo the token is ${nonsensitive(var.token)}"
          }
        }
    "#;
    // Terraform itself doesn't know that it is sensitive.
    let text = text.replace("nonsensitive(var.token)", "var.token");
    let mut job = server.build("terraform", &[("main.tf", &text)], WorkspaceTransition::Start, None);
    job.variables = vec![VariableValue { name: "token".to_owned(), value: "t0p-secret".to_owned(), sensitive: true }];
    let story = peer.run(&job).await;
    assert_eq!(story.result().outcome(), Outcome::Succeeded, "{}", story.text());
    assert!(story.count("the token is (sensitive value)") > 0, "{}", story.text());
    assert_eq!(story.count("t0p-secret"), 0);
}
