//! The rules of the sources: who may import whom, how long a file may be, what must not be in it, what documents name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use orgplane_tests::binary::root;

/// Lines of a source file, tests aside.
const LONGEST: usize = 600;

/// Our own crates that each crate may depend on.
const CRATES: &[(&str, &[&str])] = &[
    ("proto", &[]),
    ("migrations", &[]),
    ("server", &["orgplane-proto", "orgplane-migrations"]),
    ("client", &[]),
    ("daemon", &["orgplane-proto", "orgplane-client"]),
    ("gateway", &["orgplane-proto", "orgplane-client"]),
    ("cli", &["orgplane-proto", "orgplane-client", "orgplane-server", "orgplane-daemon", "orgplane-gateway"]),
    ("tests", &["orgplane-proto", "orgplane-migrations"]),
];

/// The server's layers: what a file, or the files of a folder, may name of the crate, and of others.
const LAYERS: &[(&str, &[&str], &[&str])] = &[
    // (folder, modules of this crate that it must not use, foreign crates that it must not use)
    ("domain", &["store", "service", "grpc", "dispatch", "background", "app"], &["tonic", "axum", "tokio", "sqlx"]),
    ("store", &["service", "grpc", "dispatch", "background", "app"], &["tonic", "axum", "orgplane_proto"]),
    ("dispatch", &["grpc", "background", "app"], &["axum", "sqlx"]),
    ("service", &["grpc", "background", "app"], &["tonic", "axum", "sqlx"]),
    ("background", &["grpc", "app"], &["tonic", "axum", "sqlx"]),
    ("grpc", &["store", "background", "app"], &["sqlx"]),
    ("fleet", &["grpc", "background", "app"], &["tonic", "axum", "sqlx"]),
    ("metrics", &["store", "service", "grpc", "dispatch", "background", "app"], &["tonic", "axum", "tokio", "sqlx"]),
    ("options", &["store", "service", "grpc", "dispatch", "background", "app"], &["tonic", "axum", "tokio", "sqlx"]),
];

/// What wires the layers together.
const ROOTS: &[&str] = &["app.rs", "lib.rs"];

struct Source {
    /// From the repository's root.
    path: String,
    text: String,
}

impl Source {
    /// Test code: a file of its own, or all from the first test module on.
    fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || ["tests.rs", "testing.rs"].contains(&name)
            || name.ends_with("_tests.rs")
    }

    fn code(&self) -> &str {
        let test = self.text.match_indices("#[cfg(test)]").find(|(at, _)| {
            let after = self.text[*at..].lines().find(|line| !line.trim_start().starts_with("#[")).unwrap_or_default();
            after.trim_end().ends_with('{') && after.contains("mod ")
        });
        test.map_or(&self.text, |(at, _)| &self.text[..at])
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" {
                files(&path, found);
            }
        } else {
            found.push(path);
        }
    }
}

/// The repository's own folders; builds and editors leave others beside them.
const FOLDERS: &[&str] =
    &["proto", "migrations", "client", "server", "daemon", "gateway", "cli", "tests", "deploy", "docs", ".ci"];

fn all_files() -> Vec<String> {
    let root = root();
    let mut found = vec![root.join("Cargo.toml")];
    found.extend(Some(root.join("README.md")).filter(|readme| readme.exists()));
    for folder in FOLDERS {
        files(&root.join(folder), &mut found);
    }
    found.iter().map(|path| path.strip_prefix(&root).unwrap().to_string_lossy().into_owned()).collect()
}

fn sources() -> Vec<Source> {
    let rust = all_files().into_iter().filter(|path| path.ends_with(".rs"));
    rust.map(|path| Source { text: std::fs::read_to_string(root().join(&path)).unwrap(), path }).collect()
}

/// The first path segment after `crate::`, and foreign crates, wherever code names them.
fn names(code: &str, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for (at, _) in line.match_indices(prefix) {
            let before = line[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let rest = &line[at + prefix.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                let items = group.split('}').next().unwrap_or_default().split(',');
                found.extend(items.map(|item| item.trim().split("::").next().unwrap_or_default().to_owned()));
            } else {
                found.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
            }
        }
    }
    found
}

#[test]
fn crates_import_downward_only() {
    for (folder, allowed) in CRATES {
        let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let ours = manifest.lines().filter(|line| line.starts_with("orgplane-"));
        for line in ours {
            let name = line.split(['.', ' ', '=']).next().unwrap();
            assert!(allowed.contains(&name), "{folder} must not depend on {name}");
        }
        for line in manifest.lines().filter(|line| line.contains("version = \"")) {
            assert!(line.starts_with("version"), "{folder}: versions stand in the root Cargo.toml: {line}");
        }
    }
}

