//! Generates from the descriptors what the gateway needs no code of its own for: the mechanical REST routes and the
//! OpenAPI document of all routes.

mod descriptor;
mod openapi;
mod routes;
mod schema;

use std::path::PathBuf;
use std::{env, fs};

use prost_reflect::DescriptorPool;

pub(crate) type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Fallible<()> {
    let descriptor = env::var("DEP_ORGPLANE_PROTO_DESCRIPTOR")?;
    println!("cargo::rerun-if-changed={descriptor}");
    println!("cargo::rerun-if-changed=build");
    let pool = DescriptorPool::decode(fs::read(descriptor)?.as_slice())?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("routes.rs"), routes::source(&pool)?)?;
    fs::write(out.join("openapi.json"), openapi::document(&pool)?)?;
    Ok(())
}
