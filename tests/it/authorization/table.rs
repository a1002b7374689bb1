//! What each RPC asks for, and what that means for each caller by the table of permissions: read from
//! `docs/permissions.md`, which prints it as it is.

use std::collections::{BTreeMap, BTreeSet};

use orgplane_tests::binary::root;

/// What a caller gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gets {
    /// The answer.
    Yes,
    /// `UNAUTHENTICATED`: who are you?
    Who,
    /// `NOT_FOUND`: there is no such thing for you.
    Gone,
    /// `PERMISSION_DENIED`: you see it, but may not.
    No,
    /// `FAILED_PRECONDITION`: you may, but not now.
    Now,
}

use Gets::{Gone, No, Now, Who, Yes};

/// Somebody who calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    pub(super) name: &'static str,
    /// Of which organization they are a member: of `home`, where everything is that calls are about, or of `away`.
    pub(super) member_of: Option<&'static str>,
    /// Their role there, or of the site.
    pub(super) role: Option<&'static str>,
}

const fn caller(name: &'static str, member_of: Option<&'static str>, role: Option<&'static str>) -> Caller {
    Caller { name, member_of, role }
}

const HOME: Option<&str> = Some("home");
const AWAY: Option<&str> = Some("away");

/// Nobody that is known; to be told apart from those who are.
pub(super) const ANONYMOUS: &str = "anonymous";
/// Whose the objects are that are somebody's.
pub(super) const MEMBER: &str = "member";

pub(super) const CALLERS: [Caller; 13] = [
    caller(ANONYMOUS, None, None),
    caller("stranger", AWAY, None),
    caller("foreign-admin", AWAY, Some("organization-admin")),
    caller("colleague", HOME, None),
    caller(MEMBER, HOME, None),
    caller("organization-auditor", HOME, Some("organization-auditor")),
    caller("organization-user-admin", HOME, Some("organization-user-admin")),
    caller("organization-template-admin", HOME, Some("organization-template-admin")),
    caller("admin", HOME, Some("organization-admin")),
    // These three are members of nothing.
    caller("site-auditor", None, Some("auditor")),
    caller("site-user-admin", None, Some("user-admin")),
    caller("site-template-admin", None, Some("template-admin")),
    caller("owner", HOME, Some("owner")),
];

impl Caller {
    fn is_of_site(&self) -> bool {
        matches!(self.role, Some("owner" | "auditor" | "user-admin" | "template-admin"))
    }

    /// In which columns they stand for something of the organization, of the site, or of any organization of theirs.
    fn columns(&self, of: &Of) -> BTreeSet<&'static str> {
        let here = match of {
            Of::Site => None,
            // An account is of the site, and of each organization that its user is a member of.
            Of::Account | Of::Other | Of::Home | Of::Member | Of::Themselves => {
                self.member_of.filter(|organization| Some(*organization) == HOME)
            }
            Of::Anything => self.member_of,
        };
        let is_own = match of {
            Of::Account => self.name == MEMBER,
            Of::Member => self.name == MEMBER && here.is_some(),
            Of::Themselves => here.is_some(),
            Of::Site | Of::Other | Of::Home | Of::Anything => false,
        };
        let role = self.role.filter(|_| self.is_of_site() || here.is_some());
        let columns = [Some("anyone"), role, here.map(|_| "member"), is_own.then_some("own")];
        columns.into_iter().flatten().collect()
    }
}

/// What a permission is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// The site.
    Site,
    /// The member's account.
    Account,
    /// The account of another member of `home`.
    Other,
    /// Something in the organization `home`.
    Home,
    /// Something of the member's there.
    Member,
    /// Something of the caller's own there.
    Themselves,
    /// Something in any organization.
    Anything,
}

/// One thing that an RPC asks its caller for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    permission: &'static str,
    of: Of,
    /// What those get who don't hold it; otherwise it depends on whether they may read the thing.
    refusal: Option<Gets>,
}

const fn ask(of: Of, permission: &'static str, refusal: Option<Gets>) -> Ask {
    Ask { permission, of, refusal }
}

const fn site(permission: &'static str) -> Ask {
    ask(Of::Site, permission, Some(No))
}

const fn account(permission: &'static str) -> Ask {
    ask(Of::Account, permission, None)
}

const fn other(permission: &'static str) -> Ask {
    ask(Of::Other, permission, None)
}

const fn here(permission: &'static str) -> Ask {
    ask(Of::Home, permission, None)
}

