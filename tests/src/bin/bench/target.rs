//! What is measured: a deployment of real processes with an organization and a key.

use std::fmt;
use std::os::unix::process::CommandExt as _;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use orgplane_proto::template::v1::CreateTemplateVersionRequest;
use orgplane_proto::template::v1::template_version_service_client::TemplateVersionServiceClient;
use orgplane_tests::{Api, Archive, Databases, Deployment};
use tonic::transport::{Channel, Endpoint};

const ORGANIZATION: &str = "bench";

/// Which database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Database(pub(crate) Databases);

impl Database {
    /// The named one, or all that there are. Without a PostgreSQL server the program starts anew beside a throw-away one.
    pub(crate) fn pick(name: Option<&str>) -> anyhow::Result<Vec<Self>> {
        let (sqlite, postgres) = match name {
            None => (true, true),
            Some("sqlite") => (true, false),
            Some("postgres") => (false, true),
            Some(other) => bail!("{other:?} is not a database: sqlite or postgres"),
        };
        if postgres && std::env::var_os("ORGPLANE_TEST_POSTGRES_URL").is_none() {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/with-postgres");
            let error = std::process::Command::new(script)
                .arg(std::env::current_exe()?)
                .args(std::env::args_os().skip(1))
                .exec();
            return Err(error).context(script);
        }
        let kinds = [(sqlite, Databases::Sqlite), (postgres, Databases::Postgres)];
        Ok(kinds.into_iter().filter(|(wanted, _)| *wanted).map(|(_, kind)| Self(kind)).collect())
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Databases::Sqlite => "sqlite",
            Databases::Postgres => "postgres",
        })
    }
}

/// A deployment with an organization and a provisioner key; cheap to clone.
#[derive(Clone)]
pub(crate) struct Target(Arc<Inner>);

struct Inner {
    deployment: Deployment,
    owner: Api,
    rest: orgplane_tests::Rest,
    key: String,
    pid: u32,
}

impl Target {
    pub(crate) async fn start(database: &Database) -> anyhow::Result<Self> {
        // No log cap: the log lines of `stream` are many.
        let mut deployment = Deployment::on(database.0).flag("--job-log-limit", "1073741824").start().await;
        let rest = deployment.rest().first_user().await;
        rest.organization(ORGANIZATION).await;
        let key = rest.key(ORGANIZATION, "bench", serde_json::json!({})).await;
        let owner = deployment.grpc(Some(rest.token())).await;
        let pid = u32::try_from(deployment.process().pid().as_raw())?;
        Ok(Self(Arc::new(Inner { deployment, owner, rest, key, pid })))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.pid
    }

    pub(crate) fn key(&self) -> &str {
        &self.0.key
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> anyhow::Result<Channel> {
        Ok(Endpoint::from_shared(self.0.deployment.url().to_owned())?.tcp_nodelay(true).connect().await?)
    }

    /// Its database.
    pub(crate) fn database(&self) -> &orgplane_tests::Database {
        self.0.deployment.database()
    }

    /// Calls as its owner.
    pub(crate) fn owner(&self) -> orgplane_tests::grpc::Transport {
        self.0.owner.transport()
    }

    /// A template that does nothing; its file's id.
    pub(crate) async fn upload_empty_template(&self) -> anyhow::Result<String> {
        let answer = self.0.rest.upload(Archive::echo(&serde_json::json!({}))).await;
        answer.body["hash"].as_str().map(str::to_owned).with_context(|| format!("{answer:?}"))
    }

    /// Queues an import.
    pub(crate) async fn import(&self, file: &str, name: &str) -> anyhow::Result<()> {
        let request = CreateTemplateVersionRequest {
            organization: ORGANIZATION.to_owned(),
            name: name.to_owned(),
            storage_method: "file".to_owned(),
            file_id: file.to_owned(),
            provisioner: "echo".to_owned(),
            ..CreateTemplateVersionRequest::default()
        };
        TemplateVersionServiceClient::new(self.0.owner.transport()).create_template_version(request).await?;
        Ok(())
    }
}
