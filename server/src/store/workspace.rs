//! Workspaces.

use sea_orm::sea_query::{Expr, ExprTrait as _, Func, IntoColumnRef};
use sea_orm::{
    ActiveEnum as _, ColumnTrait as _, Condition, DbErr, EntityTrait as _, IntoActiveModel as _, Iterable as _,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QueryResult, QuerySelect as _, QueryTrait as _, Value,
};

use super::entity::workspace::{Column, Entity, Model};
use super::error::{from_db, name_taken};
use super::{Access, Tx};
use crate::domain::error::Kind;
use crate::domain::id::{OrganizationId, UserId, WorkspaceId};
use crate::domain::page::Page;
use crate::domain::permission::Reach;
use crate::domain::workspace::{Mark, Status, Transition};
use crate::domain::{Result, job};

/// Stores a workspace.
///
/// # Errors
/// [`crate::domain::Error::AlreadyExists`] when the owner has one of this name.
pub async fn insert(tx: &Tx, workspace: &Model) -> Result<()> {
    let insert = Entity::insert(workspace.clone().into_active_model()).exec_without_returning(&tx.executor()).await;
    insert.map(|_| ()).map_err(name_taken(Kind::Workspace, &workspace.name, "name"))
}

/// A workspace, deleted or not.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn find(db: &impl Access, id: WorkspaceId) -> Result<Option<Model>> {
    Entity::find_by_id(id).one(&db.executor()).await.map_err(from_db)
}

/// Holds a workspace until the transaction ends: nobody else queues a build of it meanwhile.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn lock(tx: &Tx, id: WorkspaceId) -> Result<()> {
    let sql = format!("SELECT 1 FROM workspace WHERE id = $1 {}", tx.dialect().for_update());
    tx.query_one(&sql, [id.into()]).await.map(|_| ())
}

/// Those of these workspaces that exist, deleted or not, in no order.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn find_many(db: &impl Access, ids: Vec<WorkspaceId>) -> Result<Vec<Model>> {
    let mut found = Vec::new();
    for some in ids.chunks(super::IDS) {
        let query = Entity::find().filter(Column::Id.is_in(some.iter().copied()));
        found.extend(query.all(&db.executor()).await.map_err(from_db)?);
    }
    Ok(found)
}

/// What tells changes of these workspaces, of those that exist, in no order.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn marks(db: &impl Access, ids: Vec<WorkspaceId>) -> Result<Vec<(WorkspaceId, Mark)>> {
    let mut found = Vec::new();
    for some in ids.chunks(super::IDS) {
        let sql = format!(
            "SELECT w.id, w.updated_at, b.id, b.updated_at, j.status, j.updated_at FROM workspace w
             JOIN workspace_build b ON b.workspace_id = w.id AND b.build_number =
                 (SELECT MAX(build_number) FROM workspace_build WHERE workspace_id = w.id)
             JOIN provisioner_job j ON j.id = b.job_id WHERE w.id IN ({})",
            super::placeholders(1, some.len())
        );
        let ids: Vec<Value> = some.iter().map(|id| (*id).into()).collect();
        for row in db.query_all(&sql, ids).await? {
            found.push(mark(&row).map_err(from_db)?);
        }
    }
    Ok(found)
}

fn mark(row: &QueryResult) -> Result<(WorkspaceId, Mark), DbErr> {
    let mark = Mark {
        updated_at: row.try_get_by_index(1)?,
        build: row.try_get_by_index(2)?,
        build_updated_at: row.try_get_by_index(3)?,
        job_status: row.try_get_by_index(4)?,
        job_updated_at: row.try_get_by_index(5)?,
    };
    Ok((row.try_get_by_index(0)?, mark))
}

/// An owner's workspace by its name, in any case: the live one, else the one that was deleted last.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn find_by_name(db: &impl Access, owner: UserId, name: &str) -> Result<Option<Model>> {
    let lower = Expr::expr(Func::lower(Expr::col(Column::Name)));
    let query = Entity::find()
        .filter(Column::OwnerId.eq(owner))
        .filter(lower.eq(name.to_lowercase()))
        .order_by_asc(Column::Deleted)
        .order_by_desc(Column::UpdatedAt)
        .limit(1);
    query.one(&db.executor()).await.map_err(from_db)
}

/// Which live workspaces a list is of.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Those that the caller may read.
    pub readable: Reach,
    /// Only these; empty for all.
    pub ids: Vec<WorkspaceId>,
    /// Only a user's.
    pub owner: Option<Owner>,
    /// Only an organization's.
    pub organization: Option<OrganizationId>,
    /// Only those made from templates of this name, in any case.
    pub template: Option<String>,
    /// Only those with this in their name, in any case.
    pub name: Option<String>,
    /// Only those in one of these; empty for all.
    pub statuses: Vec<Status>,
    /// Only those whose latest build is of another version than the template's active one, or only the others.
    pub outdated: Option<bool>,
    /// None at all.
    pub nothing: bool,
}