const fn own(permission: &'static str) -> Ask {
    ask(Of::Member, permission, None)
}

/// Whoever doesn't hold it is told that there is no such thing.
const fn hidden(permission: &'static str) -> Ask {
    ask(Of::Home, permission, Some(Gone))
}

/// What an RPC asks its caller for before anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Credential {
    Nothing,
    Session,
    Key,
}

/// An RPC.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) method: &'static str,
    credential: Credential,
    /// All of these, in this order.
    asks: &'static [Ask],
    /// What those get who may.
    answer: Gets,
    /// Callers for whom it is something else.
    but: &'static [(&'static str, Gets)],
}

/// An RPC that a session is needed for, and these permissions.
const fn row(method: &'static str, asks: &'static [Ask]) -> Row {
    Row { method, credential: Credential::Session, asks, answer: Yes, but: &[] }
}

const fn public(method: &'static str) -> Row {
    Row { credential: Credential::Nothing, ..row(method, &[]) }
}

const fn keys_only(method: &'static str) -> Row {
    Row { credential: Credential::Key, ..row(method, &[]) }
}

impl Row {
    const fn answers(self, answer: Gets) -> Self {
        Self { answer, ..self }
    }

    const fn but(self, but: &'static [(&'static str, Gets)]) -> Self {
        Self { but, ..self }
    }

    /// Whether a good token is all that keeps strangers out.
    pub(super) fn is_for_sessions(&self) -> bool {
        self.credential == Credential::Session
    }
}

