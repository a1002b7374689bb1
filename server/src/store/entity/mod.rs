//! One file per table: its row as a typed struct.

pub mod blob;
