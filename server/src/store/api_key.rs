//! Sessions and tokens, as their users manage them.

use sea_orm::sea_query::{Condition, Expr, ExprTrait as _, Query};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};

use super::entity::api_key::{Column, Entity, Model};
use super::entity::user_account;
use super::error::{from_db, name_taken};
use super::{Access, Tx};
use crate::domain::error::Kind;
use crate::domain::id::UserId;
use crate::domain::page::Page;
use crate::domain::token::EXPIRED_KEPT;
use crate::domain::user::LoginType;
use crate::domain::{Error, Result, Timestamp};

/// Which tokens a list is of.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Whose; everybody's when `None`.
    pub user: Option<UserId>,
    /// Only those that end after this.
    pub live_at: Option<Timestamp>,
}

/// Prepares for one more key of a user: keeps others from doing so until the transaction ends, and forgets what expired:
/// sessions at once, tokens after a while, or when their name is wanted. How many there are then.
///
/// # Errors
/// [`Error::NotFound`] when the user was deleted, [`Error::Unavailable`] when the database can't be reached.
pub async fn make_room(tx: &Tx, user: UserId, now: Timestamp, name: &str) -> Result<u64> {
    let sql = format!("SELECT 1 FROM user_account WHERE id = $1 AND NOT deleted {}", tx.dialect().for_update());
    tx.query_one(&sql, [user.into()]).await?.ok_or(Error::NotFound(Kind::User))?;
    let sql = "DELETE FROM api_key WHERE user_id = $1 AND expires_at <= $2
         AND (token_name = '' OR token_name = $3 OR expires_at <= $4)";
    tx.execute(sql, [user.into(), now.into(), name.into(), now.minus(EXPIRED_KEPT).into()]).await?;
    Entity::find().filter(Column::UserId.eq(user)).count(&tx.executor()).await.map_err(from_db)
}

/// Forgets the tokens of a user that have expired; how many.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn delete_expired(tx: &Tx, user: UserId, now: Timestamp) -> Result<u64> {
    tx.execute("DELETE FROM api_key WHERE user_id = $1 AND expires_at <= $2", [user.into(), now.into()]).await
}

/// Ends the session of a user that was used longest ago; tokens stay.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn delete_stalest_session(tx: &Tx, user: UserId) -> Result<()> {
    let sql = "DELETE FROM api_key WHERE id =
         (SELECT id FROM api_key WHERE user_id = $1 AND token_name = '' ORDER BY last_used_at, id LIMIT 1)";
    tx.execute(sql, [user.into()]).await.map(|_| ())
}

/// Stores a new key.
///
/// # Errors
/// [`Error::AlreadyExists`] when the user has a token of this name.
pub async fn insert(tx: &Tx, key: Model) -> Result<()> {
    let name = key.token_name.clone();
    let insert = Entity::insert(key.into_active_model()).exec_without_returning(&tx.executor()).await;
    insert.map(|_| ()).map_err(name_taken(Kind::ApiKey, &name, "token_name"))
}

/// Tokens, not sessions, oldest first.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn list(db: &impl Access, filter: &Filter, page: Page) -> Result<Vec<Model>> {
    let mut wanted = Condition::all().add(Column::LoginType.eq(LoginType::Token));
    if let Some(user) = filter.user {
        wanted = wanted.add(Column::UserId.eq(user));
    } else {
        // Keys of deleted users go with them; where they don't, they are nobody's.
        let live = Query::select()
            .column(user_account::Column::Id)
            .from(user_account::Entity)
            .and_where(Expr::col(user_account::Column::Deleted).eq(Expr::val(false)))
            .to_owned();
        wanted = wanted.add(Column::UserId.in_subquery(live));
    }
    if let Some(now) = filter.live_at {
        wanted = wanted.add(Column::ExpiresAt.gt(now));
    }
    let query = Entity::find().filter(wanted).order_by_asc(Column::CreatedAt).order_by_asc(Column::Id);
    query.limit(page.limit()).offset(page.offset()).all(&db.executor()).await.map_err(from_db)
}

/// A key of a user.
///
/// # Errors
/// [`Error::NotFound`] when they have none of this id.
pub async fn find(db: &impl Access, user: UserId, id: &str) -> Result<Model> {
    let query = Entity::find_by_id(id).filter(Column::UserId.eq(user));
    query.one(&db.executor()).await.map_err(from_db)?.ok_or(Error::NotFound(Kind::ApiKey))
}

/// A token of a user by its name.
///
/// # Errors
/// [`Error::NotFound`] when they have none of this name.
pub async fn find_by_name(db: &impl Access, user: UserId, name: &str) -> Result<Model> {
    let query = Entity::find().filter(Column::UserId.eq(user)).filter(Column::TokenName.eq(name));
    query.one(&db.executor()).await.map_err(from_db)?.ok_or(Error::NotFound(Kind::ApiKey))
}

/// Ends a key and keeps what it was.
///
/// # Errors
/// [`Error::Unavailable`] when the database can't be reached.
pub async fn expire(tx: &Tx, id: &str, now: Timestamp) -> Result<()> {
    let sql = "UPDATE api_key SET expires_at = $2, updated_at = $2 WHERE id = $1 AND expires_at > $2";
    tx.execute(sql, [id.into(), now.into()]).await.map(|_| ())
}
