//! Who may call what: a row for every RPC, asked over gRPC of a real server. An RPC without a row fails the test.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

use orgplane_proto::FILE_DESCRIPTOR_SET;
use orgplane_proto::audit::v1 as audit;
use orgplane_proto::identity::v1 as identity;
use orgplane_proto::organization::v1 as organization;
use orgplane_proto::provisioner::v1 as provisioner;
use orgplane_proto::template::v1 as template;
use orgplane_proto::workspace::v1 as workspace;
use orgplane_tests::deployment::{OWNER, PASSWORD};
use orgplane_tests::scripted::{reference, register};
use orgplane_tests::world::text;
use orgplane_tests::{Api, Archive, Daemon, Databases, Deployment, LONG, Rest};
use prost::Message;
use prost_reflect::DescriptorPool;
use serde_json::{Value, json};
use tonic::Code;

/// What a caller gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gets {
    /// The answer.
    Ok,
    /// `UNAUTHENTICATED`: who are you?
    Who,
    /// `NOT_FOUND`: there is no such thing for you.
    None,
    /// `PERMISSION_DENIED`: you see it, but may not.
    No,
    /// `FAILED_PRECONDITION`: may be asked by anybody, but not now.
    Now,
}

use Gets::{No, None as Gone, Now, Ok as Yes, Who};

/// The columns: nobody, a member of another organization, a member, the member whose object it is, an administrator of
/// the organization, the owner of the site.
const CALLERS: [&str; 6] = ["anonymous", "stranger", "colleague", "member", "admin", "owner"];

const PUBLIC: [Gets; 6] = [Yes; 6];
const KEYS_ONLY: [Gets; 6] = [Who; 6];
const SIGNED_IN: [Gets; 6] = [Who, Yes, Yes, Yes, Yes, Yes];
const SITE_OWNER: [Gets; 6] = [Who, No, No, No, No, Yes];
const MEMBERS: [Gets; 6] = [Who, Gone, Yes, Yes, Yes, Yes];
const ADMINS: [Gets; 6] = [Who, Gone, No, No, Yes, Yes];
const ADMINS_HIDDEN: [Gets; 6] = [Who, Gone, Gone, Gone, Yes, Yes];
const OWN_KEYS: [Gets; 6] = [Who, Gone, Gone, Yes, Gone, Yes];
const AUDITORS: [Gets; 6] = [Who, No, No, No, Yes, Yes];
const OWN: [Gets; 6] = [Who, Gone, Gone, Yes, Yes, Yes];

