//! The audit log.

use std::collections::BTreeSet;

use sea_orm::{EntityTrait as _, FromQueryResult as _, IntoActiveModel as _, QueryResult, Value};
use uuid::Uuid;

use super::entity::audit_log::{Entity, Model};
use super::error::from_db;
use super::{Access, Tx};
use crate::domain::id::{AuditId, OrganizationId, UserId};
use crate::domain::page::Page;
use crate::domain::{Result, Timestamp};

/// An entry with what is to be told of what it names.
#[derive(Debug)]
pub struct Listed {
    /// The entry.
    pub entry: Model,
    /// What it is about was deleted since.
    pub is_deleted: bool,
    /// The name of its organization, the name for people, and its picture.
    pub organization: Option<[String; 3]>,
}

/// Which entries are wanted. Texts are in lower case.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Filter {
    /// Those of these organizations; everything when `None`.
    pub readable: Option<BTreeSet<OrganizationId>>,
    pub resource_type: Option<String>,
    pub resource_id: Option<Uuid>,
    pub resource_target: Option<String>,
    pub action: Option<String>,
    pub user: Option<UserId>,
    pub username: Option<String>,
    pub email: Option<String>,
    /// From then on.
    pub since: Option<Timestamp>,
    /// Before then.
    pub until: Option<Timestamp>,
    pub organization: Option<OrganizationId>,
    pub build_reason: Option<String>,
    pub request_id: Option<Uuid>,
}

/// Conditions with their parameters.
#[derive(Default)]
struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    /// One more; `?` in it is the value's place.
    fn add(&mut self, condition: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        self.sql.push_str(if self.sql.is_empty() { "WHERE " } else { " AND " });
        self.sql.push_str(&condition.replace('?', &format!("${}", self.values.len())));
    }

    fn maybe<V: Into<Value>>(&mut self, condition: &str, value: Option<V>) {
        if let Some(value) = value {
            self.add(condition, value);
        }
    }

    fn of(filter: &Filter) -> Self {
        let mut all = Self::default();
        if let Some(readable) = &filter.readable {
            let places = super::placeholders(1, readable.len());
            all.values.extend(readable.iter().map(|id| Value::from(*id)));
            all.sql = format!("WHERE a.organization_id IN ({places})");
        }
        all.maybe("a.resource_type = ?", filter.resource_type.clone());
        all.maybe("a.resource_id = ?", filter.resource_id);
        all.maybe("lower(a.resource_target) = ?", filter.resource_target.clone());
        all.maybe("a.action = ?", filter.action.clone());
        all.maybe("a.user_id = ?", filter.user);
        let by = "a.user_id IN (SELECT u.id FROM user_account u WHERE lower(u.username) = ?)";
        all.maybe(by, filter.username.clone());
        let by = "a.user_id IN (SELECT u.id FROM user_account u WHERE u.email = ?)";
        all.maybe(by, filter.email.clone());
        all.maybe("a.time >= ?", filter.since);
        all.maybe("a.time < ?", filter.until);
        all.maybe("a.organization_id = ?", filter.organization);
        let reason = filter.build_reason.as_ref().map(|reason| format!("%\"build_reason\":\"{reason}\"%"));
        all.maybe("a.additional_fields LIKE ?", reason);
        all.maybe("a.request_id = ?", filter.request_id);
        all
    }
}

