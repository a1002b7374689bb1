//! The published `coder` CLI, unmodified, against our server: the flows that people have in their scripts. Later releases
//! have commands that the pinned one (`tests/get-coder`) hasn't; of these the documented calls are made one by one.

use orgplane_tests::coder::Coder;
use orgplane_tests::deployment::{OWNER, PASSWORD};
use orgplane_tests::world::text;
use orgplane_tests::{Archive, Daemon, Databases, Deployment, Rest};
use reqwest::Method;
use serde_json::{Value, json};

/// A deployment with its first user, whom the CLI is signed in as.
struct Desk {
    deployment: Deployment,
    owner: Rest,
    coder: Coder,
}

impl Desk {
    async fn new() -> Option<Self> {
        let coder = Coder::find()?;
        let deployment = Deployment::on(Databases::Sqlite).unrecorded().start().await;
        let owner = deployment.rest().first_user().await;
        let login = format!("login {} --token {} --use-token-as-session", deployment.rest_url(), owner.token());
        let welcome = coder.run(&login).await;
        assert!(welcome.ok().contains("Welcome to Coder, owner!"), "{welcome:?}");
        Some(Self { deployment, owner, coder })
    }
}

/// The names in a table's or list's objects.
fn names(list: &Value, member: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| text(item, member)).collect()
}

#[tokio::test]
async fn login_sets_up_a_fresh_deployment() {
    let Some(coder) = Coder::find() else { return };
    let deployment = Deployment::start().await;
    let url = deployment.rest_url();
    let (email, username) = OWNER;
    let first = format!(
        "login {url} --first-user-username {username} --first-user-email {email} --first-user-password {PASSWORD} \
         --first-user-full-name Owner --first-user-trial=false"
    );
    assert!(coder.run(&first).await.ok().contains("Welcome to Coder, owner!"));
    assert_eq!(coder.json("whoami").await[0]["username"], username);
}

#[tokio::test]
async fn login_logout_and_whoami_on_an_existing_deployment() {
    let Some(desk) = Desk::new().await else { return };
    let (coder, url) = (&desk.coder, desk.deployment.rest_url());
    let me = desk.owner.get("/api/v2/users/me").await.expect(200);
    let shown = coder.json("whoami").await;
    let wanted = json!([{
        "url": url, "username": "owner", "user_id": me["id"], "organization_ids": me["organization_ids"],
        "roles": {"*": ["Owner"]},
    }]);
    assert_eq!(shown, wanted);
    assert!(coder.run("whoami").await.ok().contains(&format!("Coder is running at {url}")));

    // It names the page that shows tokens, and takes what is pasted.
    let again = desk.deployment.rest().login(OWNER.0).await;
    let pasted = coder.given(&format!("{}\n", again.token()), &format!("login {url}")).await;
    assert!(pasted.ok().contains(&format!("{url}/cli-auth")) && pasted.stdout.contains("Welcome"), "{pasted:?}");
    let out = coder.run("logout --yes").await;
    assert!(out.ok().contains("no longer logged in"), "{out:?}");
    again.get("/api/v2/users/me").await.refused(401);
    assert!(coder.run("whoami").await.failed().contains("not logged in"));

    let wrong =
        coder.run(&format!("login {url} --token aaaaaaaaaa-bbbbbbbbbbbbbbbbbbbbbb --use-token-as-session")).await;
    assert!(wrong.failed().contains("You are signed out"), "{wrong:?}");
}

#[tokio::test]
async fn organizations() {
    let Some(desk) = Desk::new().await else { return };
    let (coder, owner) = (&desk.coder, &desk.owner);
    let created = coder.run("organizations create data-platform").await;
    let organization = owner.get("/api/v2/organizations/data-platform").await.expect(200);
    let id = text(&organization, "id");
    assert_eq!(created.ok(), format!("Organization data-platform ({id}) created.\n"));
    let again = coder.run("organizations create data-platform").await;
    assert!(again.failed().contains("already exists"), "{again:?}");

    for name in ["data-platform", "DATA-platform", &id] {
        let shown = coder.run(&format!("organizations show {name}")).await;
        assert_eq!(shown.ok().trim(), format!("Organization: data-platform ({id})"), "{name}");
    }
    let chosen = coder.run("organizations show selected -O data-platform --only-id").await;
    assert_eq!(chosen.ok().trim(), id);
    let unclear = coder.run("organizations show selected").await;
    assert!(unclear.failed().contains("--org"), "of several one has to be named: {unclear:?}");
    let mut all = names(&coder.json("organizations show me").await, "name");
    all.sort();
    assert_eq!(all, ["data-platform", "orgplane"]);
    let missing = coder.run("organizations show nowhere").await;
    assert!(missing.failed().contains("not found"), "{missing:?}");

    // `organizations list` and `organizations delete` of later releases.
    let list = owner.get("/api/v2/organizations").await.expect(200);
    assert_eq!(names(&list, "name"), ["data-platform", "orgplane"]);
    let default = owner.get("/api/v2/organizations/orgplane").await.expect(200);
    assert_eq!((&default["is_default"], &organization["is_default"]), (&json!(true), &json!(false)));
    let _ = owner.delete(&format!("/api/v2/organizations/{id}")).await.expect(200);
    assert_eq!(names(&coder.json("organizations show me").await, "name"), ["orgplane"]);
}

