//! `/api/v2/users/{user}/keys`, `/api/v2/authcheck` and `/api/v2/auth/scopes`, on both databases.

use orgplane_tests::cli::Cli;
use orgplane_tests::world::text;
use orgplane_tests::{Archive, Daemon, Databases, Deployment, LONG, Rest, eventually};
use reqwest::Method;
use serde_json::{Value, json};

on_each_database!(
    what_a_token_can_be,
    finding_ending_and_deleting_keys,
    a_token_is_for_what_it_says,
    sessions_slide_and_tokens_do_not,
    keys_are_bounded,
    questions_are_answered_by_the_table,
);

const MINE: &str = "/api/v2/users/me/keys/tokens";
const HOUR: i64 = 60 * 60 * 1_000_000_000;

/// A deployment with an owner and two members of its default organization.
async fn start(database: Databases) -> (Deployment, Rest, Rest, Rest) {
    // The document says that an allow list is of objects; the clients of that API want texts.
    let deployment = Deployment::on(database).unrecorded().start().await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.default_organization().await;
    let (ann, _) = owner.user("ann", &[&organization]).await;
    let (bob, _) = owner.user("bob", &[&organization]).await;
    (deployment, owner, ann, bob)
}

fn names(list: &Value) -> Vec<String> {
    list.as_array().map_or(Vec::new(), |list| list.iter().map(|one| text(one, "token_name")).collect())
}

async fn what_a_token_can_be(database: Databases) {
    let (_deployment, owner, ann, _) = start(database).await;
    assert_eq!(ann.get(MINE).await.expect(200), Value::Null, "as clients know it");
    let config = ann.get(&format!("{MINE}/tokenconfig")).await.expect(200);
    assert_eq!(config["max_token_lifetime"], 876_600 * HOUR);

    for (body, field) in [
        (json!({"lifetime": -1}), "lifetime"),
        (json!({"lifetime": 999_999_999}), "lifetime"),
        (json!({"lifetime": 876_601 * HOUR}), "lifetime"),
        (json!({"token_name": "a/b"}), "token_name"),
        (json!({"token_name": "x".repeat(65)}), "token_name"),
        (json!({"token_name": "a\u{202e}b"}), "token_name"),
        (json!({"scope": "application_connect"}), "scopes"),
        (json!({"scopes": ["template:read", "planet:read"]}), "scopes"),
        (json!({"allow_list": ["workspace:11111111-2222-4333-8444-555555555555"]}), "allow_list"),
    ] {
        ann.post(MINE, body).await.refused_for(400, field);
    }
    ann.post("/api/v2/users/bob/keys/tokens", json!({})).await.refused(404);
    ann.post("/api/v2/users/bob/keys", json!({})).await.refused(404);

    let body = json!({"token_name": "ci", "lifetime": 2 * HOUR, "scopes": ["template:read"], "allow_list": ["*:*"]});
    let _ = ann.token_of("me", body).await;
    ann.post(MINE, json!({"token_name": "ci"})).await.refused_for(409, "token_name");
    let ci = ann.get(&format!("{MINE}/ci")).await.expect(200);
    assert_eq!((&ci["login_type"], &ci["scopes"]), (&json!("token"), &json!(["template:read"])));
    assert_eq!((&ci["lifetime_seconds"], &ci["allow_list"]), (&json!(7200), &json!(["*:*"])));
    assert!(ci.get("scope").is_none() && ci.get("username").is_none(), "{ci}");

    let token = ann.token_of("me", json!({"scope": "all"})).await;
    let made_up = ann.get(&format!("/api/v2/users/ann/keys/{}", &token[..10])).await.expect(200);
    assert!(!text(&made_up, "token_name").is_empty(), "{made_up}");
    assert_eq!((&made_up["scope"], &made_up["scopes"]), (&json!("all"), &json!(["coder:all"])));
    assert_eq!(made_up["lifetime_seconds"], 7 * 24 * 60 * 60);
    assert_eq!(ann.with(&token).get("/api/v2/users/me").await.expect(200)["username"], "ann");

    // Owners make tokens for others, as for users who can't sign in.
    let for_ann = owner.token_of("ann", json!({"token_name": "given"})).await;
    assert_eq!(ann.with(&for_ann).get("/api/v2/users/me").await.expect(200)["username"], "ann");
}

