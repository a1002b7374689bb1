//! One file per table: its row as a typed struct.

pub mod api_key;
pub mod audit_log;
pub mod audited;
pub mod custom_role;
pub mod dry_run;
pub mod file;
pub mod job_log_chunk;
pub mod job_log_head;
pub mod job_resource;
pub mod job_timing;
pub mod organization;
pub mod organization_member;
pub mod provisioner_daemon;
pub mod provisioner_job;
pub mod provisioner_key;
pub mod provisioner_key_secret;
pub mod role_grant;
pub mod template;
pub mod template_version;
pub mod template_version_variable;
pub mod user_account;
pub mod workspace;
pub mod workspace_build;
