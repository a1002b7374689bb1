//! Workspaces.

mod list;

use std::collections::{BTreeMap, BTreeSet};

pub use list::WorkspaceSearch;

use super::audit::Attempt;
use super::{Caller, Service};
use crate::domain::audit::{AuditAction, AuditResource};
use crate::domain::error::Kind;
use crate::domain::id::{TemplateId, TemplateVersionId, UserId, WorkspaceId};
use crate::domain::permission::{Action, Object, Resource, Subject, allowed, authorize};
use crate::domain::rule::Violations;
use crate::domain::workspace::{BuildReason, Transition};
use crate::domain::{Error, Result, name};
use crate::service::workspace_build::{BuildView, NewBuild, import_of, no_parameters, queue};
use crate::store;
use crate::store::entity::{organization, template, template_version, user_account, workspace, workspace_build};

/// A workspace to be, as a client asks for it.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct NewWorkspace {
    pub user: String,
    pub organization: String,
    pub template_id: String,
    pub template_version_id: String,
    pub name: String,
    /// Names of the parameters that values are given for.
    pub parameters: Vec<String>,
    pub autostart_schedule: String,
    pub ttl_ms: i64,
    pub automatic_updates: String,
}

/// A workspace with what clients are told about it.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkspaceView {
    /// The workspace.
    pub workspace: workspace::Model,
    /// Whose it is.
    pub owner: user_account::Model,
    /// The organization that it is in.
    pub organization: organization::Model,
    /// What it is made from.
    pub template: template::Model,
    /// The build that made it what it is.
    pub latest_build: BuildView,
}

impl Service {
    /// Makes a workspace and queues its first build, a start.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Denied`], [`Error::NotFound`] for the owner, template or version,
    /// [`Error::AlreadyExists`], [`Error::ImportUnfinished`].
    pub async fn workspace_create(&self, caller: &Caller, new: NewWorkspace) -> Result<WorkspaceView> {
        let mut attempt = self.attempt(caller, AuditAction::Create, AuditResource::Workspace);
        let result = self.workspace_create_attempt(caller, new, &mut attempt).await;
        attempt.end(result).await
    }

    async fn workspace_create_attempt(
        &self,
        caller: &Caller,
        new: NewWorkspace,
        attempt: &mut Attempt<'_>,
    ) -> Result<WorkspaceView> {
        let subject = caller.user()?;
        attempt.named(&new.name);
        let source = validate(&new)?;
        let (template, version) = self.workspace_source(subject, source).await?;
        attempt.of(template.organization_id);
        if !new.organization.is_empty() {
            let organization = self.organization_resolve(caller, &new.organization).await?;
            if organization.id != template.organization_id {
                return Err(Error::NotFound(Kind::Template));
            }
        }
        authorize(subject, Action::Use, &Object::of(Resource::Template, template.organization_id), Kind::Template)?;
        let owner = self.user_resolve(caller, &new.user).await?;
        let object = Object::of(Resource::Workspace, template.organization_id).owned_by(owner.id);
        let is_member = store::member::is_member(&self.store, template.organization_id, owner.id).await?;
        match (allowed(subject, Action::Create, &object), is_member) {
            (true, true) => {}
            (true, false) => return Err(Error::invalid("user", "must be a member of the template's organization")),
            // Members see each other; of others nobody is told whether they exist.
            (false, true) => return Err(Error::Denied),
            (false, false) => return Err(Error::NotFound(Kind::User)),
        }
        let import = import_of(&self.store, &version, "template_version_id").await?;

        let tx = self.store.begin().await?;
        store::template::hold(&tx, template.id).await?;
        store::user::hold(&tx, owner.id).await?;
        let created_at = store::now(&tx).await?;
        let workspace = workspace::Model {
            id: WorkspaceId::new(),
            organization_id: template.organization_id,
            owner_id: owner.id,
            template_id: template.id,
            name: new.name,
            deleted: false,
            last_used_at: None,
            created_at,
            updated_at: created_at,
        };
        store::workspace::insert(&tx, &workspace).await?;
        let build = NewBuild {
            transition: Transition::Start,
            reason: BuildReason::Initiator,
            version_id: version.id,
            initiator_id: subject.user_id,
            state: None,
        };
        let build = queue(&tx, &workspace, 1, build, &import).await?;
        attempt.about(workspace.id.0, &workspace.name).also("workspace_owner", &owner.username);
        attempt.change(None, Some(&workspace)).commit(tx).await?;
        self.dispatcher.announce();
        let view = self.workspace_view(workspace, Some(build)).await?;
        Ok(WorkspaceView { latest_build: view.latest_build.into_created(), ..view })
    }

