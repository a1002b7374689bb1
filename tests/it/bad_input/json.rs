//! Bodies: every operation with a body gets every kind of nonsense, and nothing of it is written.

use orgplane_tests::deployment::PASSWORD;
use orgplane_tests::world::text;
use orgplane_tests::{Answer, Archive, Deployment, Rest, Session};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Watch, check};

/// An operation, with a body that it would take.
struct Operation {
    method: Method,
    path: String,
    body: Value,
    /// Members that are names or addresses: no control or direction characters in them.
    names: &'static [&'static str],
}

/// The operations that take a JSON body.
async fn operations(deployment: &Deployment, owner: &Rest) -> Vec<Operation> {
    let organization = owner.organization("data-platform").await;
    let key = owner.key(&organization, "key", json!({})).await;
    let mut session = Session::start(deployment, &key, "one").await;
    let file = owner.upload(Archive::terraform("hello")).await.expect(201);
    let mut versions = Vec::new();
    for _ in 0..2 {
        versions.push(owner.import(&organization, Archive::terraform("hello"), "terraform", json!({})).await);
        let assign = session.take_job().await;
        session.finish(&assign, orgplane_proto::provisioner::v1::Outcome::Succeeded, 0).await;
    }
    let template = json!({"name": "echo", "template_version_id": versions[0]["id"]});
    let template = owner.post("/api/v2/organizations/data-platform/templates", template).await.expect(201);
    let workspace = owner.workspace("dev", &template).await;
    let assign = session.take_job().await;
    session.finish(&assign, orgplane_proto::provisioner::v1::Outcome::Succeeded, 0).await;

    let post = |path: &str, body: Value, names| Operation { method: Method::POST, path: path.to_owned(), body, names };
    vec![
        post("/api/v2/users/login", json!({"email": "nobody@example.com", "password": PASSWORD}), &[]),
        post(
            "/api/v2/users",
            json!({
                "email": "x@example.com", "username": "x", "name": "X", "password": PASSWORD,
                "login_type": "password", "user_status": "active", "organization_ids": [organization],
            }),
            &["email", "username"],
        ),
        post(
            "/api/v2/organizations",
            json!({"name": "x", "display_name": "X", "description": "x", "icon": "x"}),
            &["name"],
        ),
        Operation {
            method: Method::PATCH,
            path: format!("/api/v2/organizations/{organization}"),
            body: json!({"name": "x", "display_name": "X", "description": "x", "icon": "x"}),
            names: &["name"],
        },
        post(
            "/api/v2/organizations/data-platform/provisionerkeys",
            json!({"name": "x", "tags": {"region": "east"}}),
            &["name"],
        ),
        post(
            "/api/v2/organizations/data-platform/templateversions",
            json!({
                "name": "x", "message": "x", "storage_method": "file", "file_id": file["hash"], "provisioner": "terraform",
                "tags": {"region": "east"}, "user_variable_values": [{"name": "a", "value": "b"}],
            }),
            &["name", "file_id", "provisioner", "storage_method"],
        ),
        post(
            "/api/v2/organizations/data-platform/templates",
            json!({
                "name": "x", "display_name": "X", "description": "x", "icon": "x",
                "template_version_id": versions[1]["id"], "allow_user_cancel_workspace_jobs": true, "default_ttl_ms": 0,
            }),
            &["name", "template_version_id"],
        ),
        post(
            "/api/v2/users/me/workspaces",
            json!({"name": "x", "template_id": template["id"], "rich_parameter_values": [], "automatic_updates": "never"}),
            &["name", "template_id", "automatic_updates"],
        ),
        post(
            &format!("/api/v2/workspaces/{}/builds", text(&workspace, "id")),
            json!({"transition": "stop", "reason": "cli", "rich_parameter_values": []}),
            &["transition", "reason"],
        ),
    ]
}

async fn send(owner: &Rest, operation: &Operation, body: impl Into<reqwest::Body>) -> Answer {
    let request = owner.request(operation.method.clone(), &operation.path).header("Content-Type", "application/json");
    owner.send(request.body(body)).await
}