#[tokio::test]
async fn users_are_created_and_shown() {
    let Some(desk) = Desk::new().await else { return };
    let (coder, owner) = (&desk.coder, &desk.owner);
    let line = format!("users create --username ada --email ada@example.com --password {PASSWORD}");
    let created = coder.run(&line).await;
    let _ = created.ok();
    assert!(created.stderr.contains("A new user has been created!"), "{created:?}");
    let ada = owner.get("/api/v2/users/ada").await.expect(200);
    let shown = coder.json("users show ada").await;
    assert_eq!((&shown["id"], &shown["email"]), (&ada["id"], &json!("ada@example.com")));
    assert!(coder.run("users show ada").await.ok().contains("ada@example.com"));
    let taken = coder.run(&line).await;
    assert!(taken.failed().contains("already in use"), "{taken:?}");

    owner.organization("data-platform").await;
    let added = coder.run("organizations members add ada -O data-platform").await;
    assert_eq!(added.ok(), "Organization member added to \"data-platform\"\n");
    let organizations = owner.get("/api/v2/users/ada/organizations").await.expect(200);
    assert_eq!(names(&organizations, "name"), ["data-platform", "orgplane"]);
}

#[tokio::test]
async fn provisioners() {
    let Some(desk) = Desk::new().await else { return };
    let (coder, owner) = (&desk.coder, &desk.owner);
    let organization = owner.organization("data-platform").await;

    // `provisioner keys create`, `list` and `delete`, which only a build with other licences has.
    let keys = format!("/api/v2/organizations/{organization}/provisionerkeys");
    let key = owner.post(&keys, json!({"name": "east", "tags": {"region": "east"}})).await.expect(201);
    let listed = owner.get(&keys).await.expect(200);
    assert_eq!((names(&listed, "name"), &listed[0]["tags"]), (vec!["east".to_owned()], &json!({"region": "east"})));

    let none = coder.run("provisioner list -O data-platform").await;
    assert!(none.ok().trim().is_empty() && none.stderr.contains("No provisioner daemons found"), "{none:?}");
    let _daemon = Daemon::start(&desk.deployment, "one", &text(&key, "key"), "echo");
    owner.daemon(&organization, "one", "idle").await;
    let daemons = coder.json("provisioner list -O data-platform").await;
    assert_eq!(daemons[0]["organization_name"], "data-platform", "{daemons}");
    let daemon = &daemons[0];
    assert_eq!(
        (&daemon["name"], &daemon["key_name"], &daemon["status"]),
        (&json!("one"), &json!("east"), &json!("idle"))
    );
    assert_eq!(daemon["tags"]["region"], "east");
    let table = coder.run("provisioner list -O data-platform -c name,status,key,tags").await;
    assert_eq!(table.code, Some(1), "there is no column of that name: {table:?}");
    let table = coder.run("provisioner list -O data-platform --status idle --max-age 1h --show-offline").await;
    assert!(table.ok().starts_with("CREATED AT") && table.stdout.contains("region:east"), "{table:?}");
    assert!(coder.run("provisioner list -O data-platform --status busy").await.ok().trim().is_empty());

    let tags = json!({"region": "east"});
    let version = owner.import(&organization, Archive::echo(&json!({"import": {}})), "echo", tags).await;
    let version = owner.imported(&text(&version, "id"), orgplane_tests::LONG).await;
    let jobs = coder.json("provisioner jobs list -O data-platform --status succeeded --initiator me").await;
    assert_eq!(
        (&jobs[0]["id"], &jobs[0]["type"]),
        (&version["job"]["id"], &json!("template_version_import")),
        "{jobs}"
    );
    assert_eq!(jobs[0]["worker_name"], "one", "{jobs}");
    let pending = owner
        .import(&organization, Archive::echo(&json!({"import": {"readme": "2"}})), "echo", json!({"region": "west"}))
        .await;
    let job = text(&pending["job"], "id");
    let table = coder.run("provisioner jobs list -O data-platform --limit 1 -c id,status,queue").await;
    assert!(table.ok().contains(&job) && table.stdout.contains("pending"), "{table:?}");
    let canceled = coder.run(&format!("provisioner jobs cancel {job} -O data-platform")).await;
    assert!(canceled.ok().ends_with("Job canceled\n"), "{canceled:?}");
    let path = format!("/api/v2/templateversions/{}", text(&pending, "id"));
    assert_eq!(owner.get(&path).await.expect(200)["job"]["status"], "canceled");

    let _ = owner.send(owner.request(Method::DELETE, &format!("{keys}/EAST"))).await.expect(204);
    assert_eq!(owner.get(&keys).await.expect(200), json!([]));
}

