//! Schema statements in the SQL that both databases share, with placeholders for the types that they name differently.
//!
//! Times are BIGINT microseconds since 1970 in UTC: they compare, sort and subtract alike everywhere.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// Runs each statement, with `{uuid}` and `{bytes}` as the database's types for those.
pub(crate) async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    let (uuid, bytes) = match manager.get_database_backend() {
        DbBackend::Postgres => ("uuid", "bytea"),
        _ => ("blob", "blob"),
    };
    for statement in statements {
        let sql = statement.replace("{uuid}", uuid).replace("{bytes}", bytes);
        manager.get_connection().execute_unprepared(&sql).await?;
    }
    Ok(())
}

/// Drops tables, the last first.
pub(crate) async fn drop_tables(manager: &SchemaManager<'_>, tables: &[&str]) -> Result<(), DbErr> {
    for table in tables.iter().rev() {
        manager.get_connection().execute_unprepared(&format!("DROP TABLE {table}")).await?;
    }
    Ok(())
}
