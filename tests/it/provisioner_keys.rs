//! `…/provisionerkeys`: shown once, stored as a hash, gone at once.

use orgplane_tests::Deployment;
use serde_json::json;

#[tokio::test]
async fn a_key_is_shown_once_and_stored_nowhere() {
    let mut deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.organization("data-platform").await;
    let keys = "/api/v2/organizations/data-platform/provisionerkeys";
    assert_eq!(owner.get(keys).await.expect(200), json!([]));
    let secret = owner.key(&organization, "Cluster Key", json!({"region": "east", "empty": ""})).await;
    assert!(secret.starts_with("orgp_") && secret.len() == 54, "the shape that secret scanners know");

    let answer = owner.get(keys).await;
    let list = answer.expect(200);
    assert!(!answer.text().contains(&secret), "the list shows the secret");
    assert_eq!(list[0]["name"], "cluster key");
    assert_eq!(list[0]["organization"], json!(organization));
    assert_eq!(list[0]["tags"], json!({"region": "east"}));

    // Neither the data directory nor the server's log has it.
    assert!(deployment.stop().await.success());
    for entry in std::fs::read_dir(deployment.folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "{}", path.display());
        }
    }
    assert!(!deployment.process().output().contains(&secret), "the log shows the secret");
}

#[tokio::test]
async fn names_and_tags_have_rules() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.organization("data-platform").await;
    let keys = "/api/v2/organizations/data-platform/provisionerkeys";
    owner.key(&organization, "one", json!({})).await;
    owner.post(keys, json!({"name": "ONE"})).await.refused_for(409, "name");
    let long = "x".repeat(65);
    for name in ["", long.as_str(), "built-in", "User-Auth", "psk"] {
        owner.post(keys, json!({"name": name})).await.refused_for(400, "name");
    }
    for tags in [json!({"scope": "user"}), json!({"owner": "x"}), json!({"": "x"})] {
        owner.post(keys, json!({"name": "two", "tags": tags})).await.refused_for(400, "tags");
    }
    assert_eq!(deployment.database().rows().await["provisioner_key"], 1);

    // The same name may stand in another organization.
    owner.organization("other").await;
    owner.key("other", "one", json!({})).await;
    let _ = owner.delete(&format!("{keys}/ONE")).await.expect(204);
    owner.delete(&format!("{keys}/one")).await.refused(404);
    assert_eq!(owner.get(keys).await.expect(200), json!([]));
    assert_eq!(owner.get("/api/v2/organizations/other/provisionerkeys").await.expect(200)[0]["name"], "one");
    owner.delete(&format!("{keys}/built-in")).await.refused(400);
}