/// `GET …/members/` with its slash, `PUT …/members/{user}/roles`, `DELETE …/members/{user}`.
#[tokio::test]
async fn members_of_an_organization() {
    let Some(desk) = Desk::new().await else { return };
    let (coder, owner) = (&desk.coder, &desk.owner);
    let organization = owner.organization("data-platform").await;
    let (_, _) = owner.user("ada", &[&owner.default_organization().await]).await;
    let org = "-O data-platform";

    let _ = coder.run(&format!("organizations members add ada {org}")).await.ok();
    assert_eq!(names(&coder.json(&format!("organizations members list {org}")).await, "username"), ["ada", "owner"]);
    let edited = coder
        .run(&format!("organizations members edit-roles ada organization-auditor organization-template-admin {org}"))
        .await;
    for role in ["Organization Auditor", "Organization Template Admin"] {
        assert!(edited.ok().contains(role), "{edited:?}");
    }
    let table = coder.run(&format!("organizations members list {org}")).await;
    let ada = table.ok().lines().find(|line| line.starts_with("ada")).expect("ada");
    assert!(ada.contains("Organization Auditor") && ada.contains("Organization Template Admin"), "{table:?}");
    let none = coder.run(&format!("organizations members edit-roles ada {org}")).await;
    assert_eq!(none.ok(), "Member roles updated to []\n");
    let wrong = coder.run(&format!("organizations members edit-roles ada no-such-role {org}")).await;
    assert!(wrong.failed().contains("update member roles"), "{wrong:?}");

    let removed = coder.run(&format!("organizations members remove ada {org}")).await;
    assert_eq!(removed.ok(), "Organization member removed from \"data-platform\"\n");
    let left = coder.json(&format!("organizations members list {org}")).await;
    assert_eq!(names(&left, "username"), ["owner"]);
    owner.get(&format!("/api/v2/organizations/{organization}/members/ada")).await.refused(404);
}

/// `GET`, `POST` and `PUT …/members/roles`. The CLI takes the path's organization from the JSON's `organization_id`.
#[tokio::test]
async fn roles_of_an_organization() {
    let Some(desk) = Desk::new().await else { return };
    let (coder, owner) = (&desk.coder, &desk.owner);
    let organization = owner.organization("data-platform").await;
    let org = "-O data-platform";
    let built_in = names(&coder.json(&format!("organizations roles show {org}")).await, "name");
    assert!(built_in.contains(&"organization-admin".to_owned()), "{built_in:?}");

    let permission = |action: &str| json!({"negate": false, "resource_type": "template", "action": action});
    let role = |actions: &[&str]| {
        json!({
            "name": "reviewer", "organization_id": organization, "display_name": "Reviewer", "site_permissions": [],
            "organization_permissions": actions.iter().map(|action| permission(action)).collect::<Vec<_>>(),
            "user_permissions": [],
        })
        .to_string()
    };
    let create = format!("organizations roles create --stdin {org}");
    let created = coder.given(&role(&["read"]), &create).await;
    assert!(created.ok().contains("reviewer") && created.stdout.contains("1 permissions"), "{created:?}");
    let again = coder.given(&role(&["read"]), &create).await;
    assert!(again.failed().contains("already exists"), "{again:?}");
    let update = format!("organizations roles update --stdin {org}");
    let updated = coder.given(&role(&["read", "update"]), &update).await;
    assert!(updated.ok().contains("2 permissions"), "{updated:?}");
    let shown = coder.json(&format!("organizations roles show reviewer {org}")).await;
    assert_eq!((shown.as_array().unwrap().len(), &shown[0]["display_name"]), (1, &json!("Reviewer")));
    assert_eq!(shown[0]["organization_permissions"].as_array().unwrap().len(), 2, "{shown}");

    // Members can hold it.
    let _ = owner.user("ada", &[&organization]).await;
    let edited = coder.run(&format!("organizations members edit-roles ada reviewer {org}")).await;
    assert!(edited.ok().contains("Reviewer"), "{edited:?}");
}

