//! The audit log: every call that changes something leaves one entry, and who may read which.

use std::collections::{BTreeMap, BTreeSet};

use orgplane_proto::FILE_DESCRIPTOR_SET;
use orgplane_tests::cli::Cli;
use orgplane_tests::deployment::PASSWORD;
use orgplane_tests::world::text;
use orgplane_tests::{Answer, Archive, Daemon, Databases, Deployment, LONG, Rest};
use prost_reflect::DescriptorPool;
use reqwest::Method;
use serde_json::{Value, json};

on_each_database!(each_change_leaves_one_entry, who_reads_what);

/// How a method that changes something is named in the log.
const AUDITED: &[(&str, &str, &str)] = &[
    ("SessionService/Login", "login", "api_key"),
    ("SessionService/Logout", "logout", "api_key"),
    ("KeyService/CreateKey", "create", "api_key"),
    ("KeyService/CreateToken", "create", "api_key"),
    ("KeyService/DeleteKey", "delete", "api_key"),
    ("KeyService/ExpireKey", "write", "api_key"),
    ("UserService/CreateFirstUser", "register", "user"),
    ("UserService/CreateUser", "create", "user"),
    ("OrganizationService/CreateOrganization", "create", "organization"),
    ("OrganizationService/UpdateOrganization", "write", "organization"),
    ("OrganizationService/DeleteOrganization", "delete", "organization"),
    ("MemberService/AddMember", "create", "organization_member"),
    ("MemberService/UpdateMemberRoles", "write", "organization_member"),
    ("MemberService/RemoveMember", "delete", "organization_member"),
    ("RoleService/CreateCustomRole", "create", "custom_role"),
    ("RoleService/UpdateCustomRole", "write", "custom_role"),
    ("RoleService/DeleteCustomRole", "delete", "custom_role"),
    ("UserService/UpdateUserProfile", "write", "user"),
    ("UserService/UpdateUserRoles", "write", "user"),
    ("UserService/UpdateUserPassword", "write", "user"),
    ("UserService/SuspendUser", "write", "user"),
    ("UserService/ActivateUser", "write", "user"),
    ("UserService/DeleteUser", "delete", "user"),
    ("ProvisionerKeyService/CreateProvisionerKey", "create", "provisioner_key"),
    ("ProvisionerKeyService/DeleteProvisionerKey", "delete", "provisioner_key"),
    ("ProvisionerJobService/ReleaseProvisionerJob", "write", "provisioner_job"),
    ("FileService/UploadFile", "create", "file"),
    ("TemplateService/CreateTemplate", "create", "template"),
    ("TemplateService/DeleteTemplate", "delete", "template"),
    ("TemplateService/UpdateActiveTemplateVersion", "write", "template"),
    ("TemplateVersionService/CreateTemplateVersion", "create", "template_version"),
    ("TemplateVersionService/CancelTemplateVersion", "write", "template_version"),
    ("DryRunService/CreateDryRun", "create", "dry_run"),
    ("DryRunService/CancelDryRun", "write", "dry_run"),
    ("WorkspaceService/CreateWorkspace", "create", "workspace"),
    ("WorkspaceBuildService/CreateWorkspaceBuild", "start", "workspace_build"),
    ("WorkspaceBuildService/CancelWorkspaceBuild", "write", "workspace_build"),
];

/// What isn't in the log, and why.
const NOT_AUDITED: &[(&str, &str)] = &[
    ("AuthorizationService/CheckAuthorization", "it changes nothing"),
    ("MemberService/SearchMembers", "it changes nothing"),
    ("UserService/ValidatePassword", "it changes nothing"),
    ("ProvisionerDaemonService/Connect", "daemons do what the entries of jobs say; sessions of theirs aren't people's"),
    ("ProvisionerDaemonService/Upload", "what a job leaves is the job's, which has an entry"),
];

const READS: [&str; 5] = ["Get", "List", "Download", "Stream", "Watch"];

#[test]
fn every_method_that_changes_something_is_in_the_log() {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let methods = pool.services().flat_map(|service| service.methods().collect::<Vec<_>>());
    let changing = methods.filter(|method| !READS.iter().any(|read| method.name().starts_with(read)));
    let changing = changing.map(|method| format!("{}/{}", method.parent_service().name(), method.name()));
    let named = AUDITED.iter().map(|(method, ..)| *method).chain(NOT_AUDITED.iter().map(|(method, why)| {
        assert!(!why.is_empty());
        *method
    }));
    assert_eq!(changing.collect::<BTreeSet<_>>(), named.map(str::to_owned).collect());
}

