//! Who may call what: every RPC as everybody, asked over gRPC of a real server, and held against the table of permissions.
//! An RPC without a row in [`table`] fails the test.

mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};

use orgplane_proto::FILE_DESCRIPTOR_SET;
use orgplane_proto::audit::v1 as audit;
use orgplane_proto::deployment::v1 as deployment;
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

use table::{ANONYMOUS, CALLERS, Caller, Gets, MEMBER, Permissions, TABLE};

#[test]
fn every_rpc_has_a_row_and_every_row_an_rpc() {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let methods = pool.services().flat_map(|service| {
        let name = service.full_name().trim_start_matches("orgplane.").to_owned();
        service.methods().map(move |method| format!("{name}/{}", method.name())).collect::<Vec<_>>()
    });
    let rows: BTreeSet<String> = TABLE.iter().map(|row| row.method.to_owned()).collect();
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
        let mut clients = BTreeMap::from([("owner", owner.clone()), (ANONYMOUS, deployment.rest())]);
        let mut member = String::new();
        for Caller { name, member_of, role } in &CALLERS {
            if clients.contains_key(name) {
                continue;
            }
            let home = if *member_of == Some("home") { &organization } else { &away };
            let (client, id) = owner.user(name, &[home]).await;
            match (role, member_of) {
                (None, _) => {}
                (Some(role), Some(_)) => owner.give(home, name, role).await,
                (Some(role), None) => {
                    deployment.database().grant_site_role(&id, role).await;
                    let membership = format!("/api/v2/organizations/{away}/members/{name}");
                    let _ = owner.delete(&membership).await.expect(204);
                }
            }
            if *name == MEMBER {
                member = id;
            }
            clients.insert(*name, client);
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

    /// A user who never signs in.
    async fn user(&self, organization: &str) -> String {
        let name = self.name();
        let body = json!({
            "username": name, "email": format!("{name}@example.com"), "login_type": "none",
            "organization_ids": [organization],
        });
        text(&self.owner.post("/api/v2/users", body).await.expect(201), "id")
    }

    /// A role of the organization's making.
    async fn role(&self) -> String {
        let name = self.name();
        let path = format!("/api/v2/organizations/{}/members/roles", self.organization);
        let _ = self.owner.post(&path, json!({"name": name})).await.expect(200);
        name
    }

    /// A new member of the organization.
    async fn somebody(&self) -> String {
        self.owner.user(&self.name(), &[&self.organization]).await.1
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
            "GetBuildInfo" => bytes(deployment::GetBuildInfoRequest {}),
            "GetEntitlements" => bytes(deployment::GetEntitlementsRequest {}),
            "ListExperiments" => bytes(deployment::ListExperimentsRequest {}),
            "ListAvailableExperiments" => bytes(deployment::ListAvailableExperimentsRequest {}),
            "GetAuthMethods" => bytes(deployment::GetAuthMethodsRequest {}),
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
            "ListUsers" => bytes(identity::ListUsersRequest::default()),
            "GetUser" => bytes(identity::GetUserRequest { user: own_name() }),
            "DeleteUser" => bytes(identity::DeleteUserRequest { user: self.somebody().await }),
            "UpdateUserProfile" => {
                bytes(identity::UpdateUserProfileRequest { user: own_name(), username: own_name(), name: self.name() })
            }
            "SuspendUser" => bytes(identity::SuspendUserRequest { user: self.somebody().await }),
            "ActivateUser" => bytes(identity::ActivateUserRequest { user: self.somebody().await }),
            "UpdateUserPassword" => bytes(identity::UpdateUserPasswordRequest {
                user: self.somebody().await,
                old_password: String::new(),
                password: format!("Another-{PASSWORD}"),
            }),
            "ValidatePassword" => bytes(identity::ValidatePasswordRequest { password: PASSWORD.to_owned() }),
            "ListSiteRoles" => bytes(identity::ListSiteRolesRequest {}),
            "GetUserRoles" => bytes(identity::GetUserRolesRequest { user: own_name() }),
            "UpdateUserRoles" => bytes(identity::UpdateUserRolesRequest { user: own_name(), roles: Vec::new() }),
            "GetUserLoginType" => bytes(identity::GetUserLoginTypeRequest { user: own_name() }),
            "GetUserOrganization" => bytes(organization::GetUserOrganizationRequest {
                user: own_name(),
                organization_name: "home".to_owned(),
            }),
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
                let user = self.user("00000000-0000-0000-0000-000000000000").await;
                bytes(organization::AddMemberRequest { organization: organization(), user })
            }
            "ListMembers" => {
                bytes(organization::ListMembersRequest { organization: organization(), ..Default::default() })
            }
            "SearchMembers" => {
                bytes(organization::SearchMembersRequest { organization: organization(), ..Default::default() })
            }
            "GetMember" => bytes(organization::GetMemberRequest { organization: organization(), user: own_name() }),
            "RemoveMember" => {
                let user = self.user(&self.organization).await;
                bytes(organization::RemoveMemberRequest { organization: organization(), user })
            }
            "UpdateMemberRoles" => bytes(organization::UpdateMemberRolesRequest {
                organization: organization(),
                user: own_name(),
                roles: Vec::new(),
            }),
            "ListOrganizationRoles" => {
                bytes(organization::ListOrganizationRolesRequest { organization: organization() })
            }
            "CreateCustomRole" => bytes(organization::CustomRoleRequest {
                organization: organization(),
                name: self.name(),
                ..Default::default()
            }),
            "UpdateCustomRole" => {
                let name = self.role().await;
                bytes(organization::CustomRoleRequest { organization: organization(), name, ..Default::default() })
            }
            "DeleteCustomRole" => {
                let role_name = self.role().await;
                bytes(organization::DeleteCustomRoleRequest { organization: organization(), role_name })
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
                // A file of the caller's own; not all may have one.
                let archive = Archive::echo(&json!({"import": {"readme": self.name()}}));
                let mut file = self.clients[caller].upload(archive.clone()).await;
                if file.status >= 400 {
                    file = self.owner.upload(archive).await;
                }
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
        if caller == ANONYMOUS {
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
    let permissions = Permissions::read();
    let mut wrong = Vec::new();
    for row in TABLE {
        for one in &CALLERS {
            let (method, caller, expected) = (row.method, one.name, permissions.expected(row, one));
            let messages = world.messages(method, caller).await;
            let reply = world.api(method, caller).await.call(&format!("/orgplane.{method}"), messages).await;
            let got = match &reply {
                Ok(_) => Some(Gets::Yes),
                Err(status) => match status.code() {
                    Code::Unauthenticated => Some(Gets::Who),
                    Code::NotFound => Some(Gets::Gone),
                    Code::PermissionDenied => Some(Gets::No),
                    Code::FailedPrecondition => Some(Gets::Now),
                    _ => None,
                },
            };
            if got != Some(expected) {
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
        for row in TABLE.iter().filter(|row| row.is_for_sessions() && row.method.contains("/List")) {
            let method = row.method;
            let reply = api.call(&format!("/orgplane.{method}"), world.messages(method, "owner").await).await;
            assert_eq!(reply.unwrap_err().code(), Code::Unauthenticated, "{method}");
        }
    }
}