const TABLE: &[(&str, [Gets; 6])] = &[
    ("identity.v1.SessionService/Login", PUBLIC),
    ("identity.v1.SessionService/Logout", SIGNED_IN),
    ("identity.v1.KeyService/CreateKey", OWN_KEYS),
    ("identity.v1.KeyService/CreateToken", OWN_KEYS),
    ("identity.v1.KeyService/ListTokens", OWN_KEYS),
    ("identity.v1.KeyService/GetTokenConfig", OWN_KEYS),
    ("identity.v1.KeyService/GetToken", OWN_KEYS),
    ("identity.v1.KeyService/GetKey", OWN_KEYS),
    ("identity.v1.KeyService/DeleteKey", OWN_KEYS),
    ("identity.v1.KeyService/ExpireKey", OWN_KEYS),
    ("identity.v1.AuthorizationService/CheckAuthorization", SIGNED_IN),
    ("identity.v1.AuthorizationService/ListScopes", PUBLIC),
    ("audit.v1.AuditService/ListAuditLogs", AUDITORS),
    ("audit.v1.AuditService/StreamAuditLogs", AUDITORS),
    ("identity.v1.UserService/GetFirstUser", PUBLIC),
    ("identity.v1.UserService/CreateFirstUser", [Now; 6]),
    ("identity.v1.UserService/CreateUser", SITE_OWNER),
    ("identity.v1.UserService/GetUser", [Who, Gone, Gone, Yes, Gone, Yes]),
    ("organization.v1.OrganizationService/ListOrganizations", SIGNED_IN),
    ("organization.v1.OrganizationService/CreateOrganization", SITE_OWNER),
    ("organization.v1.OrganizationService/GetOrganization", MEMBERS),
    ("organization.v1.OrganizationService/UpdateOrganization", ADMINS),
    // The administrator may, but theirs isn't empty.
    ("organization.v1.OrganizationService/DeleteOrganization", [Who, Gone, No, No, Now, Yes]),
    ("organization.v1.OrganizationService/ListUserOrganizations", [Who, Gone, Gone, Yes, Gone, Yes]),
    ("organization.v1.MemberService/AddMember", ADMINS),
    ("provisioner.v1.ProvisionerKeyService/ListProvisionerKeys", MEMBERS),
    ("provisioner.v1.ProvisionerKeyService/CreateProvisionerKey", ADMINS),
    ("provisioner.v1.ProvisionerKeyService/DeleteProvisionerKey", ADMINS),
    ("provisioner.v1.ProvisionerDaemonService/ListProvisionerDaemons", ADMINS_HIDDEN),
    ("provisioner.v1.ProvisionerDaemonService/Connect", KEYS_ONLY),
    ("provisioner.v1.ProvisionerDaemonService/Download", KEYS_ONLY),
    ("provisioner.v1.ProvisionerDaemonService/Upload", KEYS_ONLY),
    ("provisioner.v1.ProvisionerJobService/ListProvisionerJobs", ADMINS_HIDDEN),
    ("provisioner.v1.ProvisionerJobService/GetProvisionerJob", ADMINS_HIDDEN),
    // For those who may, there is nothing to release: no daemon has the job.
    ("provisioner.v1.ProvisionerJobService/ReleaseProvisionerJob", [Who, Gone, Gone, Gone, Now, Now]),
    ("provisioner.v1.ProvisionerJobService/StreamJobLogs", OWN),
    ("template.v1.FileService/UploadFile", SIGNED_IN),
    ("template.v1.FileService/DownloadFile", ADMINS_HIDDEN),
    ("template.v1.TemplateService/CreateTemplate", ADMINS),
    ("template.v1.TemplateService/ListTemplates", MEMBERS),
    ("template.v1.TemplateService/GetTemplate", MEMBERS),
    ("template.v1.TemplateService/GetTemplateByName", MEMBERS),
    ("template.v1.TemplateService/DeleteTemplate", ADMINS),
    ("template.v1.TemplateService/UpdateActiveTemplateVersion", ADMINS),
    ("template.v1.TemplateVersionService/CreateTemplateVersion", ADMINS),
    ("template.v1.TemplateVersionService/GetTemplateVersion", MEMBERS),
    ("template.v1.TemplateVersionService/ListTemplateVersions", MEMBERS),
    ("template.v1.TemplateVersionService/CancelTemplateVersion", ADMINS),
    ("template.v1.TemplateVersionService/ListTemplateVersionVariables", MEMBERS),
    ("template.v1.DryRunService/CreateDryRun", MEMBERS),
    ("template.v1.DryRunService/GetDryRun", OWN),
    ("template.v1.DryRunService/ListDryRunResources", OWN),
    ("template.v1.DryRunService/GetDryRunMatchedProvisioners", OWN),
    ("template.v1.DryRunService/CancelDryRun", OWN),
    ("template.v1.TemplateVersionService/ListTemplateVersionResources", MEMBERS),
    ("workspace.v1.WorkspaceService/CreateWorkspace", [Who, Gone, No, Yes, Yes, Yes]),
    ("workspace.v1.WorkspaceService/ListWorkspaces", SIGNED_IN),
    ("workspace.v1.WorkspaceService/GetWorkspace", OWN),
    ("workspace.v1.WorkspaceService/GetWorkspaceByName", OWN),
    ("workspace.v1.WorkspaceService/WatchWorkspace", OWN),
    ("workspace.v1.WorkspaceBuildService/CreateWorkspaceBuild", OWN),
    ("workspace.v1.WorkspaceBuildService/ListWorkspaceBuilds", OWN),
    ("workspace.v1.WorkspaceBuildService/GetWorkspaceBuild", OWN),
    ("workspace.v1.WorkspaceBuildService/GetWorkspaceBuildByNumber", OWN),
    ("workspace.v1.WorkspaceBuildService/CancelWorkspaceBuild", OWN),
    ("workspace.v1.WorkspaceBuildService/ListWorkspaceBuildResources", OWN),
    ("workspace.v1.WorkspaceBuildService/GetWorkspaceBuildTimings", OWN),
    ("workspace.v1.WorkspaceBuildService/GetWorkspaceTimings", OWN),
    ("workspace.v1.WorkspaceBuildService/DownloadWorkspaceBuildState", ADMINS_HIDDEN),
];

