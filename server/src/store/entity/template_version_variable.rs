//! `template_version_variable`: what a version can be parametrised with by its author.

use sea_orm::entity::prelude::*;

use crate::domain::id::TemplateVersionId;

/// A variable that an import found.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "template_version_variable")]
pub struct Model {
    /// Whose it is.
    #[sea_orm(primary_key, auto_increment = false)]
    pub template_version_id: TemplateVersionId,
    /// Its place among the version's variables.
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i32,
    /// Its name.
    pub name: String,
    /// For people; may be empty.
    pub description: String,
    /// The type, as the engine names it.
    #[sea_orm(column_name = "type")]
    pub kind: String,
    /// Sealed.
    pub default_value: Vec<u8>,
    /// It has no default.
    pub required: bool,
    /// Its value isn't shown.
    pub sensitive: bool,
    /// Sealed.
    pub value: Vec<u8>,
}

/// None.
#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
