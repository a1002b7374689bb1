//! Lists of accounts, by a search.

use std::collections::BTreeSet;

use sea_orm::sea_query::{Expr, ExprTrait as _, Func, LikeExpr};
use sea_orm::{
    ActiveEnum as _, ColumnTrait as _, Condition, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, QueryTrait as _, Select,
};

use super::Access;
use super::entity::user_account::{Column, Entity, Model};
use super::entity::{organization_member, role_grant};
use super::error::from_db;
use super::user::live;
use crate::domain::id::{OrganizationId, UserId};
use crate::domain::member::MembershipStatus;
use crate::domain::page::Page;
use crate::domain::permission::SiteRole;
use crate::domain::user::{LoginType, UserStatus};
use crate::domain::{Result, Timestamp};

/// Which live users a list is of. The texts are in lower case.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those that the caller may read.
    pub readable: Readable,
    /// Only those with this in their username or address.
    pub search: Option<String>,
    /// Only those with this in their real name.
    pub name: Option<String>,
    /// Only those in one of these; empty for all.
    pub statuses: Vec<UserStatus>,
    /// Only those with one of these roles of the site; empty for all.
    pub roles: Vec<SiteRole>,
    /// Only those who sign in in one of these ways; empty for all.
    pub login_types: Vec<LoginType>,
    /// Only those last seen then or later.
    pub last_seen_after: Option<Timestamp>,
    /// Only those last seen then or earlier, or never.
    pub last_seen_before: Option<Timestamp>,
    /// Only those made then or later.
    pub created_after: Option<Timestamp>,
    /// Only those made then or earlier.
    pub created_before: Option<Timestamp>,
    /// None at all.
    pub nothing: bool,
}

/// Whom somebody may read.
#[derive(Debug, Clone, Default)]
pub struct Readable {
    /// The members of these; `None` for everybody.
    pub members_of: Option<BTreeSet<OrganizationId>>,
    /// This one in any case.
    pub own: Option<UserId>,
}

/// A page of users, by username; `after` only those behind that one.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn list(db: &impl Access, filter: &Filter, page: Page, after: Option<UserId>) -> Result<Vec<Model>> {
    let mut query = Entity::find().filter(condition(filter));
    if let Some(after) = after {
        // Also one that was deleted since, but none that the caller can't read: its place would tell its name.
        let place = Entity::find().select_only().expr(lower(Column::Username)).filter(Column::Id.eq(after));
        let place = place.filter(readable(&filter.readable));
        query = query.filter(lower(Column::Username).gt(Expr::SubQuery(None, Box::new(place.into_query().into()))));
    }
    let query = query.order_by_asc(lower(Column::Username));
    query.limit(page.limit()).offset(page.offset()).all(&db.executor()).await.map_err(from_db)
}

/// How many the list has on all its pages.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn count(db: &impl Access, filter: &Filter) -> Result<u64> {
    Entity::find().filter(condition(filter)).count(&db.executor()).await.map_err(from_db)
}

/// Whether a live user is one of those that somebody may read.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn is_readable(db: &impl Access, id: UserId, whom: &Readable) -> Result<bool> {
    let query = Entity::find_by_id(id).filter(live()).filter(readable(whom));
    Ok(query.one(&db.executor()).await.map_err(from_db)?.is_some())
}

fn readable(whom: &Readable) -> Condition {
    let Some(organizations) = &whom.members_of else { return Condition::all() };
    let mut any = Condition::any();
    if let Some(own) = whom.own {
        any = any.add(Column::Id.eq(own));
    }
    if !organizations.is_empty() {
        any = any.add(Column::Id.in_subquery(members(organizations).into_query()));
    }
    // Nobody: a condition without parts would be everybody.
    if any.is_empty() { any.add(Expr::cust("1 = 0")) } else { any }
}

fn members(organizations: &BTreeSet<OrganizationId>) -> Select<organization_member::Entity> {
    use organization_member::Column;
    let query = organization_member::Entity::find().select_only().column(Column::UserId);
    let query = query.filter(Column::OrganizationId.is_in(organizations.iter().copied()));
    query.filter(Column::Status.eq(MembershipStatus::Active))
}

fn condition(filter: &Filter) -> Condition {
    let Filter {
        readable: whom,
        search,
        name,
        statuses,
        roles,
        login_types,
        last_seen_after,
        last_seen_before,
        created_after,
        created_before,
        nothing,
    } = filter;
    let mut all = Condition::all().add(live()).add(readable(whom));
    if *nothing {
        all = all.add(Expr::cust("1 = 0"));
    }
    if let Some(text) = search {
        // Addresses are stored in lower case.
        all = all.add(
            Condition::any()
                .add(lower(Column::Username).like(containing(text)))
                .add(Expr::col(Column::Email).like(containing(text))),
        );
    }
    if let Some(text) = name {
        all = all.add(lower(Column::Name).like(containing(text)));
    }
    if !statuses.is_empty() {
        all = all.add(Column::Status.is_in(statuses.iter().copied()));
    }
    if !roles.is_empty() {
        use role_grant::Column as Grant;
        let holders = role_grant::Entity::find().select_only().column(Grant::UserId);
        let holders = holders.filter(Grant::OrganizationId.is_null());
        let holders = holders.filter(Grant::Role.is_in(roles.iter().map(|role| role.to_value())));
        all = all.add(Column::Id.in_subquery(holders.into_query()));
    }
    if !login_types.is_empty() {
        all = all.add(Column::LoginType.is_in(login_types.iter().copied()));
    }
    if let Some(time) = last_seen_before {
        all = all.add(Condition::any().add(Column::LastSeenAt.is_null()).add(Column::LastSeenAt.lte(*time)));
    }
    all.add_option(last_seen_after.map(|time| Column::LastSeenAt.gte(time)))
        .add_option(created_after.map(|time| Column::CreatedAt.gte(time)))
        .add_option(created_before.map(|time| Column::CreatedAt.lte(time)))
}

fn lower(column: Column) -> Expr {
    Func::lower(Expr::col(column)).into()
}

/// Texts with this in them; nothing of it means anything else than itself.
fn containing(text: &str) -> LikeExpr {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    LikeExpr::new(pattern).escape('!')
}