pub(super) const TABLE: &[Row] = &[
    public("deployment.v1.DeploymentService/GetBuildInfo"),
    public("deployment.v1.DeploymentService/GetEntitlements"),
    row("deployment.v1.DeploymentService/ListExperiments", &[]),
    row("deployment.v1.DeploymentService/ListAvailableExperiments", &[]),
    public("deployment.v1.DeploymentService/GetAuthMethods"),
    public("identity.v1.SessionService/Login"),
    row("identity.v1.SessionService/Logout", &[]),
    public("identity.v1.UserService/GetFirstUser"),
    public("identity.v1.UserService/CreateFirstUser").answers(Now),
    row("identity.v1.UserService/CreateUser", &[site("user:create")]),
    row("identity.v1.UserService/ListUsers", &[]),
    row("identity.v1.UserService/GetUser", &[account("user:read")]),
    row("identity.v1.UserService/DeleteUser", &[other("user:delete")]),
    row("identity.v1.UserService/UpdateUserProfile", &[account("user:update_personal")]),
    row("identity.v1.UserService/SuspendUser", &[other("user:update")]),
    row("identity.v1.UserService/ActivateUser", &[other("user:update")]),
    row("identity.v1.UserService/UpdateUserPassword", &[other("user:update_personal")]),
    public("identity.v1.UserService/ValidatePassword"),
    row("identity.v1.UserService/ListSiteRoles", &[site("assign_role:read")]),
    row("identity.v1.UserService/GetUserRoles", &[account("user:read")]),
    row("identity.v1.UserService/UpdateUserRoles", &[account("user:read"), site("assign_role:assign")]),
    // One's own, and nobody else's.
    row("identity.v1.UserService/GetUserLoginType", &[account("user:read")]).but(&[
        ("organization-user-admin", No),
        ("admin", No),
        ("site-auditor", No),
        ("site-user-admin", No),
        ("site-template-admin", No),
        ("owner", No),
    ]),
    row("identity.v1.KeyService/CreateKey", &[account("api_key:create")]),
    row("identity.v1.KeyService/CreateToken", &[account("api_key:create")]),
    row("identity.v1.KeyService/ListTokens", &[account("api_key:read")]),
    row("identity.v1.KeyService/GetTokenConfig", &[account("api_key:read")]),
    row("identity.v1.KeyService/GetToken", &[account("api_key:read")]),
    row("identity.v1.KeyService/GetKey", &[account("api_key:read")]),
    row("identity.v1.KeyService/DeleteKey", &[account("api_key:delete")]),
    row("identity.v1.KeyService/ExpireKey", &[account("api_key:update")]),
    row("identity.v1.AuthorizationService/CheckAuthorization", &[]),
    public("identity.v1.AuthorizationService/ListScopes"),
    row("audit.v1.AuditService/ListAuditLogs", &[ask(Of::Anything, "audit_log:read", Some(No))]),
    row("audit.v1.AuditService/StreamAuditLogs", &[ask(Of::Anything, "audit_log:read", Some(No))]),
    row("organization.v1.OrganizationService/ListOrganizations", &[]),
    row("organization.v1.OrganizationService/CreateOrganization", &[site("organization:create")]),
    row("organization.v1.OrganizationService/GetOrganization", &[here("organization:read")]),
    row("organization.v1.OrganizationService/UpdateOrganization", &[here("organization:update")]),
    // The administrator may, but theirs isn't empty.
    row("organization.v1.OrganizationService/DeleteOrganization", &[here("organization:delete")])
        .but(&[("admin", Now)]),
    row("organization.v1.OrganizationService/ListUserOrganizations", &[account("user:read")]),
    row("organization.v1.OrganizationService/GetUserOrganization", &[account("user:read"), here("organization:read")]),
    row("organization.v1.MemberService/ListMembers", &[here("organization_member:read")]),
    row("organization.v1.MemberService/SearchMembers", &[here("organization_member:read")]),
    row("organization.v1.MemberService/GetMember", &[here("organization_member:read")]),
    row("organization.v1.MemberService/AddMember", &[here("organization_member:create")]),
    row("organization.v1.MemberService/RemoveMember", &[here("organization_member:delete")]),
    row(
        "organization.v1.MemberService/UpdateMemberRoles",
        &[here("assign_org_role:assign"), here("assign_org_role:unassign")],
    ),
    row("organization.v1.RoleService/ListOrganizationRoles", &[here("assign_org_role:read")]),
    row("organization.v1.RoleService/CreateCustomRole", &[here("assign_org_role:create")]),
    row("organization.v1.RoleService/UpdateCustomRole", &[here("assign_org_role:update")]),
    row("organization.v1.RoleService/DeleteCustomRole", &[here("assign_org_role:delete")]),
    row("provisioner.v1.ProvisionerKeyService/ListProvisionerKeys", &[here("provisioner_daemon:read")]),
    row("provisioner.v1.ProvisionerKeyService/CreateProvisionerKey", &[here("provisioner_daemon:create")]),
    row("provisioner.v1.ProvisionerKeyService/DeleteProvisionerKey", &[here("provisioner_daemon:delete")]),
    row("provisioner.v1.ProvisionerDaemonService/ListProvisionerDaemons", &[here("provisioner_jobs:read")]),
    keys_only("provisioner.v1.ProvisionerDaemonService/Connect"),
    keys_only("provisioner.v1.ProvisionerDaemonService/Download"),
    keys_only("provisioner.v1.ProvisionerDaemonService/Upload"),
    row("provisioner.v1.ProvisionerJobService/ListProvisionerJobs", &[here("provisioner_jobs:read")]),
    row("provisioner.v1.ProvisionerJobService/GetProvisionerJob", &[here("provisioner_jobs:read")]),
    // For those who may, there is nothing to release: no daemon has the job.
    row("provisioner.v1.ProvisionerJobService/ReleaseProvisionerJob", &[here("provisioner_jobs:update")]).answers(Now),
    row("provisioner.v1.ProvisionerJobService/StreamJobLogs", &[own("workspace:read")]),
    row("template.v1.FileService/UploadFile", &[ask(Of::Anything, "file:create", Some(No))]),
    row("template.v1.FileService/DownloadFile", &[hidden("template:update")]),
    row("template.v1.TemplateService/CreateTemplate", &[here("template:create")]),
    row("template.v1.TemplateService/ListTemplates", &[here("template:read")]),
    row("template.v1.TemplateService/GetTemplate", &[here("template:read")]),
    row("template.v1.TemplateService/GetTemplateByName", &[here("template:read")]),
    row("template.v1.TemplateService/DeleteTemplate", &[here("template:delete")]),
    row("template.v1.TemplateService/UpdateActiveTemplateVersion", &[here("template:update")]),
    row("template.v1.TemplateVersionService/CreateTemplateVersion", &[here("template:create")]),
    row("template.v1.TemplateVersionService/GetTemplateVersion", &[here("template:read")]),
    row("template.v1.TemplateVersionService/ListTemplateVersions", &[here("template:read")]),
    row("template.v1.TemplateVersionService/CancelTemplateVersion", &[here("template:update")]),
    row("template.v1.TemplateVersionService/ListTemplateVersionVariables", &[here("template:read")]),
    row(
        "template.v1.DryRunService/CreateDryRun",
        &[hidden("template:use"), ask(Of::Themselves, "workspace:create", Some(Gone))],
    ),
    row("template.v1.DryRunService/GetDryRun", &[own("workspace:read")]),
    row("template.v1.DryRunService/ListDryRunResources", &[own("workspace:read")]),
    row("template.v1.DryRunService/GetDryRunMatchedProvisioners", &[own("workspace:read")]),
    row("template.v1.DryRunService/CancelDryRun", &[own("workspace:stop")]),
    row("template.v1.TemplateVersionService/ListTemplateVersionResources", &[here("template:read")]),
    // Members see each other, so that they are told no.
    row(
        "workspace.v1.WorkspaceService/CreateWorkspace",
        &[here("template:use"), ask(Of::Member, "workspace:create", Some(No))],
    ),
    row("workspace.v1.WorkspaceService/ListWorkspaces", &[]),
    row("workspace.v1.WorkspaceService/GetWorkspace", &[own("workspace:read")]),
    row("workspace.v1.WorkspaceService/GetWorkspaceByName", &[own("workspace:read")]),
    row("workspace.v1.WorkspaceService/WatchWorkspace", &[own("workspace:read")]),
    row("workspace.v1.WorkspaceBuildService/CreateWorkspaceBuild", &[own("workspace:start")]),
    row("workspace.v1.WorkspaceBuildService/ListWorkspaceBuilds", &[own("workspace:read")]),
    row("workspace.v1.WorkspaceBuildService/GetWorkspaceBuild", &[own("workspace:read")]),
    row("workspace.v1.WorkspaceBuildService/GetWorkspaceBuildByNumber", &[own("workspace:read")]),
    row("workspace.v1.WorkspaceBuildService/CancelWorkspaceBuild", &[own("workspace:stop")]),
    row("workspace.v1.WorkspaceBuildService/ListWorkspaceBuildResources", &[own("workspace:read")]),
    row("workspace.v1.WorkspaceBuildService/GetWorkspaceBuildTimings", &[own("workspace:read")]),
    row("workspace.v1.WorkspaceBuildService/GetWorkspaceTimings", &[own("workspace:read")]),
    row(
        "workspace.v1.WorkspaceBuildService/DownloadWorkspaceBuildState",
        &[own("workspace:read"), hidden("template:update")],
    ),
];