/// Follows the calls of a story.
struct Witness {
    owner: Rest,
    seen: BTreeMap<&'static str, Value>,
}

impl Witness {
    /// Looks for the one entry of a call, and compares what it says.
    async fn saw(&mut self, method: &'static str, answer: &Answer, organization: Option<&str>, target: &str) -> Value {
        let request = answer.headers["x-coder-request-id"].to_str().unwrap();
        let entries = self.owner.audit(&format!("request_id:{request}")).await;
        assert_eq!(entries.len(), 1, "{method}: {entries:?}");
        let entry = entries[0].clone();
        let (_, action, resource) = AUDITED.iter().find(|(named, ..)| *named == method).expect(method);
        assert_eq!((&entry["action"], &entry["resource_type"]), (&json!(action), &json!(resource)), "{method}");
        assert_eq!(entry["user"]["username"], "owner", "{method}: {entry}");
        // A write of a user is a write of a user, whichever call it was.
        let status = if method == "UserService/UpdateUserPassword" { 200 } else { answer.status };
        assert_eq!(entry["status_code"], status, "{method}: {entry}");
        let nil = "00000000-0000-0000-0000-000000000000";
        assert_eq!(entry["organization_id"], organization.unwrap_or(nil), "{method}: {entry}");
        assert_eq!(entry["organization"]["id"].as_str(), organization, "{method}: {entry}");
        assert_eq!(entry["resource_target"], target, "{method}: {entry}");
        let failed = answer.status >= 400;
        assert_eq!(text(&entry, "description").contains("unsuccessfully attempted"), failed, "{method}: {entry}");
        assert!(!failed || entry["diff"] == json!({}), "{method}: what failed changed nothing: {entry}");
        self.seen.insert(method, entry.clone());
        entry
    }
}