#[tokio::test]
async fn malformed_bodies() {
    let mut deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let operations = operations(&deployment, &owner).await;
    let watch = Watch::begin(&mut deployment).await;
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    for operation in &operations {
        let good = operation.body.to_string();
        let first = operation.body.as_object().unwrap().keys().next().unwrap();
        for (what, body) in [
            ("an empty body", String::new()),
            ("white space", "  \n".to_owned()),
            ("half an object", "{\"name\":".to_owned()),
            ("an array", "[]".to_owned()),
            ("a string", "\"x\"".to_owned()),
            ("a number", "7".to_owned()),
            ("true", "true".to_owned()),
            ("no JSON", "name=x".to_owned()),
            ("something behind it", format!("{good} {{}}")),
            ("great depth", format!("{{\"name\": {deep}}}")),
            ("a lone surrogate", "{\"name\": \"\\ud800\"}".to_owned()),
            ("a byte order mark", format!("\u{feff}{good}")),
            ("a member twice", format!("{{\"{first}\": {}, {}", operation.body[first], &good[1..])),
            ("a number that no type holds", "{\"name\": 1e309}".to_owned()),
            ("a number that starts with 0", "{\"name\": 01}".to_owned()),
            ("not a number", "{\"name\": NaN}".to_owned()),
            ("a list of very many", format!("{{\"{first}\": [{}0]}}", "0,".repeat(400_000))),
        ] {
            check(&send(&owner, operation, body).await, what, &[400]);
        }
        check(&send(&owner, operation, vec![b'{', b'"', 0xff, 0xfe, b'"', b'}']).await, "no UTF-8", &[400]);
        // Nobody agreed on compression: a few bytes must not become many.
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut packer, &vec![b' '; 32 << 20]).unwrap();
        let request = owner.request(operation.method.clone(), &operation.path).header("Content-Encoding", "gzip");
        check(&owner.send(request.body(packer.finish().unwrap())).await, "a gzip bomb", &[400, 415]);
        let huge = format!("{{\"name\": \"{}\"}}", "x".repeat(2 * 1024 * 1024));
        check(&send(&owner, operation, huge).await, "a huge body", &[413]);
    }
    watch.end(&mut deployment).await;
}

#[tokio::test]
async fn wrong_types_name_the_field() {
    let mut deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let operations = operations(&deployment, &owner).await;
    let watch = Watch::begin(&mut deployment).await;
    for operation in &operations {
        for (member, good) in operation.body.as_object().unwrap() {
            let wrong = [json!(7), json!(1.5), json!(true), json!("text"), json!([1]), json!({"a": 1}), json!([[]])];
            let kind = |value: &Value| match value {
                Value::String(_) => 1,
                Value::Bool(_) => 2,
                Value::Number(number) => 3 + i32::from(number.is_f64()),
                Value::Array(_) => 5,
                _ => 6,
            };
            for wrong in wrong {
                // A list or map of the right kind but with wrong members is wrong as well.
                let inner = matches!(wrong, Value::Array(_) | Value::Object(_));
                if kind(&wrong) == kind(good) && !inner {
                    continue;
                }
                let mut body = operation.body.clone();
                body[member] = wrong.clone();
                let answer = send(&owner, operation, body.to_string()).await;
                check(&answer, &format!("{member}: {wrong}"), &[400]);
                assert!(answer.names(member), "{member}: {wrong}: {} {}", answer.request, answer.text());
            }
        }
    }
    watch.end(&mut deployment).await;
}

#[tokio::test]
async fn characters_that_names_must_not_have() {
    let mut deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let operations = operations(&deployment, &owner).await;
    let watch = Watch::begin(&mut deployment).await;
    for operation in &operations {
        for (member, good) in operation.body.as_object().unwrap() {
            if !good.is_string() {
                continue;
            }
            let mut body = operation.body.clone();
            body[member] = json!("a\0b");
            check(&send(&owner, operation, body.to_string()).await, &format!("NUL in {member}"), &[400]);
        }
        for member in operation.names {
            for bad in ["a\u{202e}b", "a\u{200f}b", "a\nb", "a\u{7f}b", "\u{1f600}\u{200d}", "a\u{feff}b", "-a'; --"] {
                // A key's name may be any text that is fit to be seen.
                let key = operation.path.ends_with("provisionerkeys");
                if key && bad.is_ascii() && !bad.contains(['\n', '\u{7f}']) || key && bad.starts_with('\u{1f600}') {
                    continue;
                }
                let mut body = operation.body.clone();
                body[*member] = json!(bad);
                let answer = send(&owner, operation, body.to_string()).await;
                check(&answer, &format!("{bad:?} in {member}"), &[400]);
                assert!(answer.names(member), "{bad:?} in {member}: {} {}", answer.request, answer.text());
            }
        }
    }
    watch.end(&mut deployment).await;
}

