//! `…/provisionerdaemons`: who is connected, and the documented filters.

use orgplane_tests::scripted::{Session, register};
use orgplane_tests::wait::{SHORT, eventually};
use orgplane_tests::world::text;
use orgplane_tests::{Archive, Deployment, Rest};
use serde_json::{Value, json};

async fn list(client: &Rest, query: &str) -> Value {
    client.get(&format!("/api/v2/organizations/data-platform/provisionerdaemons{query}")).await.expect(200)
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|d| d["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_connected_daemon_is_listed_and_filtered() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.organization("data-platform").await;
    let plain = owner.key(&organization, "plain", json!({})).await;
    let tagged = owner.key(&organization, "tagged", json!({"region": "east"})).await;
    assert_eq!(list(&owner, "").await, json!([]));

    let (_one, registered) = Session::register(&deployment, &plain, register("one")).await.unwrap();
    assert_eq!(registered.organization_id, organization);
    assert_eq!(registered.organization_name, "data-platform");
    let two = Session::start(&deployment, &tagged, "two").await;

    let all = list(&owner, "").await;
    assert_eq!(names(&all), ["two", "one"], "newest first");
    let one = &all[1];
    assert_eq!(text(one, "id"), registered.daemon_id);
    assert_eq!((&one["key_name"], &one["status"]), (&json!("plain"), &json!("idle")));
    assert_eq!(one["provisioners"], json!(["terraform"]));
    assert_eq!(one["tags"], json!({"scope": "organization", "owner": ""}));
    assert_eq!((&one["current_job"], &one["previous_job"]), (&Value::Null, &Value::Null));

    let id = text(one, "id");
    let tags = "%7B%22region%22%3A%22east%22%7D";
    for (query, expected) in [
        ("?limit=1".to_owned(), vec!["two"]),
        ("?limit=0".to_owned(), vec!["two", "one"]),
        (format!("?ids={id}"), vec!["one"]),
        ("?status=idle".to_owned(), vec!["two", "one"]),
        ("?status=busy,offline".to_owned(), vec![]),
        (format!("?tags={tags}"), vec!["two"]),
        ("?max_age=1h".to_owned(), vec!["two", "one"]),
    ] {
        assert_eq!(names(&list(&owner, &query).await), expected, "{query}");
    }
    for (query, field) in [
        ("?limit=-1", "limit"),
        ("?limit=x", "limit"),
        ("?ids=x", "ids"),
        ("?status=unknown", "status"),
        ("?tags=x", "tags"),
        ("?max_age=x", "max_age"),
        ("?offline=2", "offline"),
        ("?bogus=1", "bogus"),
    ] {
        let path = format!("/api/v2/organizations/data-platform/provisionerdaemons{query}");
        owner.get(&path).await.refused_for(400, field);
    }

    // One that is gone is hidden unless asked for.
    drop(two);
    owner.daemon(&organization, "two", "offline").await;
    assert_eq!(names(&list(&owner, "").await), ["one"]);
    assert_eq!(names(&list(&owner, "?offline").await), ["two", "one"]);
    assert_eq!(names(&list(&owner, "?status=offline").await), ["two"]);
    owner.organization("other").await;
    assert_eq!(owner.get("/api/v2/organizations/other/provisionerdaemons?offline=true").await.expect(200), json!([]));
}

#[tokio::test]
async fn jobs_of_a_daemon_are_shown() {
    let deployment = Deployment::start().await;
    let (owner, organization, key) = deployment.furnished().await;
    let mut session = Session::start(&deployment, &key, "one").await;
    let version = owner.import(&organization, Archive::terraform("hello"), "terraform", json!({})).await;
    let assign = session.take_job().await;
    let busy = owner.daemon(&organization, "one", "busy").await;
    assert_eq!(busy["current_job"]["id"], version["job"]["id"]);
    assert_eq!(busy["current_job"]["status"], "running");
    session.finish(&assign, orgplane_proto::provisioner::v1::Outcome::Succeeded, 0).await;
    let idle = owner.daemon(&organization, "one", "idle").await;
    assert_eq!(idle["current_job"], Value::Null);
    assert_eq!(idle["previous_job"]["id"], version["job"]["id"]);
    assert_eq!(idle["previous_job"]["status"], "succeeded");
}

#[tokio::test]
async fn a_daemon_that_comes_back_is_the_same() {
    let deployment = Deployment::start().await;
    let (owner, _, key) = deployment.furnished().await;
    let message = register("one");
    let (session, first) = Session::register(&deployment, &key, message.clone()).await.unwrap();
    // Another daemon can't have the name of one that is connected.
    let status = Session::register(&deployment, &key, register("ONE")).await.unwrap_err();
    assert!(status.message().contains("one") || status.message().contains("ONE"), "{status:?}");
    drop(session);
    let again = eventually("the name to be free", SHORT, async || {
        Session::register(&deployment, &key, message.clone()).await.ok()
    });
    let (_session, again) = again.await;
    assert_eq!(again.daemon_id, first.daemon_id);
    assert_eq!(names(&list(&owner, "").await), ["one"]);
}
