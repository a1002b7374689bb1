//! TLS, proxies, headers and the gateway alone, with certificates made for the test.

use std::process::Stdio;

use orgplane_tests::certificates::flag;
use orgplane_tests::cli::run;
use orgplane_tests::world::text;
use orgplane_tests::{Archive, Authority, Cli, Daemon, Databases, Deployment, Gateway, LONG, Rest, SHORT, eventually};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const NAME: &str = "orgplane.test";

async fn secured(authority: &Authority) -> Deployment {
    let (cert, key) = authority.issue("server", &["127.0.0.1", NAME]);
    let builder = Deployment::on(Databases::Sqlite).unrecorded();
    builder.flag("--tls-cert-file", flag(&cert)).flag("--tls-key-file", flag(&key)).start().await
}

#[tokio::test]
async fn a_daemon_and_both_http_versions_over_tls() {
    let authority = Authority::default();
    let deployment = secured(&authority).await;
    assert!(deployment.url().starts_with("https://127.0.0.1:"), "{}", deployment.url());
    let new = Rest::trusting(deployment.url(), &authority.file(), false);
    let old = Rest::trusting(deployment.url(), &authority.file(), true);
    let owner = new.first_user().await;
    let login = json!({"email": "owner@example.com", "password": orgplane_tests::deployment::PASSWORD});
    let login = old.post("/api/v2/users/login", login).await;
    let _ = login.expect(201);
    assert!(login.headers["set-cookie"].to_str().unwrap().contains("Secure"));

    let organization = owner.organization("data-platform").await;
    let key = owner.key(&organization, "k", json!({})).await;
    let _daemon = Daemon::start_with(&deployment, "d", &key, "echo", &["--tls-ca-file", flag(&authority.file())]);
    let template = owner.template(&organization, "t", Archive::echo(&json!({})), "echo").await;
    assert_eq!(template["name"], "t");
}

