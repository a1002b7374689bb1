//! Accounts.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::sea_query::{Expr, ExprTrait as _, Func};
use sea_orm::{ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QuerySelect as _};

use super::entity::user_account::{Column, Entity, Model};
use super::error::{from_db, is_unique};
use super::{Access, Tx};
use crate::domain::error::Kind;
use crate::domain::id::UserId;
use crate::domain::{Error, Result};

/// A live user.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn find(db: &impl Access, id: UserId) -> Result<Option<Model>> {
    Entity::find_by_id(id).filter(Column::Deleted.eq(false)).one(&db.executor()).await.map_err(from_db)
}

/// A live user by their username, in any case.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn find_by_username(db: &impl Access, username: &str) -> Result<Option<Model>> {
    find_by(db, Column::Username, username).await
}

/// A live user by their address, in any case.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn find_by_email(db: &impl Access, email: &str) -> Result<Option<Model>> {
    find_by(db, Column::Email, email).await
}

async fn find_by(db: &impl Access, column: Column, text: &str) -> Result<Option<Model>> {
    let lower = Expr::expr(Func::lower(Expr::col(column)));
    let query = Entity::find().filter(lower.eq(text.to_lowercase())).filter(Column::Deleted.eq(false));
    query.one(&db.executor()).await.map_err(from_db)
}

/// Keeps a live user from being changed or deleted until the transaction ends. Whoever makes a membership of theirs, or
/// changes what hangs on it, holds them first, and the membership after that.
///
/// # Errors
/// [`Error::NotFound`] when they were deleted.
pub async fn hold(tx: &Tx, id: UserId) -> Result<Model> {
    let query = Entity::find_by_id(id).filter(Column::Deleted.eq(false)).lock_shared();
    query.one(&tx.executor()).await.map_err(from_db)?.ok_or(Error::NotFound(Kind::User))
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
    let (username, email) = (user.username.clone(), user.email.clone());
    let insert = Entity::insert(user.into_active_model()).exec_without_returning(&tx.executor()).await;
    insert.map(|_| ()).map_err(|error| {
        if is_unique(&error, "user_account_username") {
            Error::AlreadyExists { kind: Kind::User, name: username, field: "username" }
        } else if is_unique(&error, "user_account_email") {
            Error::AlreadyExists { kind: Kind::User, name: email, field: "email" }
        } else {
            from_db(error)
        }
    })
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