async fn each_change_leaves_one_entry(database: Databases) {
    const CANARY: &str = "canary-value-of-a-variable";
    let deployment = Deployment::on(database).unrecorded().start().await;
    let rest = deployment.rest();
    let first = json!({"email": "owner@example.com", "username": "owner", "password": PASSWORD});
    let first = rest.post("/api/v2/users/first", first).await;
    let _ = first.expect(201);
    let signed_in = rest.post("/api/v2/users/login", json!({"email": "owner@example.com", "password": PASSWORD})).await;
    let owner = rest.with(&text(&signed_in.expect(201), "session_token"));
    let mut witness = Witness { owner: owner.clone(), seen: BTreeMap::new() };
    witness.saw("UserService/CreateFirstUser", &first, None, "owner").await;
    witness.saw("SessionService/Login", &signed_in, None, "owner").await;
    let mut secrets = vec![PASSWORD.to_owned(), owner.token()[11..].to_owned(), CANARY.to_owned()];

    // Sessions and tokens.
    let created = owner.post("/api/v2/users/me/keys", json!({})).await;
    let session = text(&created.expect(201), "key");
    secrets.push(session[11..].to_owned());
    witness.saw("KeyService/CreateKey", &created, None, "").await;
    let created = owner.post("/api/v2/users/me/keys/tokens", json!({"token_name": "ci"})).await;
    let token = text(&created.expect(201), "key");
    secrets.push(token[11..].to_owned());
    let entry = witness.saw("KeyService/CreateToken", &created, None, "ci").await;
    assert_eq!(entry["diff"]["hashed_secret"], json!({"secret": true}), "{entry}");
    assert_eq!(entry["diff"]["token_name"], json!({"new": "ci", "secret": false}));
    let path = format!("/api/v2/users/me/keys/{}", &token[..10]);
    let expired = owner.send(owner.request(Method::PUT, &format!("{path}/expire"))).await;
    witness.saw("KeyService/ExpireKey", &expired, None, "ci").await;
    witness.saw("KeyService/DeleteKey", &owner.delete(&path).await, None, "ci").await;
    let out = owner.with(&session).post("/api/v2/users/logout", json!({})).await;
    witness.saw("SessionService/Logout", &out, None, "").await;

    // Organizations and people.
    let made = owner.post("/api/v2/organizations", json!({"name": "home"})).await;
    let home = text(&made.expect(201), "id");
    witness.saw("OrganizationService/CreateOrganization", &made, Some(&home), "home").await;
    let path = format!("/api/v2/organizations/{home}");
    let changed = owner.patch(&path, json!({"description": "ours"})).await;
    let entry = witness.saw("OrganizationService/UpdateOrganization", &changed, Some(&home), "home").await;
    assert_eq!(entry["diff"], json!({"description": {"old": "", "new": "ours", "secret": false}}));
    let brief = text(&owner.post("/api/v2/organizations", json!({"name": "brief"})).await.expect(201), "id");
    let gone = owner.delete("/api/v2/organizations/brief").await;
    let entry = witness.saw("OrganizationService/DeleteOrganization", &gone, Some(&brief), "brief").await;
    assert_eq!(entry["is_deleted"], true);
    let default = owner.default_organization().await;
    let ann =
        json!({"email": "ann@example.com", "username": "ann", "password": PASSWORD, "organization_ids": [default]});
    let created = owner.post("/api/v2/users", ann).await;
    let entry = witness.saw("UserService/CreateUser", &created, None, "ann").await;
    assert_eq!(entry["diff"]["hashed_password"], json!({"secret": true}), "{entry}");
    assert_eq!(entry["resource_link"], "/users?filter=ann");
    let added = owner.post(&format!("/api/v2/organizations/{home}/members/ann"), json!({})).await;
    witness.saw("MemberService/AddMember", &added, Some(&home), "ann").await;
    let roles = format!("/api/v2/organizations/{home}/members/roles");
    let read = json!([{"negate": false, "resource_type": "template", "action": "read"}]);
    let made = owner.post(&roles, json!({"name": "reader", "organization_permissions": read})).await;
    witness.saw("RoleService/CreateCustomRole", &made, Some(&home), "reader").await;
    let changed = owner.put(&roles, json!({"name": "reader", "organization_permissions": []})).await;
    witness.saw("RoleService/UpdateCustomRole", &changed, Some(&home), "reader").await;
    let member = format!("/api/v2/organizations/{home}/members/ann");
    let given = owner.put(&format!("{member}/roles"), json!({"roles": ["reader"]})).await;
    let entry = witness.saw("MemberService/UpdateMemberRoles", &given, Some(&home), "ann").await;
    assert_eq!(entry["diff"]["roles"]["new"], json!(["reader"]), "{entry}");
    let gone = owner.delete(&format!("{roles}/reader")).await;
    witness.saw("RoleService/DeleteCustomRole", &gone, Some(&home), "reader").await;
    let gone = owner.delete(&member).await;
    witness.saw("MemberService/RemoveMember", &gone, Some(&home), "ann").await;
    let ann = "/api/v2/users/ann";
    let changed = owner.put(&format!("{ann}/profile"), json!({"username": "ann", "name": "Ann"})).await;
    witness.saw("UserService/UpdateUserProfile", &changed, None, "ann").await;
    let changed = owner.put(&format!("{ann}/roles"), json!({"roles": ["auditor"]})).await;
    witness.saw("UserService/UpdateUserRoles", &changed, None, "ann").await;
    let password = format!("{PASSWORD}-another");
    let changed = owner.put(&format!("{ann}/password"), json!({"password": password})).await;
    secrets.push(password);
    witness.saw("UserService/UpdateUserPassword", &changed, None, "ann").await;
    let suspended = owner.put(&format!("{ann}/status/suspend"), json!({})).await;
    witness.saw("UserService/SuspendUser", &suspended, None, "ann").await;
    let activated = owner.put(&format!("{ann}/status/activate"), json!({})).await;
    witness.saw("UserService/ActivateUser", &activated, None, "ann").await;
    let deleted = owner.delete(ann).await;
    witness.saw("UserService/DeleteUser", &deleted, None, "ann").await;
    let keys = format!("/api/v2/organizations/{home}/provisionerkeys");
    let made = owner.post(&keys, json!({"name": "spare", "tags": {}})).await;
    secrets.push(text(&made.expect(201), "key"));
    witness.saw("ProvisionerKeyService/CreateProvisionerKey", &made, Some(&home), "spare").await;
    let gone = owner.delete(&format!("{keys}/spare")).await;
    witness.saw("ProvisionerKeyService/DeleteProvisionerKey", &gone, Some(&home), "spare").await;

    // Templates.
    let key = owner.key(&home, "key", json!({})).await;
    let mut daemon = Daemon::start(&deployment, "one", &key, "echo");
    let uploaded = owner.upload(Archive::echo(&json!({}))).await;
    witness.saw("FileService/UploadFile", &uploaded, None, "").await;
    let template = owner.template(&home, "echo", Archive::echo(&json!({"import": {}})), "echo").await;
    let id = text(&template, "id");
    let version = text(&template, "active_version_id");
    let active = owner.patch(&format!("/api/v2/templates/{id}/versions"), json!({"id": version})).await;
    witness.saw("TemplateService/UpdateActiveTemplateVersion", &active, Some(&home), "echo").await;
    owner.built(&text(&owner.workspace("first", &template).await["latest_build"], "id"), LONG).await;
    // From here on jobs wait.
    daemon.process().stop().await;
    let body = json!({
        "storage_method": "file", "file_id": uploaded.body["hash"], "provisioner": "echo", "name": "v2",
        "user_variable_values": [{"name": "password", "value": CANARY}],
    });
    let made = owner.post(&format!("/api/v2/organizations/{home}/templateversions"), body).await;
    let waiting = text(&made.expect(201), "id");
    witness.saw("TemplateVersionService/CreateTemplateVersion", &made, Some(&home), "v2").await;
    let made = json!({"name": "brief", "template_version_id": waiting});
    let made = owner.post(&format!("/api/v2/organizations/{home}/templates"), made).await;
    let entry = witness.saw("TemplateService/CreateTemplate", &made, Some(&home), "brief").await;
    assert_eq!((&entry["resource_link"], &entry["is_deleted"]), (&json!("/templates/brief"), &json!(false)));
    let canceled = owner.patch(&format!("/api/v2/templateversions/{waiting}/cancel"), json!({})).await;
    witness.saw("TemplateVersionService/CancelTemplateVersion", &canceled, Some(&home), "v2").await;
    let gone = owner.delete(&format!("/api/v2/templates/{}", text(&made.body, "id"))).await;
    let entry = witness.saw("TemplateService/DeleteTemplate", &gone, Some(&home), "brief").await;
    assert_eq!((&entry["resource_link"], &entry["is_deleted"]), (&json!(""), &json!(true)));
    let path = format!("/api/v2/templateversions/{version}/dry-run");
    let run = owner.post(&path, json!({})).await;
    let name = text(&owner.get(&format!("/api/v2/templateversions/{version}")).await.expect(200), "name");
    witness.saw("DryRunService/CreateDryRun", &run, Some(&home), &name).await;
    let canceled = owner.patch(&format!("{path}/{}/cancel", text(&run.body, "id")), json!({})).await;
    witness.saw("DryRunService/CancelDryRun", &canceled, Some(&home), "").await;

    // Workspaces.
    let made = owner.post("/api/v2/users/me/workspaces", json!({"name": "dev", "template_id": id})).await;
    let workspace = made.expect(201);
    let entry = witness.saw("WorkspaceService/CreateWorkspace", &made, Some(&home), "dev").await;
    assert_eq!(entry["resource_link"], "/@owner/dev");
    let build = text(&workspace["latest_build"], "id");
    let canceled = owner.patch(&format!("/api/v2/workspacebuilds/{build}/cancel"), json!({})).await;
    witness.saw("WorkspaceBuildService/CancelWorkspaceBuild", &canceled, Some(&home), "dev").await;
    let path = format!("/api/v2/workspaces/{}/builds", text(&workspace, "id"));
    let build = owner.post(&path, json!({"transition": "start", "reason": "cli"})).await;
    let entry = witness.saw("WorkspaceBuildService/CreateWorkspaceBuild", &build, Some(&home), "dev").await;
    assert_eq!(
        entry["additional_fields"],
        json!({
            "workspace_name": "dev", "workspace_owner": "owner", "workspace_id": workspace["id"], "build_number": "2",
            "build_reason": "cli",
        })
    );
    assert_eq!(entry["resource_link"], "/@owner/dev/builds/2");
    assert_eq!(owner.audit("build_reason:cli action:start").await.len(), 1);
    let job = text(&build.expect(201)["job"], "id");
    let release = format!("/api/v2/organizations/{home}/provisionerjobs/{job}/release");
    let refused = owner.post(&release, json!({})).await;
    refused.refused(409);
    witness.saw("ProvisionerJobService/ReleaseProvisionerJob", &refused, Some(&home), &job).await;
    let seen: BTreeSet<_> = witness.seen.keys().copied().collect();
    assert_eq!(seen, AUDITED.iter().map(|(method, ..)| *method).collect());

    // Nothing secret is in it, shown or exported.
    let log = format!("{:?}", owner.audit("").await);
    for secret in &secrets {
        assert!(!log.contains(secret.as_str()), "a secret is in the log: {secret}");
    }
    let cli = Cli::new(deployment.url());
    let exported = cli.run_as(owner.token(), &["audit", "export", "--since", "2020-01-01"]).await;
    let lines: Vec<Value> = exported.ok().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut shown = owner.audit("").await;
    shown.reverse();
    let ids = |entries: &[Value]| entries.iter().map(|entry| text(entry, "id")).collect::<Vec<_>>();
    assert_eq!(ids(&lines), ids(&shown), "oldest first, and all of them");
    assert_eq!(lines[0]["diff"], shown[0]["diff"]);
    let later = cli.run_as(owner.token(), &["audit", "export", "--since", "2999-01-01"]).await;
    assert_eq!(later.ok(), "");
    let list = cli.run_as(owner.token(), &["audit", "list", "resource_type:template action:delete"]).await;
    assert!(list.ok().contains("brief") && list.stdout.contains("home"), "{list:?}");
}

