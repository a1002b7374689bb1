//! Benchmarks of the control plane, each beside a floor measured in the same run: what the same machine does at that
//! moment with the bare parts. Ratios can be compared between machines and days; the figures alone can't.
//!
//! `cargo run --release -p orgplane-tests --bin bench -- dispatch stream idle users [--json]`

mod dispatch;
mod floor;
mod idle;
mod report;
mod session;
mod stream;
mod target;
mod users;

use anyhow::{Context as _, bail};

use report::Report;
use target::Database;

const USAGE: &str = "usage: bench [dispatch] [stream] [idle] [users] [--json] [--database sqlite|postgres]

  dispatch   R2: from asking for a job to its arrival in a daemon, 50 a second
  stream     R3: messages a second on a daemon's session, against a bare gRPC stream
  idle       R6: server memory for each idle daemon, against a bare gRPC stream
  users      P13: lists of 100,000 users in 200 organizations, against a statement that reads nothing

Without names all four run; without --database each runs on SQLite and on PostgreSQL, the latter where
ORGPLANE_TEST_POSTGRES_URL names a server or PostgreSQL's programs are installed.";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut names = Vec::new();
    let mut json = false;
    let mut database = None;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--json" => json = true,
            "--help" | "-h" => {
                println!("{USAGE}");
                return Ok(());
            }
            "--database" => database = Some(args.next().context("--database needs sqlite or postgres")?),
            // The floor of `idle` is a process of its own, so that its memory can be read.
            floor::CHILD => return floor::serve().await,
            "dispatch" | "stream" | "idle" | "users" => names.push(arg),
            other => bail!("unknown argument {other:?}\n{USAGE}"),
        }
    }
    if names.is_empty() {
        names = ["dispatch", "stream", "idle", "users"].map(str::to_owned).to_vec();
    }
    let databases = Database::pick(database.as_deref())?;
    // Built before the first case, so that none waits for it.
    orgplane_tests::binary();
    let mut report = Report::start();
    for database in &databases {
        for name in &names {
            eprintln!("{name} on {database} …");
            let rows = match name.as_str() {
                "dispatch" => dispatch::run(database).await,
                "stream" => stream::run(database).await,
                "users" => users::run(database).await,
                _ => idle::run(database).await,
            };
            report.add(rows.with_context(|| format!("{name} on {database}"))?);
        }
    }
    report.print(json);
    Ok(())
}
