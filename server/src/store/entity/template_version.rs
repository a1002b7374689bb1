//! `template_version`.

use sea_orm::entity::prelude::*;

use crate::domain::Timestamp;
use crate::domain::id::{JobId, OrganizationId, TemplateId, TemplateVersionId, UserId};

/// An archive and what its import found in it.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "template_version")]
pub struct Model {
    /// The version's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: TemplateVersionId,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// The template that it was attached to.
    pub template_id: Option<TemplateId>,
    /// Its import.
    pub job_id: JobId,
    /// Unique in its template, in any case.
    pub name: String,
    /// What its author says about it; may be empty.
    pub message: String,
    /// The archive's readme, once imported.
    pub readme: String,
    /// Sealed JSON: the values that its author gave for its variables, by name.
    pub user_variable_values: Vec<u8>,
    /// What its import's engine chose, for its builds; empty where it chose nothing.
    pub lock_file: String,
    /// It isn't offered any more.
    pub archived: bool,
    /// Who made it.
    pub created_by: UserId,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