#[test]
fn every_rpc_has_a_row_and_every_row_an_rpc() {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let methods = pool.services().flat_map(|service| {
        let name = service.full_name().trim_start_matches("orgplane.").to_owned();
        service.methods().map(move |method| format!("{name}/{}", method.name())).collect::<Vec<_>>()
    });
    let rows: BTreeSet<String> = TABLE.iter().map(|(method, _)| (*method).to_owned()).collect();
    assert_eq!(methods.collect::<BTreeSet<_>>(), rows);
}

struct World {
    deployment: Deployment,
    owner: Rest,
    clients: BTreeMap<&'static str, Rest>,
    member: String,
    organization: String,
    template: Value,
    workspace: Value,
    build: String,
    next: AtomicU32,
}

impl World {
    async fn start() -> Self {
        let deployment = Deployment::on(Databases::Sqlite).unrecorded().start().await;
        let owner = deployment.rest().first_user().await;
        let organization = owner.organization("home").await;
        let away = owner.organization("away").await;
        let key = owner.key(&organization, "key", json!({})).await;
        let mut daemon = Daemon::start(&deployment, "one", &key, "echo");
        let script = json!({"start": {"apply": true, "state": {"lineage": "a", "serial": 1, "content": "{}"}}});
        let template = owner.template(&organization, "echo", Archive::echo(&script), "echo").await;
        let mut clients = BTreeMap::from([("owner", owner.clone()), ("anonymous", deployment.rest())]);
        let mut member = String::new();
        for name in ["stranger", "colleague", "member", "admin"] {
            let of = if name == "stranger" { &away } else { &organization };
            let (client, id) = owner.user(name, &[of]).await;
            if name == "admin" {
                deployment.database().grant_organization_admin(&id, &organization).await;
            }
            if name == "member" {
                member = id;
            }
            clients.insert(name, client);
        }
        let workspace = clients["member"].workspace("dev", &template).await;
        let build = text(&workspace["latest_build"], "id");
        assert_eq!(owner.built(&build, LONG).await["job"]["status"], "succeeded");
        // From here on jobs wait, so that they can be canceled.
        daemon.process().stop().await;
        let next = AtomicU32::new(0);
        Self { deployment, owner, clients, member, organization, template, workspace, build, next }
    }

