//! Accounts. Whoever changes a user and what is theirs, locks the user first.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::sea_query::{Expr, ExprTrait as _, Func, LockBehavior, LockType};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, DbErr, EntityTrait as _, IntoActiveModel as _, PaginatorTrait as _,
    QueryFilter as _, QuerySelect as _, Value,
};

use super::entity::user_account::{Column, Entity, Model};
use super::error::{from_db, is_unique};
use super::{Access, Tx, placeholders};
use crate::domain::error::Kind;
use crate::domain::id::UserId;
use crate::domain::permission::SiteRole;
use crate::domain::user::UserStatus;
use crate::domain::{Error, Result, Timestamp};

/// A live user.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn find(db: &impl Access, id: UserId) -> Result<Option<Model>> {
    Entity::find_by_id(id).filter(live()).one(&db.executor()).await.map_err(from_db)
}

/// A live user by their username, in any case.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn find_by_username(db: &impl Access, username: &str) -> Result<Option<Model>> {
    find_by(db, Column::Username, username, live()).await
}

/// A live user by their address, in any case.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn find_by_email(db: &impl Access, email: &str) -> Result<Option<Model>> {
    find_by(db, Column::Email, email, live().and(Expr::cust("email <> ''"))).await
}

/// `which` is the condition of the column's index.
async fn find_by(db: &impl Access, column: Column, text: &str, which: Expr) -> Result<Option<Model>> {
    let lower = Expr::expr(Func::lower(Expr::col(column)));
    let query = Entity::find().filter(lower.eq(text.to_lowercase())).filter(which);
    query.one(&db.executor()).await.map_err(from_db)
}

/// Those that aren't deleted, in the words of the indexes: SQLite uses a partial one for no others.
pub(super) fn live() -> Expr {
    Expr::cust("NOT deleted")
}

/// Whether there is or ever was a user.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn any(db: &impl Access) -> Result<bool> {
    db.query_one("SELECT 1 FROM user_account LIMIT 1", []).await.map(|row| row.is_some())
}

/// Takes the deployment's one right to a first user; the losers of a race wait for the winner to commit.
///
/// # Errors
/// [`Error::FirstUserExists`] when it is taken.
pub async fn claim_first(tx: &Tx) -> Result<()> {
    let sql = "INSERT INTO deployment (name, value) VALUES ('first_user', $1) ON CONFLICT DO NOTHING";
    if tx.execute(sql, [Vec::<u8>::new().into()]).await? == 1 { Ok(()) } else { Err(Error::FirstUserExists) }
}

/// Stores a new user.
///
/// # Errors
/// [`Error::AlreadyExists`] when a live one has the username or the address.
pub async fn insert(tx: &Tx, user: Model) -> Result<()> {
    let taken = taken(&user);
    let insert = Entity::insert(user.into_active_model()).exec_without_returning(&tx.executor()).await;
    insert.map(|_| ()).map_err(taken)
}

/// Stores what was changed of a user.
///
/// # Errors
/// [`Error::AlreadyExists`] when another live one has the username or the address.
pub async fn update(tx: &Tx, user: Model) -> Result<()> {
    let taken = taken(&user);
    let update = Entity::update(user.into_active_model().reset_all()).exec(&tx.executor()).await;
    update.map(|_| ()).map_err(taken)
}

fn taken(user: &Model) -> impl FnOnce(DbErr) -> Error + use<> {
    let (username, email) = (user.username.clone(), user.email.clone());
    move |error| {
        if is_unique(&error, "user_account_username") {
            Error::AlreadyExists { kind: Kind::User, name: username, field: "username" }
        } else if is_unique(&error, "user_account_email") {
            Error::AlreadyExists { kind: Kind::User, name: email, field: "email" }
        } else {
            from_db(error)
        }
    }
}

/// Keeps a live user from being changed or deleted until the transaction ends. Whoever makes something a user's, or changes
/// their memberships, holds them first, so that nothing is a deleted one's.
///
/// # Errors
/// [`Error::NotFound`] when they were deleted, [`Error::Unavailable`] when the database can't be reached.
pub async fn hold(tx: &Tx, id: UserId) -> Result<Model> {
    locked(tx, id, LockType::Share).await
}