#[tokio::test]
async fn a_certificate_that_is_not_good_is_named() {
    let (authority, other) = (Authority::default(), Authority::default());
    let said = async |url: &str, ca: &Authority| {
        let cli = Cli::new(url);
        let ended = cli.run_as("a-b", &["org", "ls", "--tls-ca-file", flag(&ca.file())]).await;
        ended.failed().to_owned()
    };
    let deployment = secured(&authority).await;
    let wrong = said(deployment.url(), &other).await;
    assert!(wrong.contains("authority that isn't trusted") && wrong.contains("--tls-ca-file"), "{wrong}");
    assert!(said(deployment.url(), &authority).await.contains("sign in"));
    let plain = said(&deployment.url().replace("https://", "http://"), &authority).await;
    assert!(plain.contains("use https://"), "{plain}");
    let named = said(&deployment.url().replace("127.0.0.1", "localhost"), &authority).await;
    assert!(named.contains("other names") && named.contains(NAME), "{named}");

    authority.issue_until("server", &["127.0.0.1"], 2001);
    eventually("the expired certificate", SHORT, async || {
        said(deployment.url(), &authority).await.contains("has expired").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_in_and_a_broken_one_is_not() {
    let (first, second) = (Authority::default(), Authority::default());
    let mut deployment = secured(&first).await;
    let (cert, key) = (first.file().with_file_name("server.pem"), first.file().with_file_name("server.key"));
    let open = Rest::trusting(deployment.url(), &first.file(), false);
    open.get("/api/v2/buildinfo").await;

    std::fs::write(&cert, "broken").unwrap();
    deployment.process().says("the old certificate stays in use", SHORT).await;
    let fresh = Rest::trusting(deployment.url(), &first.file(), false);
    assert_eq!(fresh.get("/healthz").await.status, 200);

    let (new_cert, new_key) = second.issue("server", &["127.0.0.1"]);
    std::fs::rename(new_key, key).unwrap();
    std::fs::rename(new_cert, cert).unwrap();
    deployment.process().says("the new TLS certificate is in use", SHORT).await;
    assert_eq!(Rest::trusting(deployment.url(), &second.file(), false).get("/healthz").await.status, 200);
    // A new connection would fail: this one goes on.
    assert_eq!(open.get("/healthz").await.status, 200);
    assert!(deployment.process().stderr().matches("stays in use").count() <= 2);
}

#[tokio::test]
async fn grpc_at_its_own_address_asks_for_client_certificates() {
    let (authority, clients) = (Authority::default(), Authority::default());
    let (cert, key) = authority.issue("server", &["127.0.0.1"]);
    let builder = Deployment::on(Databases::Sqlite).unrecorded();
    let mut deployment = builder
        .flag("--tls-cert-file", flag(&cert))
        .flag("--tls-key-file", flag(&key))
        .flag("--grpc-address", "127.0.0.1:0")
        .flag("--tls-client-ca-file", flag(&clients.file()))
        .start()
        .await;
    let said = deployment.process().stderr();
    let url = said.split("url=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_else(|| panic!("{said}"));
    let (cert, key) = clients.issue("client", &["client"]);
    let ca = authority.file();
    let cli = Cli::new(url);
    let with = ["org", "ls", "--tls-ca-file", flag(&ca), "--tls-client-cert-file", flag(&cert)];
    let with = [&with[..], &["--tls-client-key-file", flag(&key)]].concat();
    assert!(cli.run_as("a-b", &with).await.failed().contains("sign in"));
    let without = cli.run_as("a-b", &["org", "ls", "--tls-ca-file", flag(&ca)]).await;
    assert!(without.failed().contains("client certificate"), "{}", without.stderr);
    let elsewhere = Cli::new(deployment.url()).run_as("a-b", &["org", "ls", "--tls-ca-file", flag(&ca)]).await;
    assert!(elsewhere.failed().contains("another address"), "{}", elsewhere.stderr);
}

#[tokio::test]
async fn plaintext_beyond_loopback_is_refused_at_both_ends() {
    let cli = Cli::new("http://192.0.2.1:3000");
    let folder = tempfile::tempdir().unwrap();
    let data = flag(folder.path());
    for line in [
        &["server", "--data-dir", data, "--http-address", "0.0.0.0:0"][..],
        &["server", "--data-dir", data, "--http-address", "127.0.0.1:0", "--grpc-address", "0.0.0.0:0"],
        &["gateway", "--server-url", "http://127.0.0.1:1", "--http-address", "0.0.0.0:0"],
        &["gateway", "--server-url", "http://192.0.2.1:3000", "--http-address", "127.0.0.1:0"],
        &["provisioner", "start", "--key-file", "/dev/null"],
        &["org", "ls"],
        &["login", "http://192.0.2.1:3000"],
    ] {
        let ended = cli.run_as("a-b", line).await;
        let said = ended.failed();
        assert!(said.contains("--insecure-plaintext"), "{line:?}: {said}");
        assert_eq!(ended.code, Some(2), "{line:?}: {said}");
    }
}

/// Takes CONNECT for the test's name only, with this authorization.
async fn proxy(listener: TcpListener, to: String, authorization: &'static str) {
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let to = to.clone();
        tokio::spawn(async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await?);
            }
            let head = String::from_utf8_lossy(&head).to_lowercase();
            let port = to.rsplit(':').next().unwrap();
            if !head.starts_with(&format!("connect {NAME}:{port} http/1.1")) || head.contains("x-tenant") {
                return client.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await;
            }
            if !head.contains(&format!("proxy-authorization: {authorization}").to_lowercase()) {
                return client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
            }
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            let mut server = TcpStream::connect(&to).await?;
            tokio::io::copy_bidirectional(&mut client, &mut server).await.map(|_| ())
        });
    }
}

