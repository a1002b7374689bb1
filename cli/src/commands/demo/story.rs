//! What the demo does, step by step, over the same APIs that everybody uses.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use orgplane_proto::identity::v1::{CreateFirstUserRequest, LoginRequest};
use orgplane_proto::organization::v1::CreateOrganizationRequest;
use orgplane_proto::provisioner::v1::{CreateProvisionerKeyRequest, JobStatus, ListProvisionerDaemonsRequest};
use orgplane_proto::template::v1::{CreateTemplateRequest, CreateTemplateVersionRequest};
use orgplane_proto::workspace::v1::CreateWorkspaceRequest;
use rand::distr::{Alphanumeric, SampleString as _};
use tokio::time::{Instant, sleep};

use super::{follow, http, template};
use crate::args::{Connection, Engine};
use crate::client::Client;
use crate::job::Job;
use crate::output::{self, progress};
use crate::upload::upload;

const ORGANIZATION: &str = "data-platform";
const WORKSPACE: &str = "first";
const DAEMON_CONNECTS: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

/// The first user.
pub(crate) struct Account {
    email: &'static str,
    password: String,
}

impl Account {
    pub(crate) fn random() -> Self {
        Self { email: "demo@example.com", password: Alphanumeric.sample_string(&mut rand::rng(), 24) }
    }
}

/// The demo in progress: a server and its signed-in owner.
pub(crate) struct Story {
    url: String,
    engine: Engine,
    client: Client,
    token: String,
}

impl Story {
    /// Creates the first user and signs in.
    pub(crate) async fn begin(url: &str, engine: Engine, account: &Account) -> Result<Self> {
        progress(&format!("==> Creating the first user, {}", account.email));
        let nobody = Client::connect(url, &Connection::default(), None).await?;
        let first = CreateFirstUserRequest {
            email: account.email.to_owned(),
            username: "demo".to_owned(),
            name: "Demo".to_owned(),
            password: account.password.clone(),
        };
        nobody.users().create_first_user(first).await.context("can't create the first user")?;
        let login = LoginRequest { email: account.email.to_owned(), password: account.password.clone() };
        let token = nobody.sessions().login(login).await.context("can't sign in")?.into_inner().session_token;
        Ok(Self { url: url.to_owned(), engine, client: nobody.with_token(&token)?, token })
    }

    /// Creates the organization and a key for its daemon; returns the key.
    pub(crate) async fn set_up(&self) -> Result<String> {
        progress(&format!("==> Creating the organization {ORGANIZATION} and a provisioner key for it"));
        let organization = CreateOrganizationRequest { name: ORGANIZATION.to_owned(), ..Default::default() };
        let created = self.client.organizations().create_organization(organization).await;
        created.context("can't create the organization")?;
        let key = CreateProvisionerKeyRequest {
            organization: ORGANIZATION.to_owned(),
            name: "demo".to_owned(),
            tags: BTreeMap::new(),
        };
        let created = self.client.provisioner_keys().create_provisioner_key(key).await;
        Ok(created.context("can't create the provisioner key")?.into_inner().key)
    }

    /// From the connected daemon to the started workspace.
    pub(crate) async fn run(&self) -> Result<Outcome> {
        self.daemon_is_there().await?;
        let version = self.import().await?;
        let template = CreateTemplateRequest {
            organization: ORGANIZATION.to_owned(),
            name: template::name(self.engine).to_owned(),
            template_version_id: version,
            ..Default::default()
        };
        let template = self.client.templates().create_template(template).await.context("can't create the template")?;
        progress(&format!("==> Starting the workspace {WORKSPACE}"));
        let workspace = CreateWorkspaceRequest {
            user: "me".to_owned(),
            template_id: template.into_inner().id,
            name: WORKSPACE.to_owned(),
            ..Default::default()
        };
        let workspace = self.client.workspaces().create_workspace(workspace).await;
        let workspace = workspace.context("can't create the workspace")?.into_inner();
        let build = workspace.latest_build.context("the workspace has no build")?;
        let job = follow::to_the_end(&self.client, &Job::Build(build.id)).await?;

        let path = format!("/api/v2/organizations/{ORGANIZATION}/provisionerjobs/{}", job.id);
        progress("==> The job, as the REST API returns it");
        output::line(&format!("GET {}{path}", self.url))?;
        output::json(&http::get(&self.url, &path, &self.token).await?)?;
        let started = job.status() == JobStatus::Succeeded;
        progress(&if started { "==> The workspace is up".to_owned() } else { format!("==> It failed: {}", job.error) });
        Ok(Outcome { started, url: self.url.clone(), workspace: workspace.id })
    }

    async fn daemon_is_there(&self) -> Result<()> {
        let deadline = Instant::now() + DAEMON_CONNECTS;
        loop {
            let request = ListProvisionerDaemonsRequest { organization: ORGANIZATION.to_owned(), ..Default::default() };
            let listed = self.client.provisioner_daemons().list_provisioner_daemons(request).await;
            if !listed.context("can't list daemons")?.into_inner().daemons.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the daemon didn't connect within {} s", DAEMON_CONNECTS.as_secs());
            }
            sleep(POLL).await;
        }
    }

    /// Uploads the example and imports it; returns the template version's id.
    async fn import(&self) -> Result<String> {
        progress(&format!("==> Importing the example template {}", template::name(self.engine)));
        let version = CreateTemplateVersionRequest {
            organization: ORGANIZATION.to_owned(),
            storage_method: "file".to_owned(),
            file_id: upload(&self.client, template::archive(self.engine)?).await?,
            provisioner: self.engine.name().to_owned(),
            ..Default::default()
        };
        let version = self.client.template_versions().create_template_version(version).await;
        let version = version.context("can't create the template version")?.into_inner().id;
        let job = follow::to_the_end(&self.client, &Job::Import(version.clone())).await?;
        if job.status() != JobStatus::Succeeded {
            bail!("the template's import failed: {}", job.error);
        }
        Ok(version)
    }
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) started: bool,
    url: String,
    workspace: String,
}

impl Outcome {
    /// Where to go from here.
    pub(crate) fn print_ways_on(&self, account: &Account) -> Result<()> {
        let Self { url, workspace, .. } = self;
        let Account { email, password } = account;
        output::line(&format!(
            "\nSign in (password: {password})\n  \
             orgplane login {url} --email {email}\n\
             Look around\n  \
             orgplane organizations list\n  \
             orgplane provisioner list --org {ORGANIZATION}\n  \
             orgplane provisioner keys list --org {ORGANIZATION}\n\
             The REST API, with the token that `curl -d '{{\"email\":…,\"password\":…}}' {url}/api/v2/users/login` gives\n  \
             {url}/api/v2/workspaces/{workspace}\n  \
             {url}/api/v2/organizations/{ORGANIZATION}/provisionerjobs\n  \
             {url}/api/v2/organizations/{ORGANIZATION}/provisionerdaemons"
        ))
    }
}