#[test]
fn the_servers_layers_import_downward_only() {
    let mut broken = Vec::new();
    for source in sources() {
        let Some(inner) = source.path.strip_prefix("server/src/").filter(|_| !source.is_test()) else { continue };
        let Some((_, modules, crates)) = LAYERS
            .iter()
            .find(|(layer, ..)| inner.strip_prefix(layer).is_some_and(|rest| rest.starts_with('/') || rest == ".rs"))
        else {
            if !ROOTS.contains(&inner) {
                broken.push(format!("{}: is of no layer", source.path));
            }
            continue;
        };
        let code = source.code();
        for name in names(code, "crate::").iter().filter(|name| modules.contains(&name.as_str())) {
            // What a service passes on is a record of the store; conversions have to name its type.
            let records = inner.starts_with("grpc/") && *name == "store" && only_entities(code);
            if !records {
                broken.push(format!("{}: crate::{name}", source.path));
            }
        }
        for foreign in *crates {
            let pattern = format!("{foreign}::");
            if !names(code, &pattern).is_empty() {
                broken.push(format!("{}: {foreign}", source.path));
            }
        }
    }
    broken.dedup();
    assert!(broken.is_empty(), "imports against the layers:\n{}", broken.join("\n"));
}

fn only_entities(code: &str) -> bool {
    code.match_indices("crate::store::").all(|(at, _)| code[at..].starts_with("crate::store::entity"))
}

#[test]
fn sql_stands_in_the_store_only() {
    let mut broken = Vec::new();
    for source in sources() {
        let Some(inner) = source.path.strip_prefix("server/src/") else { continue };
        if inner.starts_with("store") || source.is_test() {
            continue;
        }
        let code = source.code();
        for word in ["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE FROM", "query_one(", "query_all(", "execute_raw("]
        {
            if code.contains(word) {
                broken.push(format!("{}: {word}", source.path));
            }
        }
        // Above the store only what domain types derive to be columns.
        let allowed =
            ["DeriveValueType", "DeriveActiveEnum", "EnumIter", "Iterable", "DbErr", "TryFromU64", "entity", ""];
        for name in names(code, "sea_orm::") {
            if !inner.starts_with("domain/") || !allowed.contains(&name.as_str()) {
                broken.push(format!("{}: sea_orm::{name}", source.path));
            }
        }
    }
    assert!(broken.is_empty(), "SQL above the store:\n{}", broken.join("\n"));
}

#[test]
fn files_have_one_idea() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|source| !source.is_test())
        .map(|source| (source.text.lines().count(), &source.path))
        .filter(|(lines, _)| *lines > LONGEST)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "over {LONGEST} lines:\n{}", long.join("\n"));
}

#[test]
fn nothing_is_left_for_later() {
    let words = [["to", "do!"].concat(), ["unimple", "mented!"].concat(), ["db", "g!("].concat()];
    let mut found = Vec::new();
    for source in sources() {
        for word in &words {
            if source.text.contains(word.as_str()) {
                found.push(format!("{}: {word}", source.path));
            }
        }
        if source.text.contains("#[ignore") && source.path != "tests/it/layering.rs" {
            found.push(format!("{}: an ignored test", source.path));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn what_documents_name_exists() {
    let files = all_files();
    let documents = files.iter().filter(|path| path.ends_with(".md"));
    let mut missing = Vec::new();
    for document in documents {
        let text = std::fs::read_to_string(root().join(document)).unwrap();
        let folder = Path::new(document).parent().unwrap();
        // Links in the text.
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split([')', '#', ' ']).next().unwrap();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !root().join(folder).join(target).exists() {
                missing.push(format!("{document}: link {target}"));
            }
        }
        // Paths in code, when they start with a folder of the repository.
        for span in text.split('`').skip(1).step_by(2).filter(|span| !span.contains(['\n', ' ', '*', '<', '{', '…']))
        {
            let top = span.split('/').next().unwrap();
            if span.contains('/') && FOLDERS.contains(&top) {
                let path = span.split([':', '#']).next().unwrap();
                let generated = span.contains("::");
                if !generated && !root().join(path).exists() {
                    missing.push(format!("{document}: `{span}`"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// Everything that the build reads stands in the repository or comes from the registry.
#[test]
fn nothing_outside_the_repository_is_needed() {
    let mut broken = BTreeMap::new();
    for path in all_files() {
        let name = path.rsplit('/').next().unwrap_or_default();
        if !["Cargo.toml", "build.rs"].contains(&name) && !path.ends_with(".rs") {
            continue;
        }
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        let depth = path.matches('/').count();
        for (at, _) in text.match_indices("path = \"") {
            let target = &text[at + 8..];
            let target = target.split('"').next().unwrap();
            if name == "Cargo.toml" && (target.starts_with('/') || target.matches("..").count() > depth) {
                broken.insert(path.clone(), target.to_owned());
            }
        }
        for word in ["include!(\"/", "include_str!(\"/", "include_bytes!(\"/", "git = \""] {
            if text.contains(word) && path != "tests/it/layering.rs" {
                broken.insert(path.clone(), word.to_owned());
            }
        }
    }
    assert!(broken.is_empty(), "{broken:?}");
}
