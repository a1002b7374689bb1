//! The shipped example templates, and what there is to run them.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::Result;

use crate::args::Engine;

type Files = &'static [(&'static str, &'static str)];

macro_rules! shipped {
    ($folder:literal: $($file:literal),*) => {
        &[$(($file, include_str!(concat!("../../../../deploy/templates/", $folder, "/", $file)))),*]
    };
}

const HELLO: Files = shipped!("hello": "main.tf", "README.md");
const HELLO_ECHO: Files = shipped!("hello-echo": "echo.json", "README.md");

/// The name of the example for an engine.
pub(crate) const fn name(engine: Engine) -> &'static str {
    match engine {
        Engine::Terraform => "hello",
        Engine::Echo => "hello-echo",
    }
}

/// Its files as a tar archive.
pub(crate) fn archive(engine: Engine) -> Result<Vec<u8>> {
    let files = match engine {
        Engine::Terraform => HELLO,
        Engine::Echo => HELLO_ECHO,
    };
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, text.as_bytes())?;
    }
    Ok(archive.into_inner()?)
}

/// Whether the daemon will find Terraform or OpenTofu.
pub(crate) fn terraform_is_on_path() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| {
        ["terraform", "tofu"].iter().any(|program| {
            let found = dir.join(program).metadata();
            found.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_hold_the_files() {
        for (engine, main) in [(Engine::Terraform, "main.tf"), (Engine::Echo, "echo.json")] {
            let bytes = archive(engine).unwrap();
            let mut read = tar::Archive::new(bytes.as_slice());
            let paths: Vec<_> = read.entries().unwrap().map(|e| e.unwrap().path().unwrap().into_owned()).collect();
            assert_eq!(paths[0].to_str(), Some(main));
        }
    }
}