/// The table of permissions: by permission, the columns that hold it.
pub(super) struct Permissions(BTreeMap<String, BTreeSet<String>>);

impl Permissions {
    pub(super) fn read() -> Self {
        let page = std::fs::read_to_string(root().join("docs/permissions.md")).expect("the page");
        let (_, table) = page.split_once("<!-- the table -->").expect("the table");
        let mut lines = table
            .lines()
            .filter(|line| line.starts_with('|'))
            .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>());
        let columns = lines.next().expect("a heading");
        let rows = lines.skip(1).map(|cells| {
            let held = columns.iter().zip(&cells).filter(|(_, cell)| *cell == "✓").map(|(column, _)| column.clone());
            (cells[0].trim_matches('`').to_owned(), held.collect())
        });
        Self(rows.collect())
    }

    fn holds(&self, caller: &Caller, permission: &str, of: &Of) -> bool {
        let held = self.0.get(permission).unwrap_or_else(|| panic!("{permission} isn't in the table"));
        caller.columns(of).into_iter().any(|column| held.contains(column))
    }

    /// What a caller gets of an RPC.
    pub(super) fn expected(&self, row: &Row, caller: &Caller) -> Gets {
        if let Some((_, instead)) = row.but.iter().find(|(name, _)| *name == caller.name) {
            return *instead;
        }
        match row.credential {
            Credential::Nothing => return row.answer,
            Credential::Key => return Who,
            Credential::Session if caller.name == ANONYMOUS => return Who,
            Credential::Session => {}
        }
        let refusal = |ask: &Ask| self.refusal(ask, caller);
        row.asks.iter().find_map(refusal).unwrap_or(row.answer)
    }

    fn refusal(&self, Ask { permission, of, refusal }: &Ask, caller: &Caller) -> Option<Gets> {
        let is_hidden = matches!(of, Of::Home | Of::Member) && !self.holds(caller, "organization:read", &Of::Home);
        if is_hidden {
            return Some(Gone);
        }
        if self.holds(caller, permission, of) {
            return None;
        }
        let (resource, _) = permission.split_once(':').expect("a permission");
        let may_read = self.holds(caller, &format!("{resource}:read"), of);
        Some(refusal.unwrap_or(if may_read { No } else { Gone }))
    }
}