async fn finding_ending_and_deleting_keys(database: Databases) {
    let (deployment, owner, ann, bob) = start(database).await;
    let ci = ann.token_of("me", json!({"token_name": "ci"})).await;
    ann.token_of("me", json!({"token_name": "other"})).await;
    bob.token_of("me", json!({"token_name": "ci"})).await;
    let list = ann.get(MINE).await.expect(200);
    assert_eq!(names(&list), ["ci", "other"]);
    assert_eq!(list[0]["username"], "ann");
    assert_eq!(names(&ann.get(&format!("{MINE}?limit=1&offset=1")).await.expect(200)), ["other"]);
    ann.get(&format!("{MINE}?limit=-1")).await.refused_for(400, "limit");
    assert_eq!(names(&ann.get(&format!("{MINE}?include_all=true")).await.expect(200)), ["ci", "other"]);
    let all = owner.get(&format!("{MINE}?include_all=true")).await.expect(200);
    assert_eq!(
        all.as_array().unwrap().iter().map(|one| text(one, "username")).collect::<Vec<_>>(),
        ["ann", "ann", "bob"]
    );

    let path = format!("/api/v2/users/me/keys/{}", &ci[..10]);
    for foreign in [&path, &format!("{path}/expire"), &format!("{MINE}/other")] {
        let method = if foreign.ends_with("expire") { Method::PUT } else { Method::GET };
        bob.send(bob.request(method, foreign)).await.refused(404);
    }
    bob.delete(&path).await.refused(404);
    for odd in ["x", "aaaaaaaaa-", "%20", "11111111-2222-4333-8444-555555555555"] {
        ann.get(&format!("/api/v2/users/me/keys/{odd}")).await.refused(404);
    }

    let program = ann.with(&ci);
    let _ = program.get("/api/v2/users/me").await.expect(200);
    let expired = ann.send(ann.request(Method::PUT, &format!("{path}/expire"))).await;
    assert_eq!((expired.status, expired.bytes.len()), (204, 0));
    program.get("/api/v2/users/me").await.refused(401);
    assert_eq!(names(&ann.get(MINE).await.expect(200)), ["other"]);
    assert_eq!(names(&ann.get(&format!("{MINE}?include_expired=true")).await.expect(200)), ["ci", "other"]);
    // Its name can be used again.
    ann.token_of("me", json!({"token_name": "ci"})).await;
    assert_eq!(names(&ann.get(&format!("{MINE}?include_expired=true")).await.expect(200)), ["other", "ci"]);

    let other = ann.get(&format!("{MINE}/other")).await.expect(200);
    assert_eq!(ann.delete(&format!("/api/v2/users/ann/keys/{}", text(&other, "id"))).await.status, 204);
    ann.get(&format!("{MINE}/other")).await.refused(404);

    // A session for a program, by its id as well; a suspended user's open nothing.
    let session = text(&ann.post("/api/v2/users/me/keys", json!({})).await.expect(201), "key");
    let shown = ann.get(&format!("/api/v2/users/me/keys/{}", &session[..10])).await.expect(200);
    assert_eq!((&shown["login_type"], &shown["lifetime_seconds"]), (&json!("password"), &json!(7 * 24 * 60 * 60)));
    let kept = ann.token_of("me", json!({"token_name": "kept"})).await;
    deployment.database().execute("UPDATE user_account SET status = 'suspended' WHERE username = 'ann'").await;
    for token in [&session, &kept] {
        ann.with(token).get("/api/v2/users/me").await.refused(401);
    }
}