#[tokio::test]
async fn a_proxy_of_the_environment_is_used() {
    let authority = Authority::default();
    let deployment = secured(&authority).await;
    let address = deployment.url().trim_start_matches("https://").to_owned();
    let url = format!("https://{}", address.replace("127.0.0.1", NAME));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    // user:hush-hush
    let proxy = tokio::spawn(proxy(listener, address, "Basic dXNlcjpodXNoLWh1c2g="));
    let said = async |proxy: &str| {
        let cli = Cli::new(&url);
        let ca = authority.file();
        let mut command = cli.command(&["org", "ls", "--header", "X-Tenant=blue", "--tls-ca-file", flag(&ca)]);
        command.env("CODER_SESSION_TOKEN", "a-b").env("HTTPS_PROXY", proxy).env("ORGPLANE_LOG", "trace");
        let ended = run(command).await;
        assert!(!ended.stderr.contains("hush-hush") && !ended.stderr.contains("dXNlcjpo"), "{}", ended.stderr);
        ended.failed().to_owned()
    };
    let through = said(&format!("http://user:hush-hush@{at}")).await;
    assert!(through.contains("sign in"), "{through}");
    let without = said(&format!("http://{at}")).await;
    assert!(without.contains("407") && without.contains("asks for a user"), "{without}");
    let wrong = said(&format!("http://user:hush-hush2@{at}")).await;
    assert!(wrong.contains("doesn't take the user and password"), "{wrong}");
    let socks = said("socks5://user:hush-hush@127.0.0.1:1").await;
    assert!(socks.contains("only http:// and https://"), "{socks}");
    proxy.abort();
}

#[tokio::test]
async fn an_answer_that_is_not_grpc_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let pages = tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let page = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n502";
            let _ = socket.write_all(page).await;
            let _ = socket.read_u8().await;
        }
    });
    let ended = Cli::new(&url).run_as("a-b", &["org", "ls"]).await;
    assert!(ended.failed().contains("502 Bad Gateway"), "{}", ended.stderr);
    assert_eq!(ended.stderr.trim().lines().count(), 1, "{}", ended.stderr);

    let folder = tempfile::tempdir().unwrap();
    let mut command = orgplane_tests::daemon::daemon_command(&url, folder.path(), "d", "orgp_x", "echo");
    let mut daemon = orgplane_tests::Process::start("daemon", command.stdin(Stdio::null()));
    daemon.says("502 Bad Gateway", LONG).await;
    assert!(daemon.is_running());
    pages.abort();
}

#[tokio::test]
async fn a_gateway_alone_serves_the_same_api() {
    let mut deployment = Deployment::on(Databases::Sqlite).unrecorded().start().await;
    let mut gateway = Gateway::start(deployment.url(), &["--trusted-proxies", "127.0.0.0/8"]).await;
    let rest = Rest::new(gateway.url());
    let owner = rest.first_user().await;
    assert_eq!(rest.get("/readyz").await.status, 200);
    let organization = owner.organization("data-platform").await;
    let key = owner.key(&organization, "k", json!({})).await;
    let _daemon = Daemon::start(&deployment, "d", &key, "echo");
    let template = owner.template(&organization, "t", Archive::echo(&json!({})), "echo").await;
    let version = text(&template, "active_version_id");
    let direct = deployment.rest().with(owner.token());
    for path in [
        format!("/api/v2/templateversions/{version}"),
        format!("/api/v2/templateversions/{version}/logs"),
        format!("/api/v2/organizations/{organization}/templates"),
        "/api/v2/organizations/none".to_owned(),
        "/api/v2/organizations/default/provisionerdaemons?limit=x".to_owned(),
        "/api/v2/templateversions/no-uuid".to_owned(),
    ] {
        let (near, far) = (direct.get(&path).await, owner.get(&path).await);
        assert_eq!((near.status, near.body), (far.status, far.body), "{path}");
    }
    // Who calls the gateway is not who calls the server; the id in its answer is the server's, too.
    let body = json!({"email": "owner@example.com", "password": "Wrong-Horse-7-Battery"});
    let login =
        rest.request(reqwest::Method::POST, "/api/v2/users/login").header("x-forwarded-for", "6.6.6.6, 203.0.113.7");
    rest.send(login.json(&body)).await.refused(401);
    let first = rest.request(reqwest::Method::GET, "/api/v2/users/first").header("x-forwarded-for", "203.0.113.7");
    rest.send(first).await;

    assert!(deployment.stop().await.success());
    owner.get("/api/v2/users/me").await.refused(503);
    assert_eq!(rest.get("/readyz").await.status, 503);
    assert_eq!(rest.get("/healthz").await.status, 200);
    deployment.start_again().await;
    let _ = owner.get("/api/v2/users/me").await.expect(200);
    assert!(gateway.process().stop().await.success());
}
