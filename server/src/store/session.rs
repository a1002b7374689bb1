//! Sessions and tokens of users, and what their users hold. The hot path of every call: two statements.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sea_orm::QueryResult;

use super::error::from_db;
use super::{Access, Tx};
use crate::domain::id::{OrganizationId, UserId};
use crate::domain::permission::{self, OrganizationRole, Scope, SiteRole, Subject};
use crate::domain::user::{LoginType, UserStatus};
use crate::domain::{Result, Timestamp};

/// What a key and its user say about a call.
#[derive(Debug)]
pub struct Session {
    /// SHA-256 of the secret part.
    pub secret_sha256: Vec<u8>,
    /// Whose key it is.
    pub user_id: UserId,
    /// Whether they may come in.
    pub status: UserStatus,
    /// Their last call.
    pub last_seen_at: Option<Timestamp>,
    /// The key's last use.
    pub last_used_at: Timestamp,
    /// The key's end.
    pub expires_at: Timestamp,
    /// How long each use keeps it alive.
    pub lifetime: Duration,
    /// Whether uses keep it alive: tokens end when they end.
    pub slides: bool,
    /// What the key may be used for.
    pub scope: Scope,
    /// The time of the database at this.
    pub now: Timestamp,
}

/// A key of a live user.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn find(db: &impl Access, id: &str) -> Result<Option<Session>> {
    let sql = format!(
        "SELECT k.secret_sha256, k.user_id, u.status, u.last_seen_at, k.last_used_at, k.expires_at, k.lifetime_seconds, {}, k.scope,
         k.login_type
         FROM api_key k JOIN user_account u ON u.id = k.user_id
         WHERE k.id = $1 AND NOT u.deleted",
        db.dialect().now()
    );
    let row = db.query_one(&sql, [id.into()]).await?;
    row.map(|row| session(&row).map_err(from_db)).transpose()
}

fn session(row: &QueryResult) -> Result<Session, sea_orm::DbErr> {
    let lifetime: i64 = row.try_get_by_index(6)?;
    let scope: String = row.try_get_by_index(8)?;
    let login_type: LoginType = row.try_get_by_index(9)?;
    Ok(Session {
        secret_sha256: row.try_get_by_index(0)?,
        user_id: row.try_get_by_index(1)?,
        status: row.try_get_by_index(2)?,
        last_seen_at: row.try_get_by_index(3)?,
        last_used_at: row.try_get_by_index(4)?,
        expires_at: row.try_get_by_index(5)?,
        lifetime: Duration::from_secs(u64::try_from(lifetime).unwrap_or(0)),
        slides: login_type != LoginType::Token,
        // What this server doesn't know, as during an upgrade, lets nothing through.
        scope: Scope::parse(scope.split(' ')).unwrap_or_else(|_| Scope::Only(BTreeSet::new())),
        now: row.try_get_by_index(7)?,
    })
}

/// What a user holds, as far as the scope of their token lets them: roles of the site, and live organizations with what
/// they hold there.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn subject(db: &impl Access, user_id: UserId, scope: Scope) -> Result<Subject> {
    const SQL: &str = "SELECT g.organization_id, g.role, NULL FROM role_grant g
         WHERE g.user_id = $1 AND g.organization_id IS NULL
         UNION ALL
         SELECT m.organization_id, g.role, r.permissions FROM organization_member m
         JOIN organization o ON o.id = m.organization_id AND NOT o.deleted
         LEFT JOIN role_grant g ON g.user_id = m.user_id AND g.organization_id = m.organization_id
         LEFT JOIN custom_role r ON r.organization_id = g.organization_id AND r.name = g.role
         WHERE m.user_id = $1 AND m.status = 'active'";
    let mut subject = Subject { user_id, site_roles: BTreeSet::new(), organizations: BTreeMap::new(), scope };
    for row in db.query_all(SQL, [user_id.into()]).await? {
        let organization: Option<OrganizationId> = row.try_get_by_index(0).map_err(from_db)?;
        let role: Option<String> = row.try_get_by_index(1).map_err(from_db)?;
        let permissions: Option<String> = row.try_get_by_index(2).map_err(from_db)?;
        let Some(organization) = organization else {
            // A role that this server doesn't know, as during an upgrade, gives nothing.
            subject.site_roles.extend(role.and_then(|role| SiteRole::named(&role)));
            continue;
        };
        let membership = subject.organizations.entry(organization).or_default();
        match (role, permissions) {
            (Some(role), Some(permissions)) => {
                membership.permissions.extend(permission::of_stored(&permissions));
                membership.custom_roles.insert(role);
            }
            (Some(role), None) => membership.roles.extend(OrganizationRole::named(&role)),
            (None, _) => {}
        }
    }
    Ok(subject)
}

/// Notes a use of a key: its user was seen and, if dormant, is active from now on.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn touch(tx: &Tx, id: &str, user_id: UserId, now: Timestamp, expires_at: Timestamp) -> Result<()> {
    // The user first, as everybody does who changes both: two in another order would wait for each other.
    let user = "UPDATE user_account SET last_seen_at = $2,
         status = CASE status WHEN 'dormant' THEN 'active' ELSE status END WHERE id = $1";
    tx.execute(user, [user_id.into(), now.into()]).await?;
    let key = "UPDATE api_key SET last_used_at = $2, expires_at = $3, updated_at = $2 WHERE id = $1";
    tx.execute(key, [id.into(), now.into(), expires_at.into()]).await?;
    Ok(())
}

/// Forgets a key.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn delete(tx: &Tx, id: &str) -> Result<()> {
    tx.execute("DELETE FROM api_key WHERE id = $1", [id.into()]).await.map(|_| ())
}

/// Forgets all keys of a user.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn delete_all(tx: &Tx, user_id: UserId) -> Result<()> {
    tx.execute("DELETE FROM api_key WHERE user_id = $1", [user_id.into()]).await.map(|_| ())
}