    /// A workspace.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::WorkspaceGone`] for a deleted one that isn't asked for.
    pub async fn workspace_get(&self, caller: &Caller, id: &str, include_deleted: bool) -> Result<WorkspaceView> {
        let workspace = self.workspace_find(caller.user()?, id).await?;
        if workspace.deleted && !include_deleted {
            return Err(Error::WorkspaceGone);
        }
        self.workspace_view(workspace, None).await
    }

    /// A user's workspace by its name, in any case: the live one, else, if asked for, the one that was deleted last.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn workspace_get_by_name(
        &self,
        caller: &Caller,
        user: &str,
        name: &str,
        include_deleted: bool,
    ) -> Result<WorkspaceView> {
        let workspace = self.workspace_find_by_name(caller, user, name).await?;
        if workspace.deleted && !include_deleted {
            return Err(Error::NotFound(Kind::Workspace));
        }
        self.workspace_view(workspace, None).await
    }

    /// The template and version that a workspace is to be made from, if the subject may read them.
    async fn workspace_source(
        &self,
        subject: &Subject,
        source: Source,
    ) -> Result<(template::Model, template_version::Model)> {
        let (template_id, version) = match source {
            Source::Template(id) => (id, None),
            Source::Version(id) => {
                let version = self.template_version_find(subject, &id.to_string()).await?;
                let rule = "must be the id of a version that is of a template";
                (version.template_id.ok_or_else(|| Error::invalid("template_version_id", rule))?, Some(version))
            }
        };
        let template = self.template_find(subject, &template_id.to_string()).await?;
        let version = match version {
            Some(version) => version,
            None => store::template_version::find(&self.store, template.active_version_id)
                .await?
                .ok_or_else(|| Error::internal("a template without its active version"))?,
        };
        Ok((template, version))
    }

    /// A workspace, live or not, that the subject may read.
    pub(super) async fn workspace_find(&self, subject: &Subject, id: &str) -> Result<workspace::Model> {
        let id = WorkspaceId::parse(id).ok_or_else(|| Error::invalid("workspace", "must be a UUID"))?;
        readable(subject, store::workspace::find(&self.store, id).await?)
    }

    /// The same by its owner and name.
    pub(super) async fn workspace_find_by_name(
        &self,
        caller: &Caller,
        user: &str,
        name: &str,
    ) -> Result<workspace::Model> {
        let subject = caller.user()?;
        let owner: UserId = self.user_resolve(caller, user).await?.id;
        // What can't be a name isn't looked up: not every text is one for the database.
        let found = match name::identifier(name) {
            Ok(()) => store::workspace::find_by_name(&self.store, owner, name).await?,
            Err(_) => None,
        };
        readable(subject, found)
    }

    async fn workspace_view(
        &self,
        workspace: workspace::Model,
        latest: Option<workspace_build::Model>,
    ) -> Result<WorkspaceView> {
        let views = match latest {
            Some(latest) => self.views_with(vec![workspace], vec![latest]).await?,
            None => self.workspace_views(vec![workspace]).await?,
        };
        views.into_iter().next().ok_or(Error::NotFound(Kind::Workspace))
    }

    async fn workspace_views(&self, workspaces: Vec<workspace::Model>) -> Result<Vec<WorkspaceView>> {
        let ids = workspaces.iter().map(|workspace| workspace.id).collect();
        let latest = store::workspace_build::latest_of(&self.store, ids).await?;
        self.views_with(workspaces, latest).await
    }

    /// In a constant number of queries; leaves out what is of an organization that was deleted at this moment.
    async fn views_with(
        &self,
        workspaces: Vec<workspace::Model>,
        latest: Vec<workspace_build::Model>,
    ) -> Result<Vec<WorkspaceView>> {
        let builds = self.build_views(latest).await?;
        let mut builds: BTreeMap<_, _> = builds.into_iter().map(|view| (view.workspace.id, view)).collect();
        let templates: BTreeSet<_> = workspaces.iter().map(|workspace| workspace.template_id).collect();
        let templates = store::template::find_many(&self.store, templates.into_iter().collect()).await?;
        let templates: BTreeMap<_, _> = templates.into_iter().map(|template| (template.id, template)).collect();
        let organizations: BTreeSet<_> = workspaces.iter().map(|workspace| workspace.organization_id).collect();
        let organizations = store::organization::find_all(&self.store, &organizations).await?;
        let organizations: BTreeMap<_, _> = organizations.into_iter().map(|found| (found.id, found)).collect();
        let mut views = Vec::with_capacity(workspaces.len());
        for workspace in workspaces {
            let Some(organization) = organizations.get(&workspace.organization_id).cloned() else { continue };
            let latest_build = builds.remove(&workspace.id);
            let latest_build = latest_build.ok_or_else(|| Error::internal("a workspace without a build"))?;
            let template = templates.get(&workspace.template_id).cloned();
            let template = template.ok_or_else(|| Error::internal("a workspace without a template"))?;
            let owner = latest_build.owner.clone();
            views.push(WorkspaceView { workspace, owner, organization, template, latest_build });
        }
        Ok(views)
    }
}

