//! The command line: a first line that says what is wrong, an exit code that isn't 0, and never a panic.

use orgplane_tests::Deployment;
use orgplane_tests::cli::Cli;
use orgplane_tests::deployment::PASSWORD;

use super::Watch;

#[tokio::test]
async fn what_commands_are_given() {
    let mut deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let cli = Cli::new(deployment.url());
    let watch = Watch::begin(&mut deployment).await;
    let long = "x".repeat(100_000);
    let words = ["", " ", "..", "../..", "a b", "-", "--", "\u{202e}x", "\u{1f600}", "a\nb", "%2e%2e", "'; --", &long];
    for word in words {
        for command in [
            &["organizations", "create", word][..],
            &["provisioner", "keys", "list", "--org", word],
            &["provisioner", "keys", "delete", word, "--yes"],
            &["provisioner", "list", "--org", word],
            &["provisioner", "keys", "create", "k", "--tag", word],
            &["organizations", "list", "-o", word],
            &[word],
        ] {
            // An empty organization is none given.
            let listing = command.ends_with(&["--org", word]) && word.trim().is_empty();
            let ended = cli.run_as(owner.token(), command).await;
            let shown: String = format!("{command:?}").chars().take(120).collect();
            assert!(matches!(ended.code, Some(1 | 2)) || listing && ended.code == Some(0), "{shown}: {:?}", ended.code);
            assert!(!ended.stderr.contains("panicked"), "{shown}: {}", ended.stderr);
            assert!(listing || !ended.stderr.trim().is_empty(), "{shown}: it says nothing");
            // The parser of the command line shows what was typed, as it was typed.
            let typed = ended.code == Some(2);
            assert!(
                typed || !ended.stderr.contains('\u{202e}'),
                "{shown}: it prints what turns a terminal's text around"
            );
            assert!(!ended.stderr.contains(owner.token()) && !ended.stderr.contains(PASSWORD), "{shown}");
        }
    }
    watch.end(&mut deployment).await;
}

#[tokio::test]
async fn what_servers_and_daemons_are_started_with() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "not a key").unwrap();
    let (file, folder) = (file.to_str().unwrap(), folder.path().to_str().unwrap());
    let cli = Cli::new("http://127.0.0.1:9");
    for command in [
        &["server", "--http-address", "127.0.0.1:70000"][..],
        &["server", "--http-address", "nowhere"],
        &["server", "--http-address", ""],
        &["server", "--data-dir", file],
        &["server", "--data-dir", folder, "--database-url", "mysql://x"],
        &["server", "--data-dir", folder, "--database-url", "postgres://[/"],
        &["server", "--data-dir", folder, "--lease", "soon"],
        &["server", "--data-dir", folder, "--lease", "-1s"],
        &["server", "--data-dir", folder, "--job-log-limit", "-1"],
        &["server", "--data-dir", folder, "--sealing-key-file", folder],
        &["server", "--data-dir", folder, "--sealing-key-file", file],
        &["server", "--no-such-flag"],
        &["provisioner", "start", "--key-file", folder],
        &["provisioner", "start", "--key-file", file],
        &["provisioner", "start", "--key-file", "/no/such/file"],
        &["provisioner", "start", "--url", "ftp://x", "--key-file", file],
        &["provisioner", "start", "--url", "http://[", "--key-file", file],
        &["provisioner", "start", "--capacity", "0"],
        &["provisioner", "start", "--capacity", "1e9"],
        &["provisioner", "start", "--engine", "cobol"],
        &["login", "not a url"],
    ] {
        let ended = cli.run(command).await;
        assert!(matches!(ended.code, Some(1 | 2)), "{command:?}: {ended:?}");
        assert!(!ended.stderr.contains("panicked") && !ended.stderr.trim().is_empty(), "{command:?}: {ended:?}");
        assert!(!ended.stderr.contains("not a key"), "{command:?}: {ended:?}");
    }
}
