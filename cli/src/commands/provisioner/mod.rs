//! `orgplane provisioner`.

pub(crate) mod jobs;
pub(crate) mod keys;
pub(crate) mod list;
pub(crate) mod shim;
pub(crate) mod start;
