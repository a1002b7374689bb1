use http::StatusCode;
use orgplane_proto::organization::v1::{ListOrganizationsResponse, Organization};
use orgplane_proto::provisioner::v1::*;
use orgplane_proto::template::v1::TemplateVersion;
use orgplane_proto::workspace::v1::{Workspace, WorkspaceBuild};
use prost_types::Timestamp;
use serde_json::{Value, json};

use super::Api;

const NIL: &str = "00000000-0000-0000-0000-000000000000";

fn new_year() -> Option<Timestamp> {
    Some(Timestamp { seconds: 1_735_689_600, nanos: 0 })
}

fn job() -> ProvisionerJob {
    ProvisionerJob {
        id: "j".to_owned(),
        created_at: new_year(),
        status: JobStatus::Pending as i32,
        file_id: "f".to_owned(),
        tags: [("owner".to_owned(), String::new()), ("scope".to_owned(), "organization".to_owned())].into(),
        queue_position: 1,
        queue_size: 1,
        organization_id: "o".to_owned(),
        initiator_id: "u".to_owned(),
        input: Some(ProvisionerJobInput { template_version_id: "v".to_owned(), ..Default::default() }),
        r#type: JobType::TemplateVersionImport as i32,
        metadata: Some(ProvisionerJobMetadata::default()),
        ..Default::default()
    }
}

fn job_json() -> Value {
    json!({"id":"j","created_at":"2025-01-01T00:00:00Z","status":"pending","file_id":"f",
        "tags":{"owner":"","scope":"organization"},"queue_position":1,"queue_size":1,"organization_id":"o",
        "initiator_id":"u","input":{"template_version_id":"v"},"type":"template_version_import",
        "metadata":{"template_version_name":"","template_id":NIL,"template_name":"","template_display_name":"",
        "template_icon":""},"logs_overflowed":false})
}

#[tokio::test]
async fn organizations() {
    let api = Api::new();
    let organization = Organization {
        id: "o".to_owned(),
        name: "acme".to_owned(),
        display_name: "acme".to_owned(),
        created_at: new_year(),
        updated_at: new_year(),
        default_org_member_roles: vec!["organization-workspace-access".to_owned()],
        ..Default::default()
    };
    let wanted = json!({"id":"o","name":"acme","display_name":"acme","icon":"","description":"",
        "created_at":"2025-01-01T00:00:00Z","updated_at":"2025-01-01T00:00:00Z","is_default":false,
        "default_org_member_roles":["organization-workspace-access"]});
    api.fake.reply(organization.clone());
    assert_eq!(api.get("/api/v2/organizations/acme").await.json(), wanted);
    api.fake.reply(ListOrganizationsResponse { organizations: vec![organization] });
    assert_eq!(api.get("/api/v2/users/me/organizations").await.json(), json!([wanted]));
}

#[tokio::test]
async fn a_pending_job() {
    let api = Api::new();
    api.fake.reply(job());
    assert_eq!(api.get("/api/v2/organizations/o/provisionerjobs/j").await.json(), job_json());
    api.fake.reply(ListProvisionerJobsResponse { jobs: vec![job()] });
    assert_eq!(api.get("/api/v2/organizations/o/provisionerjobs").await.json(), json!([job_json()]));
}

#[tokio::test]
async fn a_version_without_a_template() {
    let api = Api::new();
    api.fake.reply(TemplateVersion { id: "v".to_owned(), job: Some(job()), ..Default::default() });
    let answer = api.get("/api/v2/templateversions/v").await.json();
    assert_eq!(answer["template_id"], NIL);
    assert_eq!(answer["job"], job_json());
    assert_eq!(answer.get("matched_provisioners"), None);
}

#[tokio::test]
async fn a_key() {
    let api = Api::new();
    let tags = [("region".to_owned(), "east".to_owned())].into();
    let name = "east".to_owned();
    let key = ProvisionerKey { id: "k".to_owned(), created_at: new_year(), organization: "o".to_owned(), name, tags };
    api.fake.reply(ListProvisionerKeysResponse { provisioner_keys: vec![key] });
    let wanted = json!([{"id":"k","created_at":"2025-01-01T00:00:00Z","organization":"o","name":"east",
        "tags":{"region":"east"}}]);
    assert_eq!(api.get("/api/v2/organizations/o/provisionerkeys").await.json(), wanted);
}

#[test]
fn zero_times_and_nulls() {
    let workspace = serde_json::to_value(Workspace::default()).unwrap();
    assert_eq!(workspace["last_used_at"], "0001-01-01T00:00:00Z");
    assert_eq!(workspace["dormant_at"], Value::Null);
    assert_eq!(workspace["task_id"], Value::Null);
    assert_eq!(workspace.get("ttl_ms"), None);
    let build = serde_json::to_value(WorkspaceBuild::default()).unwrap();
    assert_eq!((&build["deadline"], &build["resources"]), (&Value::Null, &json!([])));
}

#[tokio::test]
async fn markup_is_escaped() {
    let api = Api::new();
    api.fake.reply(Organization { name: "<a href=\"x\">&\u{2028}\u{2029}ä\n".to_owned(), ..Default::default() });
    let answer = api.get("/api/v2/organizations/o").await;
    assert_eq!(answer.status, StatusCode::OK);
    let text = String::from_utf8(answer.bytes.to_vec()).unwrap();
    assert!(text.contains(r#""name":"\u003ca href=\"x\"\u003e\u0026\u2028\u2029ä\n""#), "{text}");
    assert!(text.ends_with("}\n"));
}
