//! The restart without the key, by starting this test program again.

use std::fs;
use std::os::fd::RawFd;
use std::process::Command;

use orgplane_daemon::Secret;
use orgplane_daemon::privacy::{Traces, forbid_inspection, restart_without_key, take_key};

const TRACES: Traces<'_> =
    Traces { options: &["key-option"], variables: &["ORGPLANE_TEST_KEY"], descriptor_option: "descriptor-option" };

fn argument(name: &str) -> Option<String> {
    std::env::args().skip_while(|a| a != name).nth(1)
}

/// Not a test: the program that the test below starts.
#[test]
fn privacy_entry() {
    if let Some(key) = argument("key-option") {
        panic!("{:?}", restart_without_key(&Secret::new(&key), TRACES));
    }
    if let Some(descriptor) = argument(TRACES.descriptor_option) {
        let key = take_key(descriptor.parse::<RawFd>().unwrap()).unwrap();
        let open = fs::exists(format!("/proc/self/fd/{descriptor}")).unwrap();
        let seen = [fs::read("/proc/self/cmdline").unwrap(), fs::read("/proc/self/environ").unwrap()].concat();
        let hidden = !String::from_utf8_lossy(&seen).contains(key.expose());
        forbid_inspection().unwrap();
        let dumpable = nix::sys::prctl::get_dumpable().unwrap();
        println!("key={} hidden={hidden} open={open} dumpable={dumpable}", key.expose());
        std::process::exit(0);
    }
}

#[test]
fn the_key_is_in_no_argument_and_no_variable() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "privacy::privacy_entry", "--nocapture", "key-option", "orgp_sample"])
        .env("ORGPLANE_TEST_KEY", "orgp_sample")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("key=orgp_sample hidden=true open=false dumpable=false"), "{output:?}");
}