/// Whose workspaces.
#[derive(Debug, Clone)]
pub enum Owner {
    /// By their id.
    Id(UserId),
    /// By their name, in any case.
    Username(String),
}

/// A page of the live workspaces: running ones first, then by their owners' and their own names.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn list(db: &impl Access, filter: &Filter, page: Page) -> Result<Vec<Model>> {
    let running = format!("CASE WHEN {} THEN 0 ELSE 1 END", latest_build(&is(Status::Running)));
    let query = Entity::find()
        .filter(condition(filter))
        .order_by_asc(Expr::cust(running))
        .order_by_asc(Expr::cust("(SELECT lower(u.username) FROM user_account u WHERE u.id = workspace.owner_id)"))
        .order_by_asc(Expr::expr(Func::lower(Expr::col(Column::Name))))
        .order_by_asc(Column::Id);
    query.limit(page.limit()).offset(page.offset()).all(&db.executor()).await.map_err(from_db)
}

/// How many the list has on all its pages.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn count(db: &impl Access, filter: &Filter) -> Result<u64> {
    Entity::find().filter(condition(filter)).count(&db.executor()).await.map_err(from_db)
}

fn condition(filter: &Filter) -> Condition {
    let Filter { readable, ids, owner, organization, template, name, statuses, outdated, nothing } = filter;
    let mut all = Condition::all().add(Column::Deleted.eq(false));
    if *nothing {
        all = all.add(Expr::cust("1 = 0"));
    }
    if let Reach::Some { whole, own, user } = readable {
        let own =
            Condition::all().add(Column::OwnerId.eq(*user)).add(Column::OrganizationId.is_in(own.iter().copied()));
        all = all.add(Condition::any().add(Column::OrganizationId.is_in(whole.iter().copied())).add(own));
    }
    if !ids.is_empty() {
        all = all.add(Column::Id.is_in(ids.iter().copied()));
    }
    match owner {
        None => {}
        Some(Owner::Id(id)) => all = all.add(Column::OwnerId.eq(*id)),
        Some(Owner::Username(name)) => {
            use super::entity::user_account::{Column as User, Entity as Users};
            let users = Users::find().select_only().column(User::Id).filter(is_named(User::Username, name));
            all = all.add(Column::OwnerId.in_subquery(users.into_query()));
        }
    }
    if let Some(organization) = organization {
        all = all.add(Column::OrganizationId.eq(*organization));
    }
    if let Some(template) = template {
        use super::entity::template::{Column as Template, Entity as Templates};
        let templates = Templates::find().select_only().column(Template::Id).filter(is_named(Template::Name, template));
        all = all.add(Column::TemplateId.in_subquery(templates.into_query()));
    }
    if let Some(name) = name {
        // Not LIKE, in which some characters of a search would mean something.
        let rest = Func::cust("replace").arg(Func::lower(Expr::col(Column::Name))).arg(name.to_lowercase()).arg("");
        all = all.add(Expr::expr(rest).ne(Func::lower(Expr::col(Column::Name))));
    }
    if !statuses.is_empty() {
        let any = statuses.iter().map(|status| is(*status)).collect::<Vec<_>>().join(" OR ");
        all = all.add(Expr::cust(latest_build(&any)));
    }
    if let Some(outdated) = outdated {
        let other = "b.template_version_id <> (SELECT t.active_version_id FROM template t
            WHERE t.id = workspace.template_id)";
        let not = if *outdated { "" } else { "NOT " };
        all = all.add(Expr::cust(format!("{not}{}", latest_build(other))));
    }
    all
}

/// That a column is this, in any case.
fn is_named(column: impl IntoColumnRef, name: &str) -> Expr {
    Expr::expr(Func::lower(Expr::col(column))).eq(name.to_lowercase())
}

/// That the latest build `b`, whose job is `j`, is so.
fn latest_build(so: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM workspace_build b JOIN provisioner_job j ON j.id = b.job_id
            WHERE b.workspace_id = workspace.id AND ({so}) AND b.build_number = (
                SELECT max(n.build_number) FROM workspace_build n WHERE n.workspace_id = workspace.id))"
    )
}

/// That a build makes its workspace this.
fn is(status: Status) -> String {
    let pairs = job::Status::iter().flat_map(|job| Transition::iter().map(move |transition| (job, transition)));
    let pairs = pairs.filter(|(job, transition)| Status::of(*job, *transition) == status);
    let pairs = pairs.map(|(job, transition)| {
        format!("(j.status = '{}' AND b.transition = '{}')", job.to_value(), transition.to_value())
    });
    pairs.collect::<Vec<_>>().join(" OR ")
}
