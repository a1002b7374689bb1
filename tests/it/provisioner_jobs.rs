//! `…/provisionerjobs`: what waits, what runs, and the documented filters.

use orgplane_proto::provisioner::v1::Outcome;
use orgplane_tests::world::text;
use orgplane_tests::{Archive, Deployment, Rest, Session};
use serde_json::{Value, json};

async fn list(client: &Rest, query: &str) -> Vec<String> {
    let jobs = client.get(&format!("/api/v2/organizations/data-platform/provisionerjobs{query}")).await.expect(200);
    jobs.as_array().unwrap().iter().map(|job| text(job, "id")).collect()
}

#[tokio::test]
async fn jobs_wait_in_order_and_are_filtered() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.organization("data-platform").await;
    let me = text(&owner.get("/api/v2/users/me").await.expect(200), "id");
    let mut ids = Vec::new();
    for tags in [json!({}), json!({}), json!({"region": "east"})] {
        let version = owner.import(&organization, Archive::terraform("hello"), "terraform", tags).await;
        assert_eq!(version["job"]["status"], "pending");
        assert_eq!(version["matched_provisioners"]["count"], 0);
        ids.push(text(&version["job"], "id"));
    }
    let [first, second, tagged] = [&ids[0], &ids[1], &ids[2]];
    assert_eq!(list(&owner, "").await, [tagged.clone(), second.clone(), first.clone()], "newest first");

    let tags = "%7B%22region%22%3A%22east%22%7D";
    for (query, expected) in [
        ("?limit=1".to_owned(), vec![tagged]),
        (format!("?ids={first},{second}"), vec![second, first]),
        ("?status=pending".to_owned(), vec![tagged, second, first]),
        ("?status=running&status=failed".to_owned(), vec![]),
        (format!("?tags={tags}"), vec![tagged]),
        (format!("?initiator={me}"), vec![tagged, second, first]),
        ("?initiator=00000000-0000-4000-8000-000000000000".to_owned(), vec![]),
    ] {
        assert_eq!(list(&owner, &query).await.iter().collect::<Vec<_>>(), expected, "{query}");
    }
    for (query, field) in [
        ("?limit=-1", "limit"),
        ("?limit=99999999999", "limit"),
        ("?ids=x", "ids"),
        ("?status=x", "status"),
        ("?tags=[]", "tags"),
        ("?initiator=x", "initiator"),
        ("?offset=1", "offset"),
    ] {
        let path = format!("/api/v2/organizations/data-platform/provisionerjobs{query}");
        owner.get(&path).await.refused_for(400, field);
    }

    // Without a daemon that could take it a job has no position.
    let job = job(&owner, first).await;
    assert_eq!(job["queue_position"], 0, "{job}");
    let key = owner.key(&organization, "key", json!({})).await;
    let mut session = Session::start(&deployment, &key, "one").await;
    let assign = session.take_job().await;
    assert_eq!(&assign.job_id, first, "the oldest goes first");
    let running = self::job(&owner, first).await;
    assert_eq!((&running["status"], &running["worker_name"]), (&json!("running"), &json!("one")));
    let waiting = self::job(&owner, second).await;
    assert_eq!(waiting["queue_position"], 1, "{waiting}");
    assert_eq!(waiting["available_workers"].as_array().map(Vec::len), Some(1), "{waiting}");
    assert_eq!(self::job(&owner, tagged).await["queue_position"], 0);
    session.finish(&assign, Outcome::Succeeded, 0).await;
    let assign = session.take_job().await;
    assert_eq!(&assign.job_id, second);
    session.finish(&assign, Outcome::Failed, 0).await;
    let failed = self::job(&owner, second).await;
    assert_eq!((&failed["status"], &failed["error"]), (&json!("failed"), &json!("the script says so")));
    assert!(failed["completed_at"].is_string() && failed["started_at"].is_string(), "{failed}");
    assert_eq!(list(&owner, "?status=succeeded,failed").await, [second.clone(), first.clone()]);

    // Of another organization: not found.
    owner.organization("other").await;
    owner.get(&format!("/api/v2/organizations/other/provisionerjobs/{first}")).await.refused(404);
    assert_eq!(owner.get("/api/v2/organizations/other/provisionerjobs").await.expect(200), json!([]));
    owner.get("/api/v2/organizations/data-platform/provisionerjobs/x").await.refused(400);
}

async fn job(client: &Rest, id: &str) -> Value {
    client.get(&format!("/api/v2/organizations/data-platform/provisionerjobs/{id}")).await.expect(200)
}

#[tokio::test]
async fn a_job_goes_to_the_daemon_that_fits_best() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.organization("data-platform").await;
    let mut sessions = Vec::new();
    for (name, tags) in [
        ("plain", json!({})),
        ("east", json!({"region": "east"})),
        ("east-gpu", json!({"region": "east", "gpu": "yes"})),
    ] {
        let key = owner.key(&organization, name, tags).await;
        sessions.push(Session::start(&deployment, &key, name).await);
    }
    for (tags, expected) in [
        (json!({}), 0),
        (json!({"region": "east"}), 1),
        (json!({"gpu": "yes"}), 2),
        (json!({"region": "east", "gpu": "yes"}), 2),
    ] {
        let version = owner.import(&organization, Archive::terraform("hello"), "terraform", tags.clone()).await;
        let session = &mut sessions[expected];
        let assign = session.take_job().await;
        assert_eq!(json!(assign.job_id), version["job"]["id"], "{tags}");
        session.finish(&assign, Outcome::Succeeded, 0).await;
    }
    let version =
        owner.import(&organization, Archive::terraform("hello"), "terraform", json!({"region": "west"})).await;
    let job = job(&owner, &text(&version["job"], "id")).await;
    assert_eq!((&job["status"], &job["queue_position"]), (&json!("pending"), &json!(0)));
}