async fn a_token_is_for_what_it_says(database: Databases) {
    let deployment = Deployment::on(database).unrecorded().start().await;
    let (owner, organization, key) = deployment.furnished().await;
    let daemon = Daemon::start(&deployment, "one", &key, "echo");
    let template = owner.template(&organization, "echo", Archive::echo(&json!({})), "echo").await;
    drop(daemon);
    let version = text(&template, "active_version_id");

    let reader = owner.with(&owner.token_of("me", json!({"scopes": ["template:read"], "token_name": "reader"})).await);
    let templates = reader.get(&format!("/api/v2/organizations/{organization}/templates")).await.expect(200);
    assert_eq!(templates[0]["name"], "echo");
    for path in ["/api/v2/users/me", "/api/v2/audit", MINE] {
        let status = reader.get(path).await.status;
        assert!([403, 404].contains(&status), "{path}: {status}");
    }
    reader.post("/api/v2/organizations", json!({"name": "more"})).await.refused(403);
    reader.delete(&format!("/api/v2/templates/{}", text(&template, "id"))).await.refused(403);
    reader.post(MINE, json!({"scopes": ["template:read"]})).await.refused(404);

    // Nobody makes a token that is for more than theirs.
    let keeper = json!({"scopes": ["api_key:*", "template:read"], "token_name": "keeper"});
    let keeper = owner.with(&owner.token_of("me", keeper).await);
    keeper.post(MINE, json!({})).await.refused(403);
    keeper.post(MINE, json!({"scopes": ["workspace:read"]})).await.refused(403);
    keeper.post("/api/v2/users/me/keys", json!({})).await.refused(403);
    keeper.token_of("me", json!({"scopes": ["template:read"], "token_name": "child"})).await;

    // An open stream ends with its token.
    let mut socket = reader.socket(&format!("/api/v2/templateversions/{version}/logs?follow")).await;
    let _ = socket.rest().await;
    let waiting = text(
        &owner.import(&organization, Archive::echo(&json!({"import": {"readme": "x"}})), "echo", json!({})).await,
        "id",
    );
    let mut socket = reader.socket(&format!("/api/v2/templateversions/{waiting}/logs?follow")).await;
    let reader = owner.get(&format!("{MINE}/reader")).await.expect(200);
    let ended = owner.request(Method::PUT, &format!("/api/v2/users/me/keys/{}/expire", text(&reader, "id")));
    assert_eq!(owner.send(ended).await.status, 204);
    let closed = tokio::time::timeout(LONG, socket.rest()).await.expect("the stream ends");
    assert_ne!(closed.1.map(|(code, _)| code), Some(1000), "not as if the job had ended");
}

async fn sessions_slide_and_tokens_do_not(database: Databases) {
    let (deployment, _, ann, _) = start(database).await;
    let token = ann.token_of("me", json!({"token_name": "fixed"})).await;
    let session = text(&ann.post("/api/v2/users/me/keys", json!({})).await.expect(201), "key");
    let expires = async |key: &str| {
        let key = ann.get(&format!("/api/v2/users/me/keys/{}", &key[..10])).await.expect(200);
        (text(&key, "expires_at"), text(&key, "last_used"))
    };
    // As if both had been made and used a day ago.
    let day = 24_i64 * 60 * 60 * 1_000_000;
    let sql = format!(
        "UPDATE api_key SET expires_at = expires_at - {day}, last_used_at = last_used_at - {day}
         WHERE id IN ('{}', '{}')",
        &token[..10],
        &session[..10]
    );
    deployment.database().execute(&sql).await;
    let (fixed, before) = (expires(&token).await, expires(&session).await);
    for key in [&token, &session] {
        let _ = ann.with(key).get("/api/v2/users/me").await.expect(200);
    }
    let (token, session) = (expires(&token).await, expires(&session).await);
    assert_eq!(token.0, fixed.0, "a token ends when it ends");
    assert!(token.1 > fixed.1, "but its use is noted");
    assert!(session.0 > before.0 && session.1 > before.1, "{session:?} {before:?}");
}