const SELECT: &str = "SELECT a.*, o.name AS organization_name, o.display_name AS organization_display_name,
     o.icon AS organization_icon, CAST(CASE
         WHEN a.resource_id IS NULL THEN 0
         WHEN a.resource_type = 'template' THEN
             (SELECT count(*) FROM template t WHERE t.id = a.resource_id AND t.deleted)
         WHEN a.resource_type = 'workspace' THEN
             (SELECT count(*) FROM workspace w WHERE w.id = a.resource_id AND w.deleted)
         WHEN a.resource_type = 'workspace_build' THEN
             (SELECT count(*) FROM workspace_build b JOIN workspace w ON w.id = b.workspace_id
              WHERE b.id = a.resource_id AND w.deleted)
         WHEN a.resource_type IN ('user', 'organization_member') THEN
             (SELECT count(*) FROM user_account u WHERE u.id = a.resource_id AND u.deleted)
         WHEN a.resource_type = 'organization' THEN
             (SELECT count(*) FROM organization d WHERE d.id = a.resource_id AND d.deleted)
         WHEN a.resource_type = 'provisioner_key' THEN
             1 - (SELECT count(*) FROM provisioner_key k WHERE k.id = a.resource_id)
         WHEN a.resource_type = 'custom_role' THEN
             1 - (SELECT count(*) FROM custom_role r WHERE r.id = a.resource_id)
         ELSE 0 END AS bigint) AS is_deleted
     FROM audit_log a LEFT JOIN organization o ON o.id = a.organization_id";

fn listed(row: &QueryResult) -> Result<Listed> {
    let read = || -> Result<Listed, sea_orm::DbErr> {
        let name: Option<String> = row.try_get("", "organization_name")?;
        let organization = match name {
            Some(name) => {
                Some([name, row.try_get("", "organization_display_name")?, row.try_get("", "organization_icon")?])
            }
            None => None,
        };
        let deleted: i64 = row.try_get("", "is_deleted")?;
        Ok(Listed { entry: Model::from_query_result(row, "")?, is_deleted: deleted != 0, organization })
    };
    read().map_err(from_db)
}

/// Entries, newest first.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn list(db: &impl Access, filter: &Filter, page: Page) -> Result<Vec<Listed>> {
    let Conditions { sql, values } = Conditions::of(filter);
    let (limit, offset) = (page.limit(), page.offset());
    let sql = format!("{SELECT} {sql} ORDER BY a.time DESC, a.id DESC LIMIT {limit} OFFSET {offset}");
    db.query_all(&sql, values).await?.iter().map(listed).collect()
}

/// How many there are; counting stops beyond `most`.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn count(db: &impl Access, filter: &Filter, most: i64) -> Result<i64> {
    let Conditions { sql, values } = Conditions::of(filter);
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM audit_log a {sql} LIMIT {}) AS found", most + 1);
    let row = db.query_one(&sql, values).await?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0).map_err(from_db))
}

/// The entries that come after one, oldest first.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn after(
    db: &impl Access,
    filter: &Filter,
    after: Option<(Timestamp, AuditId)>,
    limit: u32,
) -> Result<Vec<Listed>> {
    let mut conditions = Conditions::of(filter);
    if let Some((time, id)) = after {
        conditions.add("a.time >= ?", time);
        let time_place = conditions.values.len();
        conditions.add(&format!("(a.time > ${time_place} OR a.id > ?)"), id);
    }
    let Conditions { sql, values } = conditions;
    let sql = format!("{SELECT} {sql} ORDER BY a.time, a.id LIMIT {limit}");
    db.query_all(&sql, values).await?.iter().map(listed).collect()
}

/// Deletes the oldest entries of before a time, at most so many; how many it was.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn delete_before(tx: &Tx, time: Timestamp, limit: u32) -> Result<u64> {
    let sql = format!(
        "DELETE FROM audit_log WHERE id IN (SELECT id FROM audit_log WHERE time < $1 ORDER BY time, id LIMIT {limit})"
    );
    tx.execute(&sql, [time.into()]).await
}

/// Stores an entry.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn insert(tx: &Tx, entry: Model) -> Result<()> {
    let insert = Entity::insert(entry.into_active_model());
    insert.exec_without_returning(&tx.executor()).await.map(|_| ()).map_err(from_db)
}

/// Stores some entries in one statement.
///
/// # Errors
/// [`crate::domain::Error::Unavailable`] when the database can't be reached.
pub async fn insert_all(tx: &Tx, entries: Vec<Model>) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let insert = Entity::insert_many(entries.into_iter().map(Model::into_active_model));
    insert.exec_without_returning(&tx.executor()).await.map(|_| ()).map_err(from_db)
}
