//! The roles that members hold: explicit ones, by name.

use sea_orm::Value;

use super::error::from_db;
use super::{Access, Tx};
use crate::domain::Result;
use crate::domain::id::{OrganizationId, UserId};

/// A role that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Who.
    pub user_id: UserId,
    /// Where; `None` for a role of the site.
    pub organization_id: Option<OrganizationId>,
    /// Its name.
    pub role: String,
    /// Its name for people, when it is of the organization's making.
    pub display_name: Option<String>,
}

/// The roles that users hold in an organization, and of the site.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn list(db: &impl Access, organization: OrganizationId, users: &[UserId]) -> Result<Vec<Held>> {
    let mut held = Vec::new();
    for some in users.chunks(super::IDS) {
        let ids = super::placeholders(2, some.len());
        let sql = format!(
            "SELECT g.user_id, g.organization_id, g.role, r.display_name FROM role_grant g
             LEFT JOIN custom_role r ON r.organization_id = g.organization_id AND r.name = g.role
             WHERE g.organization_id = $1 AND g.user_id IN ({ids})
             UNION ALL
             SELECT g.user_id, g.organization_id, g.role, NULL FROM role_grant g
             WHERE g.organization_id IS NULL AND g.user_id IN ({ids})"
        );
        let values = std::iter::once(organization.into()).chain(some.iter().map(|id| Value::from(*id)));
        for row in db.query_all(&sql, values.collect::<Vec<_>>()).await? {
            let read = || -> Result<Held, sea_orm::DbErr> {
                Ok(Held {
                    user_id: row.try_get_by_index(0)?,
                    organization_id: row.try_get_by_index(1)?,
                    role: row.try_get_by_index(2)?,
                    display_name: row.try_get_by_index(3)?,
                })
            };
            held.push(read().map_err(from_db)?);
        }
    }
    Ok(held)
}

/// Takes a role of an organization from a member.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn take(tx: &Tx, organization: OrganizationId, user: UserId, role: &str) -> Result<()> {
    let sql = "DELETE FROM role_grant WHERE organization_id = $1 AND user_id = $2 AND role = $3";
    tx.execute(sql, [organization.into(), user.into(), role.into()]).await.map(|_| ())
}

/// Takes all roles of an organization from a member.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn take_all(tx: &Tx, organization: OrganizationId, user: UserId) -> Result<()> {
    let sql = "DELETE FROM role_grant WHERE organization_id = $1 AND user_id = $2";
    tx.execute(sql, [organization.into(), user.into()]).await.map(|_| ())
}

/// Takes a role of an organization from everybody.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn take_from_all(tx: &Tx, organization: OrganizationId, role: &str) -> Result<()> {
    let sql = "DELETE FROM role_grant WHERE organization_id = $1 AND role = $2";
    tx.execute(sql, [organization.into(), role.into()]).await.map(|_| ())
}
