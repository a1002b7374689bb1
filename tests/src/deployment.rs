//! A server process with a database and a data directory of its own.

use std::path::Path;
use std::process::{Command, ExitStatus};

use tempfile::TempDir;

use crate::binary::command;
use crate::database::{Database, Databases};
use crate::gateway::Gateway;
use crate::grpc::Api;
use crate::postgres::Postgres;
use crate::process::Process;
use crate::proxy::Proxy;
use crate::rest::Rest;
use crate::wait::LONG;

/// The password of every user of the tests.
pub const PASSWORD: &str = "Correct-Horse-7-Battery";

/// The first user's address and name.
pub const OWNER: (&str, &str) = ("owner@example.com", "owner");

/// What a deployment should be like.
#[derive(Debug)]
pub struct Builder {
    database: Databases,
    server: Option<String>,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    records: bool,
    linked: bool,
}

impl Builder {
    /// Sets a flag of `orgplane server`, instead of any earlier value.
    #[must_use]
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        match self.flags.iter().position(|flag| flag == name) {
            Some(at) => value.clone_into(&mut self.flags[at + 1]),
            None => self.flags.extend([name.to_owned(), value.to_owned()]),
        }
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves its exchanges out of the record: for stories with values that the product has and the contract hasn't, such
    /// as templates of the echo engine.
    #[must_use]
    pub fn unrecorded(mut self) -> Self {
        self.records = false;
        self
    }

    /// Puts its database on a PostgreSQL server of the test's own.
    #[must_use]
    pub fn served_by(mut self, server: &Postgres) -> Self {
        self.server = Some(server.url());
        self
    }

    /// Puts a link that can be broken before its database, which must be PostgreSQL's.
    #[must_use]
    pub fn linked(mut self) -> Self {
        self.linked = true;
        self
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> Deployment {
        let folder = tempfile::Builder::new().prefix("orgplane-test-").tempdir().expect("a temporary folder");
        let mut database = match (self.database, self.server) {
            (Databases::Sqlite, _) => Database::sqlite(folder.path()),
            (Databases::Postgres, None) => Database::postgres().await,
            (Databases::Postgres, Some(server)) => Database::postgres_of(server).await,
        };
        let link = if self.linked { Some(database.link().await) } else { None };
        let Self { flags, environment, records, .. } = self;
        let mut command = server_command(&database, folder.path(), "127.0.0.1:0", &flags);
        command.envs(environment.iter().cloned());
        let mut process = Process::start("server", &mut command);
        let url = ready(&mut process).await;
        let apart = std::env::var_os("ORGPLANE_TEST_GATEWAY").is_some() && url.starts_with("http://");
        let gateway = if apart { Some(Gateway::start(&url, &[]).await) } else { None };
        Deployment { gateway, process, link, database, folder, url, flags, environment, records }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Deployment {
    // In the order in which they have to end.
    /// Through which REST goes when `ORGPLANE_TEST_GATEWAY` is set.
    gateway: Option<Gateway>,
    process: Process,
    link: Option<Proxy>,
    database: Database,
    folder: TempDir,
    url: String,
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    records: bool,
}

impl Deployment {
    /// On SQLite, with intervals that fit tests.
    pub async fn start() -> Self {
        Self::on(Databases::Sqlite).start().await
    }

    /// The same to be adjusted.
    #[must_use]
    pub fn on(database: Databases) -> Builder {
        let builder = Builder {
            database,
            server: None,
            flags: Vec::new(),
            environment: Vec::new(),
            records: true,
            linked: false,
        };
        builder
            .flag("--provisioner-daemons", "0")
            .flag("--trusted-proxies", "127.0.0.1")
            .flag("--heartbeat-interval", "500ms")
            .flag("--contact-lost-after", "3s")
            .flag("--reap-interval", "200ms")
            .flag("--poll-interval", "500ms")
            // Tests poll, upload and sign in as fast as they can.
            .flag("--rate-limit-per-minute", "0")
            .flag("--login-rate-limit-per-minute", "0")
            .flag("--upload-rate-limit-per-minute", "0")
    }

    /// Where REST is: the server's one address, or a gateway's before it.
    #[must_use]
    pub fn rest_url(&self) -> &str {
        self.gateway.as_ref().map_or(&self.url, Gateway::url)
    }

    /// The one address of REST and gRPC.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its database.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The link to its database.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn link(&self) -> &Proxy {
        self.link.as_ref().expect("built with a link")
    }

    /// Its data directory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills it.
    ///
    /// # Panics
    /// When it doesn't die.
    pub async fn kill(&mut self) {
        self.process.signal(nix::sys::signal::Signal::SIGKILL);
        self.process.exit(crate::wait::SHORT).await;
    }

    /// Ends it as an operator would.
    pub async fn stop(&mut self) -> ExitStatus {
        self.process.stop().await
    }

    /// Starts it again on the same address, after [`Self::stop`] or [`Self::kill`].
    pub async fn start_again(&mut self) {
        let address = self.url.trim_start_matches("http://").to_owned();
        let mut command = server_command(&self.database, self.folder.path(), &address, &self.flags);
        command.envs(self.environment.iter().cloned());
        self.process = Process::start("server", &mut command);
        assert_eq!(ready(&mut self.process).await, self.url);
    }

    /// The command of another server on the same database, on a free port.
    #[must_use]
    pub fn second_server(&self) -> Command {
        server_command(&self.database, self.folder.path(), "127.0.0.1:0", &self.flags)
    }

    /// REST without credentials.
    #[must_use]
    pub fn rest(&self) -> Rest {
        let rest = Rest::new(self.rest_url());
        if self.records { rest.recorded() } else { rest }
    }

    /// What most stories begin with: the first user, an organization `data-platform`, and a key of its daemons.
    pub async fn furnished(&self) -> (Rest, String, String) {
        let owner = self.rest().first_user().await;
        let organization = owner.organization("data-platform").await;
        let key = owner.key(&organization, "key", serde_json::json!({})).await;
        (owner, organization, key)
    }

    /// gRPC with a token or key, or without one.
    pub async fn grpc(&self, token: Option<&str>) -> Api {
        Api::connect(&self.url, token).await
    }
}

fn server_command(database: &Database, folder: &Path, address: &str, flags: &[String]) -> Command {
    let mut command = command();
    command.args(["server", "--http-address", address, "--database-url", database.url(), "--data-dir"]).arg(folder);
    command.args(flags);
    command
}

async fn ready(process: &mut Process) -> String {
    process.line(LONG, |line| line.strip_prefix("Orgplane is ready at ").map(|url| url.trim().to_owned())).await
}
