//! `/cli-auth`: how the page is served, and what its script does, run without a browser where there is Node.js.

use std::fs::File;
use std::io::Write as _;
use std::process::Command;

use nix::pty::{OpenptyResult, openpty};
use orgplane_tests::cli::run;
use orgplane_tests::{Cli, Databases, Deployment, LONG, Process, present};
use serde_json::{Value, json};

/// A page as far as the script needs one, a network that answers what it is told, and somebody who fills in the form.
const BROWSER: &str = r#"
const [, page, answers] = process.argv;
const elements = {}, calls = [], left = JSON.parse(answers);
const element = (id) => elements[id] ??= { value: "", textContent: "", listeners: {}, select() {},
  addEventListener(name, listener) { this.listeners[name] = listener; } };
globalThis.document = { getElementById: element };
globalThis.fetch = async (url, options) => {
  calls.push({ url, ...options });
  const { status, body } = left.shift();
  return { status, json: async () => body };
};
new Function(require("fs").readFileSync(page, "utf8"))();
element("email").value = "ada@example.com";
element("password").value = "a password";
element("sign-in").listeners.submit({ preventDefault() {} }).then(() => console.log(JSON.stringify({
  calls, key: element("key").value, failure: element("failure").textContent, password: element("password").value })));
"#;

#[tokio::test]
async fn the_page_brings_all_it_needs_and_nothing_else_gets_in() {
    let deployment = Deployment::start().await;
    let rest = deployment.rest();
    for (path, kind) in
        [("/cli-auth", "html"), ("/cli-auth/", "html"), ("/cli-auth.css", "css"), ("/cli-auth.js", "javascript")]
    {
        let answer = rest.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        let header = |name: &str| answer.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        assert_eq!(header("content-type"), format!("text/{kind}; charset=utf-8"), "{path}");
        let policy: Vec<&str> = header("content-security-policy").split("; ").collect();
        for rule in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(&rule), "{path}: {rule}: {policy:?}");
        }
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(header(name), value, "{path}: {name}");
        }
        assert!(!answer.text().contains("://"), "{path} names another site");
    }
    let html = rest.get("/cli-auth").await.text();
    assert!(html.contains("src=\"/cli-auth.js\"") && html.contains("href=\"/cli-auth.css\""), "{html}");
    assert!(!html.contains("<style") && !html.contains("<script>"), "the policy lets neither in the page itself");
    assert_eq!(rest.post("/cli-auth", json!({})).await.status, 405);
}

#[tokio::test]
async fn the_script_makes_a_key_and_ends_its_session() {
    let has_node =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|p| p.join("node").is_file());
    if !present("node", has_node) {
        return;
    }
    let deployment = Deployment::start().await;
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("cli-auth.js");
    std::fs::write(&page, deployment.rest().get("/cli-auth.js").await.bytes).unwrap();
    let script = async |answers: Value| {
        let mut node = Command::new("node");
        node.args(["-e", BROWSER]).arg(&page).arg(answers.to_string());
        serde_json::from_str::<Value>(run(node).await.ok()).unwrap()
    };
    let answer = |status: u16, body: Value| json!({"status": status, "body": body});
    let signed_in = answer(201, json!({"session_token": "id-secret"}));
    let paths = |seen: &Value| -> Vec<String> {
        seen["calls"].as_array().unwrap().iter().map(|call| call["url"].as_str().unwrap().to_owned()).collect()
    };
    let all = ["/api/v2/users/login", "/api/v2/users/me/keys", "/api/v2/users/logout"];

    let seen = script(json!([signed_in, answer(201, json!({"key": "new-key"})), answer(200, json!({}))])).await;
    assert_eq!((&seen["key"], &seen["failure"], &seen["password"]), (&json!("new-key"), &json!(""), &json!("")));
    assert_eq!(paths(&seen), all);
    assert_eq!(seen["calls"][0]["body"], r#"{"email":"ada@example.com","password":"a password"}"#);
    for (at, call) in seen["calls"].as_array().unwrap().iter().enumerate() {
        assert_eq!((&call["method"], &call["credentials"]), (&json!("POST"), &json!("omit")), "{call}");
        let token = call["headers"].get("Coder-Session-Token");
        assert_eq!(token, (at > 0).then_some(&json!("id-secret")), "{call}");
    }

    let refused = answer(403, json!({"message": "No keys for you.", "detail": "So it is."}));
    let seen = script(json!([signed_in, refused, answer(200, json!({}))])).await;
    assert_eq!((&seen["key"], &seen["failure"]), (&json!(""), &json!("No keys for you. So it is.")));
    assert_eq!(paths(&seen), all);

    let seen = script(json!([answer(401, json!({"message": "Incorrect email or password."}))])).await;
    assert_eq!((&seen["key"], &seen["failure"]), (&json!(""), &json!("Incorrect email or password.")));
    assert_eq!(paths(&seen), all[..1]);
}

#[tokio::test]
async fn login_takes_what_the_page_shows() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let page = format!("{}/cli-auth", deployment.url());

    let cli = Cli::new(deployment.url());
    let OpenptyResult { master, slave } = openpty(None, None).unwrap();
    let mut login = Process::start_with(slave, "login", &mut cli.command(&["login", deployment.url()]));
    login.asks("Token: ", LONG).await;
    assert!(login.stderr().contains(&page), "{}", login.stderr());
    File::from(master).write_all(format!("{}\n", owner.token()).as_bytes()).unwrap();
    assert!(login.exit(LONG).await.success(), "{}", login.output());
    assert!(!login.output().contains(owner.token()), "the token is shown");
    assert!(cli.run(&["whoami"]).await.ok().contains("owner"));

    // People may come another way than gRPC.
    let elsewhere =
        Deployment::on(Databases::Sqlite).flag("--access-url", "https://orgplane.example.com").start().await;
    elsewhere.rest().first_user().await;
    let asked = Cli::new(elsewhere.url()).run(&["login", elsewhere.url()]).await;
    assert!(asked.failed().contains("https://orgplane.example.com/cli-auth"), "{asked:?}");

    // Without a terminal it says what it needs, and takes the token from stdin.
    let cli = Cli::new(deployment.url());
    let asked = cli.run(&["login", deployment.url()]).await;
    assert_eq!(asked.code, Some(2), "{asked:?}");
    assert!(asked.failed().contains(&page) && asked.stderr.contains("--token-file"), "{asked:?}");
    let folder = tempfile::tempdir().unwrap();
    let given = async |token: &str| {
        std::fs::write(folder.path().join("token"), token).unwrap();
        let mut command = cli.command(&["login", deployment.url(), "--token-file", "-"]);
        command.stdin(File::open(folder.path().join("token")).unwrap());
        run(command).await
    };
    assert!(given("aaaaaaaaaa-bbbbbbbbbbbbbbbbbbbbbb\n").await.failed().contains("doesn't take the token"));
    let _ = given(&format!("{}\n", owner.token())).await.ok();
    assert!(cli.run(&["whoami"]).await.ok().contains("owner"));
}