async fn keys_are_bounded(database: Databases) {
    let (deployment, _, ann, bob) = start(database).await;
    let first = ann.token_of("me", json!({"token_name": "first"})).await;
    // Her session, this token, and 997 like it.
    let copy = format!(
        "INSERT INTO api_key (id, secret_sha256, user_id, login_type, token_name, scope, lifetime_seconds, ip_address,
             last_used_at, expires_at, created_at, updated_at)
         SELECT 'k' || n.n, k.secret_sha256, k.user_id, k.login_type, 'copy-' || n.n, k.scope, k.lifetime_seconds,
             k.ip_address, k.last_used_at, k.expires_at, k.created_at, k.updated_at
         FROM api_key k, (WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 997) SELECT n FROM n) n
         WHERE k.id = '{}'",
        &first[..10]
    );
    deployment.database().execute(&copy).await;
    let attempts = (0..4).map(|n| {
        let ann = ann.clone();
        tokio::spawn(async move { ann.post(MINE, json!({"token_name": format!("last-{n}")})).await })
    });
    let mut statuses = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        statuses.push(attempt.await.unwrap().status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409], "there is room for one");
    assert!(ann.post("/api/v2/users/me/keys", json!({})).await.refused(409).contains("1000"));
    bob.token_of("me", json!({})).await;
    // She can still sign in, and what is ended makes room.
    let again = deployment.rest().login("ann@example.com").await;
    assert_eq!(again.delete(&format!("/api/v2/users/me/keys/{}", &first[..10])).await.status, 204);
    again.token_of("me", json!({})).await;
}

async fn questions_are_answered_by_the_table(database: Databases) {
    let (deployment, owner, ann, _) = start(database).await;
    let default = owner.default_organization().await;
    let foreign = owner.organization("foreign").await;
    let bob = text(&owner.get("/api/v2/users/bob").await.expect(200), "id");
    let ask = |resource: &str, action: &str, more: Value| {
        let mut object = json!({"resource_type": resource});
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"object": object, "action": action})
    };
    let checks = json!({"checks": {
        "own workspace": ask("workspace", "create", json!({"organization_id": default, "owner_id": "me"})),
        "bob's workspace": ask("workspace", "create", json!({"organization_id": default, "owner_id": bob})),
        "foreign templates": ask("template", "read", json!({"organization_id": foreign})),
        "templates somewhere": ask("template", "read", json!({"any_org": true})),
        "this organization": ask("organization", "read", json!({"resource_id": default})),
        "that organization": ask("organization", "read", json!({"resource_id": foreign})),
        "all users": ask("user", "read", json!({})),
        "herself": ask("user", "read", json!({"owner_id": "me"})),
        "nothing there": ask("template", "read", json!({"resource_id": bob})),
        "the log": ask("audit_log", "read", json!({})),
    }});
    let answers = ann.post("/api/v2/authcheck", checks.clone()).await.expect(200);
    assert_eq!(
        answers,
        json!({
            "own workspace": true, "bob's workspace": false, "foreign templates": false, "templates somewhere": true,
            "this organization": true, "that organization": false, "all users": false, "herself": true,
            "nothing there": false, "the log": false,
        })
    );
    let answers = owner.post("/api/v2/authcheck", checks).await.expect(200);
    for (question, answer) in answers.as_object().unwrap() {
        assert_eq!(*answer, question != "nothing there", "{question}");
    }
    assert_eq!(ann.post("/api/v2/authcheck", json!({"checks": {}})).await.expect(200), json!({}));

    for (check, field) in [
        (ask("planet", "read", json!({})), "checks.x.object.resource_type"),
        (ask("user", "eat", json!({})), "checks.x.action"),
        (ask("user", "read", json!({"owner_id": "you"})), "checks.x.object.owner_id"),
        (ask("user", "read", json!({"organization_id": "default"})), "checks.x.object.organization_id"),
        (ask("user", "read", json!({"resource_id": "1"})), "checks.x.object.resource_id"),
    ] {
        ann.post("/api/v2/authcheck", json!({"checks": {"x": check}})).await.refused_for(400, field);
    }
    let many: serde_json::Map<String, Value> =
        (0..201).map(|n| (n.to_string(), ask("user", "read", json!({})))).collect();
    ann.post("/api/v2/authcheck", json!({"checks": many})).await.refused_for(400, "checks");

    let scopes = deployment.rest().get("/api/v2/auth/scopes").await.expect(200);
    let scopes = scopes["external"].as_array().unwrap();
    for known in ["coder:all", "template:read", "workspace:*", "coder:workspaces.create"] {
        assert!(scopes.contains(&json!(known)), "{known}");
    }
}

