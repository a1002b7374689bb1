//! The control plane of Orgplane: gRPC services, rules, storage and scheduling.
//!
//! Layers, each importing downward only:
//! `grpc` (messages in and out) -> `service` (permission, transactions) -> `domain` (pure decisions) and `store` (the only
//! SQL); `dispatch` hands jobs to daemons over the narrow `JobQueue`; `background` reconciles without input.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod app;
pub mod background;
pub mod dispatch;
pub mod domain;
mod fleet;
pub mod grpc;
pub mod metrics;
pub mod options;
pub mod service;
pub mod store;

pub use app::Server;
pub use options::Options;
pub use service::built_in::BuiltInKey;

#[cfg(test)]
mod tests {
    mod simulation;
}