    fn name(&self) -> String {
        format!("new-{}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    async fn waiting_version(&self) -> String {
        let script = json!({"import": {"readme": self.name()}});
        text(&self.owner.import(&self.organization, Archive::echo(&script), "echo", json!({})).await, "id")
    }

    /// A workspace of the member's; its first build waits.
    async fn waiting_workspace(&self) -> Value {
        let body = json!({"name": self.name(), "template_id": self.template["id"]});
        self.owner.post("/api/v2/users/member/workspaces", body).await.expect(201)
    }

    /// A dry run of the member's that waits.
    async fn waiting_dry_run(&self) -> String {
        let path = format!("/api/v2/templateversions/{}/dry-run", text(&self.template, "active_version_id"));
        text(&self.clients["member"].post(&path, json!({})).await.expect(201), "id")
    }

    async fn idle_workspace(&self) -> String {
        let workspace = self.waiting_workspace().await;
        let path = format!("/api/v2/workspacebuilds/{}/cancel", text(&workspace["latest_build"], "id"));
        let _ = self.owner.patch(&path, json!({})).await.expect(200);
        text(&workspace, "id")
    }

    /// The id of a new token of the member's.
    async fn key_of_member(&self) -> String {
        self.owner.token_of("member", json!({})).await[..10].to_owned()
    }

    /// The messages with which `caller` calls a method: fresh objects where the call changes or ends them.
    async fn messages(&self, method: &str, caller: &str) -> Vec<Vec<u8>> {
        let organization = || self.organization.clone();
        let own_name = || "member".to_owned();
        let workspace_id = text(&self.workspace, "id");
        let template_id = text(&self.template, "id");
        let version = text(&self.template, "active_version_id");
        let build = self.build.clone();
        let (_, rpc) = method.split_once('/').unwrap();
        let message = match rpc {
            "Login" => bytes(identity::LoginRequest { email: OWNER.0.to_owned(), password: PASSWORD.to_owned() }),
            "Logout" => bytes(identity::LogoutRequest {}),
            "CreateKey" => bytes(identity::CreateKeyRequest { user: own_name() }),
            "CreateToken" => bytes(identity::CreateTokenRequest { user: own_name(), ..Default::default() }),
            "ListTokens" => bytes(identity::ListTokensRequest { user: own_name(), ..Default::default() }),
            "GetTokenConfig" => bytes(identity::GetTokenConfigRequest { user: own_name() }),
            "GetToken" => {
                let token_name = self.name();
                self.owner.token_of("member", json!({"token_name": token_name})).await;
                bytes(identity::GetTokenRequest { user: own_name(), token_name })
            }
            "GetKey" => bytes(identity::GetKeyRequest { user: own_name(), key: self.key_of_member().await }),
            "DeleteKey" => bytes(identity::DeleteKeyRequest { user: own_name(), key: self.key_of_member().await }),
            "ExpireKey" => bytes(identity::ExpireKeyRequest { user: own_name(), key: self.key_of_member().await }),
            "CheckAuthorization" => bytes(identity::CheckAuthorizationRequest::default()),
            "ListScopes" => bytes(identity::ListScopesRequest {}),
            "ListAuditLogs" => bytes(audit::ListAuditLogsRequest::default()),
            "StreamAuditLogs" => bytes(audit::StreamAuditLogsRequest::default()),
            "GetFirstUser" => bytes(identity::GetFirstUserRequest {}),
            "CreateFirstUser" => bytes(identity::CreateFirstUserRequest {
                email: "second@example.com".to_owned(),
                username: "second".to_owned(),
                name: String::new(),
                password: PASSWORD.to_owned(),
            }),
            "CreateUser" => {
                let username = self.name();
                bytes(identity::CreateUserRequest {
                    email: format!("{username}@example.com"),
                    username,
                    password: PASSWORD.to_owned(),
                    organization_ids: vec![organization()],
                    ..Default::default()
                })
            }
            "GetUser" => bytes(identity::GetUserRequest { user: own_name() }),
            "ListOrganizations" => bytes(organization::ListOrganizationsRequest {}),
            "CreateOrganization" => {
                bytes(organization::CreateOrganizationRequest { name: self.name(), ..Default::default() })
            }
            "GetOrganization" => bytes(organization::GetOrganizationRequest { organization: organization() }),
            "UpdateOrganization" => bytes(organization::UpdateOrganizationRequest {
                organization: organization(),
                description: Some(self.name()),
                ..Default::default()
            }),
            "DeleteOrganization" => {
                let organization =
                    if caller == "owner" { self.owner.organization(&self.name()).await } else { organization() };
                bytes(organization::DeleteOrganizationRequest { organization })
            }
            "ListUserOrganizations" => bytes(organization::ListUserOrganizationsRequest { user: own_name() }),
            "AddMember" => {
                let (_, user) = self.owner.user(&self.name(), &["00000000-0000-0000-0000-000000000000"]).await;
                bytes(organization::AddMemberRequest { organization: organization(), user })
            }
            "ListProvisionerKeys" => bytes(provisioner::ListProvisionerKeysRequest { organization: organization() }),
            "CreateProvisionerKey" => bytes(provisioner::CreateProvisionerKeyRequest {
                organization: organization(),
                name: self.name(),
                ..Default::default()
            }),
            "DeleteProvisionerKey" => {
                let name = self.name();
                self.owner.key(&self.organization, &name, json!({})).await;
                let organization = organization();
                bytes(provisioner::DeleteProvisionerKeyRequest { organization, provisioner_key: name })
            }
            "ListProvisionerDaemons" => {
                bytes(provisioner::ListProvisionerDaemonsRequest { organization: organization(), ..Default::default() })
            }
            "Connect" => bytes(provisioner::DaemonMessage {
                message: Some(provisioner::daemon_message::Message::Register(register("intruder"))),
            }),
            "Download" => bytes(provisioner::DownloadRequest {
                job_id: uuid::Uuid::new_v4().to_string(),
                lease_id: uuid::Uuid::new_v4().to_string(),
                reference: Some(reference(b"x")),
            }),
            "Upload" => bytes(provisioner::UploadRequest {
                message: Some(provisioner::upload_request::Message::Header(provisioner::UploadHeader {
                    job_id: uuid::Uuid::new_v4().to_string(),
                    lease_id: uuid::Uuid::new_v4().to_string(),
                    kind: provisioner::UploadKind::State.into(),
                    reference: Some(reference(b"x")),
                })),
            }),
            "ListProvisionerJobs" => {
                bytes(provisioner::ListProvisionerJobsRequest { organization: organization(), ..Default::default() })
            }
            "GetProvisionerJob" => {
                let path = format!("/api/v2/workspacebuilds/{build}");
                let job = text(&self.owner.get(&path).await.expect(200)["job"], "id");
                bytes(provisioner::GetProvisionerJobRequest { organization: organization(), job })
            }
            "ReleaseProvisionerJob" => {
                let build = text(&self.waiting_workspace().await["latest_build"], "id");
                let path = format!("/api/v2/workspacebuilds/{build}");
                let job = text(&self.owner.get(&path).await.expect(200)["job"], "id");
                bytes(provisioner::ReleaseProvisionerJobRequest { organization: organization(), job })
            }
            "StreamJobLogs" => {
                bytes(provisioner::StreamJobLogsRequest { workspace_build: build, ..Default::default() })
            }
            "UploadFile" => {
                let header = template::UploadFileHeader { content_type: "application/x-tar".to_owned() };
                let header = template::upload_file_request::Message::Header(header);
                let data = template::upload_file_request::Message::Data(Archive::terraform(&self.name()));
                return [header, data].map(|m| bytes(template::UploadFileRequest { message: Some(m) })).to_vec();
            }
            "DownloadFile" => {
                let version = self.owner.get(&format!("/api/v2/templateversions/{version}")).await.expect(200);
                bytes(template::DownloadFileRequest { file: text(&version["job"], "file_id"), format: String::new() })
            }
            "CreateTemplate" => bytes(template::CreateTemplateRequest {
                organization: organization(),
                name: self.name(),
                template_version_id: self.waiting_version().await,
                ..Default::default()
            }),
            "ListTemplates" => {
                bytes(template::ListTemplatesRequest { organization: organization(), ..Default::default() })
            }
            "DeleteTemplate" => {
                let body = json!({"name": self.name(), "template_version_id": self.waiting_version().await});
                let path = format!("/api/v2/organizations/{}/templates", self.organization);
                let template = self.owner.post(&path, body).await.expect(201);
                bytes(template::DeleteTemplateRequest { template: text(&template, "id") })
            }
            "UpdateActiveTemplateVersion" => {
                bytes(template::UpdateActiveTemplateVersionRequest { template: template_id, id: version })
            }
            "GetTemplate" => bytes(template::GetTemplateRequest { template: template_id }),
            "GetTemplateByName" => {
                let template_name = "echo".to_owned();
                bytes(template::GetTemplateByNameRequest { organization: organization(), template_name })
            }
            "CreateTemplateVersion" => {
                // A file of the caller's own; the anonymous one has none.
                let client = if caller == "anonymous" { &self.owner } else { &self.clients[caller] };
                let file = client.upload(Archive::echo(&json!({"import": {"readme": self.name()}}))).await;
                bytes(template::CreateTemplateVersionRequest {
                    organization: organization(),
                    storage_method: "file".to_owned(),
                    file_id: text(&file.body, "hash"),
                    provisioner: "echo".to_owned(),
                    ..Default::default()
                })
            }
            "GetTemplateVersion" => bytes(template::GetTemplateVersionRequest { template_version: version }),
            "ListTemplateVersions" => {
                bytes(template::ListTemplateVersionsRequest { template: template_id, ..Default::default() })
            }
            "CancelTemplateVersion" => {
                bytes(template::CancelTemplateVersionRequest { template_version: self.waiting_version().await })
            }
            "ListTemplateVersionVariables" => {
                bytes(template::ListTemplateVersionVariablesRequest { template_version: version })
            }
            "CreateDryRun" => bytes(template::CreateDryRunRequest { template_version: version, ..Default::default() }),
            "GetDryRun" => {
                let job = self.waiting_dry_run().await;
                bytes(template::GetDryRunRequest { template_version: version, job })
            }
            "ListDryRunResources" => {
                let job = self.waiting_dry_run().await;
                let path = format!("/api/v2/templateversions/{version}/dry-run/{job}/cancel");
                let _ = self.owner.patch(&path, json!({})).await.expect(200);
                bytes(template::ListDryRunResourcesRequest { template_version: version, job })
            }
            "GetDryRunMatchedProvisioners" => {
                let job = self.waiting_dry_run().await;
                bytes(template::GetDryRunMatchedProvisionersRequest { template_version: version, job })
            }
            "CancelDryRun" => {
                let job = self.waiting_dry_run().await;
                bytes(template::CancelDryRunRequest { template_version: version, job })
            }
            "CreateWorkspace" => bytes(workspace::CreateWorkspaceRequest {
                user: self.member.clone(),
                template_id,
                name: self.name(),
                ..Default::default()
            }),
            "ListWorkspaces" => bytes(workspace::ListWorkspacesRequest::default()),
            "GetWorkspace" => bytes(workspace::GetWorkspaceRequest { workspace: workspace_id, include_deleted: false }),
            "GetWorkspaceByName" => bytes(workspace::GetWorkspaceByNameRequest {
                user: own_name(),
                workspace_name: "dev".to_owned(),
                include_deleted: false,
            }),
            "WatchWorkspace" => bytes(workspace::WatchWorkspaceRequest { workspace: workspace_id }),
            "CreateWorkspaceBuild" => bytes(workspace::CreateWorkspaceBuildRequest {
                workspace: self.idle_workspace().await,
                transition: provisioner::WorkspaceTransition::Start.into(),
                ..Default::default()
            }),
            "ListWorkspaceBuilds" => {
                bytes(workspace::ListWorkspaceBuildsRequest { workspace: workspace_id, ..Default::default() })
            }
            "GetWorkspaceBuild" => bytes(workspace::GetWorkspaceBuildRequest { workspace_build: build }),
            "GetWorkspaceBuildByNumber" => bytes(workspace::GetWorkspaceBuildByNumberRequest {
                user: own_name(),
                workspace_name: "dev".to_owned(),
                build_number: 1,
            }),
            "CancelWorkspaceBuild" => bytes(workspace::CancelWorkspaceBuildRequest {
                workspace_build: text(&self.waiting_workspace().await["latest_build"], "id"),
                expect_status: "pending".to_owned(),
            }),
            "ListTemplateVersionResources" => {
                bytes(template::ListTemplateVersionResourcesRequest { template_version: version })
            }
            "GetWorkspaceBuildTimings" => bytes(workspace::GetWorkspaceBuildTimingsRequest { workspace_build: build }),
            "GetWorkspaceTimings" => bytes(workspace::GetWorkspaceTimingsRequest { workspace: workspace_id }),
            "ListWorkspaceBuildResources" => {
                bytes(workspace::ListWorkspaceBuildResourcesRequest { workspace_build: build })
            }
            "DownloadWorkspaceBuildState" => {
                bytes(workspace::DownloadWorkspaceBuildStateRequest { workspace_build: build, ..Default::default() })
            }
            other => panic!("no request for {other}"),
        };
        vec![message]
    }

    async fn api(&self, method: &str, caller: &str) -> Api {
        if caller == "anonymous" {
            return self.deployment.grpc(None).await;
        }
        // A logout ends its session: it gets one of its own.
        if method.ends_with("/Logout") {
            let again = self.deployment.rest().login(&format!("{caller}@example.com")).await;
            return self.deployment.grpc(Some(again.token())).await;
        }
        self.deployment.grpc(Some(self.clients[caller].token())).await
    }
}

fn bytes(message: impl Message) -> Vec<u8> {
    message.encode_to_vec()
}

#[tokio::test]
async fn everybody_gets_what_the_table_says() {
    let world = World::start().await;
    let mut wrong = Vec::new();
    for (method, expected) in TABLE {
        for (caller, expected) in CALLERS.into_iter().zip(expected) {
            let messages = world.messages(method, caller).await;
            let reply = world.api(method, caller).await.call(&format!("/orgplane.{method}"), messages).await;
            let got = match &reply {
                Ok(_) => Some(Yes),
                Err(status) => match status.code() {
                    Code::Unauthenticated => Some(Who),
                    Code::NotFound => Some(Gone),
                    Code::PermissionDenied => Some(No),
                    Code::FailedPrecondition => Some(Now),
                    _ => None,
                },
            };
            if got != Some(*expected) {
                let reply = reply.map(|_| "an answer");
                wrong.push(format!("{method} as {caller}: expected {expected:?}, got {reply:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn bad_tokens_open_nothing() {
    let world = World::start().await;
    let good = world.clients["owner"].token();
    let other_secret = format!("{}{}", &good[..11], "x".repeat(22));
    for token in ["x", "aaaaaaaaaa-bbbbbbbbbbbbbbbbbbbbbb", other_secret.as_str(), &good[..good.len() - 1]] {
        let api = world.deployment.grpc(Some(token)).await;
        for (method, expected) in TABLE.iter().filter(|(_, expected)| *expected == SIGNED_IN || *expected == MEMBERS) {
            let reply = api.call(&format!("/orgplane.{method}"), world.messages(method, "owner").await).await;
            assert_eq!(reply.unwrap_err().code(), Code::Unauthenticated, "{method} {expected:?}");
        }
    }
}