#[tokio::test]
async fn names_enums_and_ids() {
    let mut deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let operations = operations(&deployment, &owner).await;
    let watch = Watch::begin(&mut deployment).await;
    let long = "x".repeat(33);
    let names = ["", "has space", "-x", "x-", "a--b", "ü", "a/b", "..", "new", "create", &long];
    let uuid = "11111111-2222-4333-8444-555555555555";
    for operation in &operations {
        let path = operation.path.as_str();
        let mut cases: Vec<(&str, Value, &[u16])> = Vec::new();
        let name = if path == "/api/v2/users" { "username" } else { "name" };
        let plain = ["organizations", "templates", "workspaces", "users"].iter().any(|end| path.ends_with(end));
        if plain || operation.method == Method::PATCH {
            // In a PATCH nothing means that the name stays.
            let stays = operation.method == Method::PATCH;
            cases.extend(names.iter().filter(|n| !stays || !n.is_empty()).map(|bad| (name, json!(bad), &[400][..])));
            cases.push((name, json!(uuid), &[400]));
            if !stays {
                cases.push((name, json!(null), &[400]));
            }
        }
        match path {
            "/api/v2/users" => {
                cases.push(("username", json!("me"), &[400]));
                cases.push(("username", json!("OWNER"), &[409]));
                for email in ["", "x", "@example.com", "x@", "x y@example.com", "x@example.com\n", "a@b@c"] {
                    cases.push(("email", json!(email), &[400]));
                }
                for password in ["", "short", "aaaaaaaaaaaaaaaaaaaa"] {
                    cases.push(("password", json!(password), &[400]));
                }
                cases.push(("password", json!("Aa1!".repeat(400)), &[400]));
                cases.push(("login_type", json!("magic"), &[400]));
                cases.push(("user_status", json!("asleep"), &[400]));
                cases.push(("organization_ids", json!([]), &[400]));
                cases.push(("organization_ids", json!(["x"]), &[400]));
            }
            "/api/v2/organizations/data-platform/templateversions" => {
                cases.push(("file_id", json!("{11111111-2222-4333-8444-555555555555}"), &[400]));
                cases.push(("file_id", json!(uuid.replace('-', "")), &[400]));
                cases.push(("name", json!("x".repeat(65)), &[400]));
            }
            _ if path.ends_with("/builds") => {
                cases.push(("transition", json!(""), &[400]));
                cases.push(("transition", json!("explode"), &[400]));
                cases.push(("transition", json!("START"), &[400]));
                cases.push(("reason", json!("boredom"), &[400]));
                cases.push(("reason", json!("autostart"), &[400]));
                cases.push(("dry_run", json!(true), &[400]));
                cases.push(("orphan", json!(true), &[400]));
                cases.push(("state", json!("!!!"), &[400]));
                cases.push(("state", json!("aGVsbG8="), &[400]));
                cases.push(("log_level", json!("debug"), &[400]));
                cases.push(("template_version_id", json!("x"), &[400]));
            }
            _ => {}
        }
        for (member, bad, statuses) in cases {
            let mut body = operation.body.clone();
            body[member] = bad.clone();
            let answer = send(&owner, operation, body.to_string()).await;
            check(&answer, &format!("{member}: {bad}"), statuses);
            assert!(answer.names(member), "{member}: {bad}: {} {}", answer.request, answer.text());
        }
    }
    watch.end(&mut deployment).await;
}

#[tokio::test]
async fn all_faults_of_a_request_are_told_at_once() {
    let deployment = Deployment::start().await;
    let owner = deployment.rest().first_user().await;
    let body = json!({"email": "x", "username": "has space", "password": "short", "organization_ids": []});
    let answer = owner.post("/api/v2/users", body).await;
    for field in ["email", "username", "password", "organization_ids"] {
        answer.refused_for(400, field);
    }
    assert!(!answer.text().contains("short"), "the password is in the answer");
}
