//! What engines print: it comes back as it was, and does nothing on its way.

use orgplane_proto::provisioner::v1::Outcome;
use orgplane_tests::world::text;
use orgplane_tests::{Archive, Databases, Deployment, Session};
use serde_json::json;

use super::Watch;

on_each_database!(any_text_is_stored_and_given_back);

async fn any_text_is_stored_and_given_back(database: Databases) {
    let mut deployment = Deployment::on(database).start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.default_organization().await;
    let key = owner.key(&organization, "key", json!({})).await;
    let mut session = Session::start(&deployment, &key, "one").await;
    let version = owner.import(&organization, Archive::terraform("hello"), "terraform", json!({})).await;
    let assign = session.take_job().await;
    let watch = Watch::begin(&mut deployment).await;
    let long = "x".repeat(400_000);
    let lines = [
        "",
        " ",
        "\u{1b}[31mred\u{1b}[0m",
        "\u{1b}]8;;https://example.com\u{7}a link\u{1b}]8;;\u{7}",
        "\u{1b}]52;c;cm0gLXJmIC8=\u{7}",
        "10%\r20%\r30%",
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n\r\n",
        "</script><script>alert(1)</script>",
        "a\0b",
        "\u{feff}\u{202e}\u{fffd}\u{2028}",
        "{\"json\": \"\\u0000\"}",
        "${jndi:ldap://x} %s %n {}",
        long.as_str(),
    ];
    session.log(&assign, 1, &lines).await;
    session.acknowledged(lines.len() as i64).await;
    let path = format!("/api/v2/templateversions/{}", text(&version, "id"));
    let stored = owner.logs(&path).await;
    for (line, stored) in lines.iter().zip(&stored) {
        // A NUL is shown as what can't be shown: databases don't take it.
        assert_eq!(stored["output"], line.replace('\0', "\u{fffd}"));
    }
    let answer = owner.get(&format!("{path}/logs")).await;
    assert!(!answer.bytes.iter().any(|byte| [0, 0x1b, b'<'].contains(byte)), "raw control characters or markup");
    let told = owner.get(&format!("{path}/logs?format=text")).await;
    let _ = told.expect(200);
    assert_eq!(told.headers["content-type"], "text/plain; charset=utf-8");
    session.finish(&assign, Outcome::Succeeded, lines.len() as i64).await;
    watch.end_with_rows(&mut deployment);
}
