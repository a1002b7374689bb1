//! Operations that aren't mechanical: one file per resource.

pub(crate) mod cli_auth;
pub(crate) mod files;
pub(crate) mod logs;
pub(crate) mod root;
pub(crate) mod session;
pub(crate) mod state;
pub(crate) mod watch;
