//! Appends REST exchanges to a file, so that they can be held against a documented contract.

use std::fs::{File, create_dir_all};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};

use serde_json::{Value, json};

/// Of this process, in the folder that `ORGPLANE_TEST_RECORD` names.
static FILE: LazyLock<Option<Mutex<File>>> = LazyLock::new(|| {
    let folder = PathBuf::from(std::env::var_os("ORGPLANE_TEST_RECORD")?);
    create_dir_all(&folder).expect("the folder for records");
    Some(Mutex::new(File::create(folder.join(format!("{}.jsonl", uuid::Uuid::new_v4()))).expect("a file for records")))
});

/// Appends one.
pub(crate) fn exchange(method: &str, path: &str, status: u16, body: &Value) {
    let Some(file) = FILE.as_ref() else { return };
    let line = json!({"method": method, "path": path, "status": status, "body": body});
    writeln!(file.lock().expect("lock"), "{line}").expect("an exchange is written");
}