/// Takes a live user for oneself until the transaction ends, to change or delete them.
///
/// # Errors
/// [`Error::NotFound`] when they were deleted, [`Error::Unavailable`] when the database can't be reached.
pub async fn lock(tx: &Tx, id: UserId) -> Result<Model> {
    // Rows that refer to the user may come and go meanwhile.
    locked(tx, id, LockType::NoKeyUpdate).await
}

async fn locked(tx: &Tx, id: UserId, how: LockType) -> Result<Model> {
    let query = Entity::find_by_id(id).filter(live()).lock(how);
    query.one(&tx.executor()).await.map_err(from_db)?.ok_or(Error::NotFound(Kind::User))
}

/// Waits for everybody else who takes an owner away from the site, and holds up who comes later. To be called with the
/// owner locked, and before the others are counted: they are read by a statement that begins after the wait.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn lock_owners(tx: &Tx) -> Result<()> {
    let sql = format!("SELECT 1 FROM deployment WHERE name = 'first_user' {}", tx.dialect().for_update());
    tx.query_one(&sql, []).await.map(|_| ())
}

/// Whether the site has an active owner beside this one.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn has_other_owner(tx: &Tx, id: UserId) -> Result<bool> {
    const SQL: &str = "SELECT 1 FROM role_grant g JOIN user_account u ON u.id = g.user_id
         WHERE g.organization_id IS NULL AND g.role = 'owner' AND u.status = 'active' AND NOT u.deleted AND u.id <> $1
         LIMIT 1";
    tx.query_one(SQL, [id.into()]).await.map(|row| row.is_some())
}

/// How many live workspaces a user owns.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn workspaces(tx: &Tx, id: UserId) -> Result<u64> {
    use super::entity::workspace::{Column, Entity};
    let query = Entity::find().filter(Column::OwnerId.eq(id)).filter(Column::Deleted.eq(false));
    query.count(&tx.executor()).await.map_err(from_db)
}

/// Marks some active users as dormant who weren't seen since, and gives them as they were.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn put_to_rest(tx: &Tx, since: Timestamp, most: u64, now: Timestamp) -> Result<Vec<Model>> {
    let seen = Expr::expr(Func::coalesce([Expr::col(Column::LastSeenAt), Expr::col(Column::CreatedAt)]));
    let query = Entity::find().filter(live()).filter(Column::Status.eq(UserStatus::Active)).filter(seen.lt(since));
    let query = query.limit(most).lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::SkipLocked);
    let found = query.all(&tx.executor()).await.map_err(from_db)?;
    if !found.is_empty() {
        let sql = format!(
            "UPDATE user_account SET status = 'dormant', updated_at = $1 WHERE id IN ({})",
            placeholders(2, found.len())
        );
        let mut values: Vec<Value> = vec![now.into()];
        values.extend(found.iter().map(|user| Value::from(user.id)));
        tx.execute(&sql, values).await?;
    }
    Ok(found)
}

/// The roles of the site that each of these users has.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn site_roles(db: &impl Access, ids: &[UserId]) -> Result<BTreeMap<UserId, BTreeSet<SiteRole>>> {
    let mut found = BTreeMap::<_, BTreeSet<_>>::new();
    for some in ids.chunks(super::IDS) {
        let sql = format!(
            "SELECT user_id, role FROM role_grant WHERE organization_id IS NULL AND user_id IN ({})",
            placeholders(1, some.len())
        );
        let ids: Vec<Value> = some.iter().map(|id| (*id).into()).collect();
        for row in db.query_all(&sql, ids).await? {
            let user: UserId = row.try_get_by_index(0).map_err(from_db)?;
            let role: String = row.try_get_by_index(1).map_err(from_db)?;
            // A role that this server doesn't know, as during an upgrade, gives nothing.
            found.entry(user).or_default().extend(SiteRole::named(&role));
        }
    }
    Ok(found)
}

/// These users by their ids, deleted ones too: what they made names them still.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn find_many(db: &impl Access, ids: BTreeSet<UserId>) -> Result<BTreeMap<UserId, Model>> {
    let ids: Vec<UserId> = ids.into_iter().collect();
    let mut found = Vec::new();
    for some in ids.chunks(super::IDS) {
        let query = Entity::find().filter(Column::Id.is_in(some.iter().copied()));
        found.extend(query.all(&db.executor()).await.map_err(from_db)?);
    }
    Ok(found.into_iter().map(|user| (user.id, user)).collect())
}