/// `GET /users`, `PUT /users/{user}/status/{suspend,activate}`, `DELETE /users/{user}`.
#[tokio::test]
async fn users_from_create_to_delete() {
    let Some(desk) = Desk::new().await else { return };
    let (coder, owner) = (&desk.coder, &desk.owner);
    let line = format!("users create --username ada --email ada@example.com --password {PASSWORD}");
    let _ = coder.run(&line).await.ok();
    assert_eq!(names(&coder.json("users list").await, "username"), ["ada", "owner"]);
    let table = coder.run("users list -c username,status").await;
    assert!(table.ok().starts_with("USERNAME") && table.stdout.contains("ada"), "{table:?}");

    // It asks; there is no --yes. A dormant user is activated first, so that there is something to suspend.
    let ada = desk.deployment.rest().login("ada@example.com").await;
    let _ = ada.get("/api/v2/users/me").await.expect(200);
    let suspended = coder.given("yes\n", "users suspend ada").await;
    assert!(suspended.ok().contains("User ada has been suspended!"), "{suspended:?}");
    ada.get("/api/v2/users/me").await.refused(401);
    let again = coder.given("yes\n", "users suspend ada").await;
    assert!(again.ok().contains("User status is already \"suspended\""), "{again:?}");
    let activated = coder.given("yes\n", "users activate ada").await;
    assert!(activated.ok().contains("User ada has been activated!"), "{activated:?}");
    let _ = ada.get("/api/v2/users/me").await.expect(200);
    assert!(coder.given("yes\n", "users suspend owner").await.failed().contains("suspend user"), "not oneself");

    // `users edit-roles` reads GET /users/{user}/roles and GET /users/roles, then PUT /users/{user}/roles.
    let _ = coder.run("users edit-roles ada --roles auditor,template-admin --yes").await.ok();
    let mut roles = names(&owner.get("/api/v2/users/ada").await.expect(200)["roles"], "name");
    roles.sort();
    assert_eq!(roles, ["auditor", "template-admin"]);

    let deleted = coder.run("users delete ada").await;
    let _ = deleted.ok();
    assert!(deleted.stderr.contains("Successfully deleted ada."), "{deleted:?}");
    owner.get("/api/v2/users/ada").await.refused(404);
    assert_eq!(names(&coder.json("users list").await, "username"), ["owner"]);
    let _ = coder.run("users delete owner").await.failed();
}

/// `GET …/keys/tokens/tokenconfig`, `POST` and `GET …/keys/tokens`, `GET …/keys/tokens/{name}`, `GET …/keys/{id}`,
/// `DELETE …/keys/{id}`.
#[tokio::test]
async fn tokens() {
    let Some(desk) = Desk::new().await else { return };
    let (coder, anybody) = (&desk.coder, desk.deployment.rest());
    let none = coder.run("tokens list").await;
    assert!(none.ok().trim().is_empty() && none.stderr.contains("No tokens found"), "{none:?}");
    let token = coder.run("tokens create --name ci --lifetime 30d").await.ok().trim().to_owned();
    let _ = anybody.with(&token).get("/api/v2/users/me").await.expect(200);
    // Without a lifetime the CLI asks for the longest that there is.
    let second = coder.run("tokens create --name second").await.ok().trim().to_owned();
    let mut listed = names(&coder.json("tokens list").await, "token_name");
    listed.sort();
    assert_eq!(listed, ["ci", "second"]);
    let table = coder.run("tokens list").await;
    assert!(table.ok().contains("ci") && !table.stdout.contains(&token), "{table:?}");
    let taken = coder.run("tokens create --name ci").await;
    assert!(taken.failed().contains("create tokens"), "{taken:?}");
    let long = coder.run("tokens create --name long --lifetime 900000h").await;
    assert!(long.failed().contains("greater than the maximum"), "{long:?}");
    assert_eq!(coder.json("tokens view ci").await[0]["token_name"], "ci");

    assert!(coder.run("tokens remove ci").await.ok().contains("deleted"));
    anybody.with(&token).get("/api/v2/users/me").await.refused(401);
    // Also by the token itself.
    let _ = coder.run(&format!("tokens remove {second}")).await.ok();
    anybody.with(&second).get("/api/v2/users/me").await.refused(401);
    assert!(coder.run("tokens remove ci").await.failed().contains("fetch api key"));
}