fn readable(subject: &Subject, found: Option<workspace::Model>) -> Result<workspace::Model> {
    let workspace = found.ok_or(Error::NotFound(Kind::Workspace))?;
    authorize(
        subject,
        Action::Read,
        &Object::workspace(workspace.organization_id, workspace.owner_id),
        Kind::Workspace,
    )?;
    Ok(workspace)
}

/// What a workspace is made from.
enum Source {
    Template(TemplateId),
    Version(TemplateVersionId),
}

fn validate(new: &NewWorkspace) -> Result<Source> {
    let mut violations = Violations::default();
    violations.check("name", name::identifier(&new.name));
    let source = match (new.template_id.as_str(), new.template_version_id.as_str()) {
        ("", "") | (_, "") => TemplateId::parse(&new.template_id).map(Source::Template),
        ("", _) => TemplateVersionId::parse(&new.template_version_id).map(Source::Version),
        _ => None,
    };
    let both = !new.template_id.is_empty() && !new.template_version_id.is_empty();
    match (&source, both) {
        (Some(_), _) => {}
        (None, true) => violations.add("template_id", "must be empty where template_version_id is given"),
        (None, false) if !new.template_version_id.is_empty() => {
            violations.add("template_version_id", "must be a UUID");
        }
        (None, false) if new.template_id.is_empty() => {
            violations.add("template_id", "must be given, or template_version_id");
        }
        (None, false) => violations.add("template_id", "must be a UUID"),
    }
    no_parameters(&new.parameters, &mut violations);
    if !new.autostart_schedule.is_empty() {
        violations.add("autostart_schedule", "must be empty: this server doesn't support schedules yet");
    }
    if new.ttl_ms != 0 {
        violations.add("ttl_ms", "must be unset or 0: this server doesn't support lifetimes yet");
    }
    if !matches!(new.automatic_updates.as_str(), "" | "never") {
        violations.add("automatic_updates", "must be `never`: this server doesn't support automatic updates yet");
    }
    violations.finish()?;
    source.ok_or_else(|| Error::invalid("template_id", "must be a UUID"))
}
