//! The end-to-end tests: one program, a module per area.
#![allow(clippy::unwrap_used, clippy::expect_used)]