#[tokio::test]
async fn a_short_token_ends_by_itself_and_the_operator_sets_the_longest() {
    let deployment = Deployment::on(Databases::Sqlite).flag("--max-token-lifetime", "2h").unrecorded().start().await;
    let owner = deployment.rest().first_user().await;
    assert_eq!(owner.get(&format!("{MINE}/tokenconfig")).await.expect(200)["max_token_lifetime"], 2 * HOUR);
    owner.post(MINE, json!({"lifetime": 3 * HOUR})).await.refused_for(400, "lifetime");
    let token = owner.token_of("me", json!({})).await;
    let shown = owner.get(&format!("/api/v2/users/me/keys/{}", &token[..10])).await.expect(200);
    assert_eq!(shown["lifetime_seconds"], 7200);
    let short = owner.with(&owner.token_of("me", json!({"lifetime": 1_000_000_000})).await);
    eventually("the token's end", LONG, async || (short.get("/api/v2/users/me").await.status == 401).then_some(()))
        .await;
}

#[tokio::test]
async fn tokens_on_the_command_line() {
    let deployment = Deployment::on(Databases::Sqlite).unrecorded().start().await;
    let owner = deployment.rest().first_user().await;
    let cli = Cli::new(deployment.url());
    let run = async |line: &str| cli.run_as(owner.token(), &line.split(' ').collect::<Vec<_>>()).await;
    let created = run("tokens create --name ci --lifetime 30d --scope template:read,user:read").await;
    let token = created.ok().trim().to_owned();
    assert_eq!(token.len(), 33, "the token and nothing else: {created:?}");
    assert_eq!(owner.with(&token).get("/api/v2/users/me").await.expect(200)["username"], "owner");
    let list = run("tokens list").await;
    let header: Vec<_> =
        list.ok().lines().next().unwrap().split("  ").filter(|s| !s.is_empty()).map(str::trim).collect();
    assert_eq!(header, ["ID", "NAME", "LAST USED", "EXPIRES AT", "CREATED AT"]);
    assert!(list.stdout.contains(&token[..10]) && !list.stdout.contains(&token[11..]), "{list:?}");
    let json: Value = serde_json::from_str(run("tokens list -o json").await.ok()).unwrap();
    assert_eq!((&json[0]["token_name"], &json[0]["lifetime_seconds"]), (&json!("ci"), &json!(30 * 24 * 60 * 60)));
    assert!(run("tokens view ci").await.ok().contains("template:read user:read"));
    assert!(run(&format!("tokens view {}", &token[..10])).await.ok().contains("ci"));
    let _ = run("tokens remove ci").await.ok();
    owner.with(&token).get("/api/v2/users/me").await.refused(401);
    assert!(run("tokens list").await.ok().is_empty());
    assert!(run("tokens list --include-expired").await.ok().contains("ci"));
    let _ = run("tokens remove ci --delete").await.ok();
    assert!(run("tokens view ci").await.failed().contains("orgplane tokens list"));
    assert!(run("tokens create --lifetime 0s").await.failed().contains("--lifetime"));
}

/// What of it the published document describes as clients know it.
#[tokio::test]
async fn keys_are_made_and_ended_as_documented() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let keys = "/api/v2/users/me/keys";
    let session = text(&owner.post(keys, json!({})).await.expect(201), "key");
    let token = owner.token_of("me", json!({"token_name": "ci"})).await;
    let longest = owner.get(&format!("{keys}/tokens/tokenconfig")).await.expect(200);
    assert!(longest["max_token_lifetime"].as_i64().is_some_and(|longest| longest > 0), "{longest}");
    let question =
        json!({"checks": {"mine": {"object": {"resource_type": "api_key", "owner_id": "me"}, "action": "create"}}});
    assert_eq!(owner.post("/api/v2/authcheck", question).await.expect(200), json!({"mine": true}));
    let _ = owner.put(&format!("{keys}/{}/expire", &token[..10]), json!({})).await.expect(204);
    let _ = owner.delete(&format!("{keys}/{}", &session[..10])).await.expect(204);
    for ended in [session, token] {
        deployment.rest().with(&ended).get("/api/v2/users/me").await.refused(401);
    }
}