async fn who_reads_what(database: Databases) {
    // Some kinds of things are ours alone.
    let deployment = Deployment::on(database).unrecorded().start().await;
    let owner = deployment.rest().first_user().await;
    let (home, away) = (owner.organization("home").await, owner.organization("away").await);
    let (admin, admin_id) = owner.user("admin", &[&home]).await;
    owner.give(&home, &admin_id, "organization-admin").await;
    let (member, _) = owner.user("member", &[&home]).await;
    owner.key(&away, "theirs", json!({})).await;

    member.get("/api/v2/audit").await.refused(403);
    // What failed is in it, without a change.
    let refused = member.patch("/api/v2/organizations/home", json!({"name": "mine"})).await;
    refused.refused(403);
    let theirs = admin.audit("").await;
    assert!(theirs.iter().all(|entry| entry["organization_id"] == json!(home)), "{theirs:?}");
    assert_eq!((&theirs[0]["status_code"], &theirs[0]["diff"]), (&json!(403), &json!({})));
    assert_eq!(theirs[0]["user"]["username"], "member");
    assert_eq!(theirs[0]["user"]["organization_ids"], json!([]), "where else they are is nobody's business");
    assert_eq!(
        admin.audit("username:owner").await.len(),
        2,
        "the organization's beginning, and the role that was given"
    );
    assert_eq!(owner.audit("organization:away").await.len(), 2);
    let foreign = admin.request(Method::GET, "/api/v2/audit").query(&[("q", "organization:away")]);
    admin.send(foreign).await.refused_for(400, "organization");

    // The search.
    let one = text(&owner.audit("resource_type:provisioner_key").await[0], "resource_id");
    for (q, found) in [
        ("organization_member", 1),
        ("provisioner_key", 1),
        (&format!("resource_id:{one}"), 1),
        ("resource_target:THEIRS", 1),
        ("action:create resource_type:organization", 2),
        ("username:member action:write", 1),
        ("username:me resource_type:organization", 2),
        ("email:Member@example.com action:write", 1),
        ("date_from:2020-01-01 date_to:2020-01-02", 0),
        ("date_from:2020-01-01 resource_type:provisioner_key", 1),
    ] {
        assert_eq!(owner.audit(q).await.len(), found, "{q}");
    }
    for (q, field) in [
        ("resource_type:planet", "resource_type"),
        ("action:eat", "action"),
        ("date_from:yesterday", "date_from"),
        ("date_to:2026-13-01", "date_to"),
        ("request_id:1", "request_id"),
        ("build_reason:fun", "build_reason"),
        ("color:red", "color"),
        ("a:b:c", "q"),
    ] {
        let request = owner.request(Method::GET, "/api/v2/audit").query(&[("q", q)]);
        owner.send(request).await.refused_for(400, field);
    }
    owner.get("/api/v2/audit?limit=-1").await.refused_for(400, "limit");

    // Parts of it; the count is of all, up to a bound.
    let page = owner.get("/api/v2/audit?limit=2&offset=1").await.expect(200);
    let all = owner.audit("").await;
    assert_eq!((&page["audit_logs"][0]["id"], &page["audit_logs"][1]["id"]), (&all[1]["id"], &all[2]["id"]));
    assert_eq!((&page["count"], &page["count_cap"]), (&json!(all.len()), &json!(2000)));
}
