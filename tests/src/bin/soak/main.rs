//! A fleet of daemons under random faults, for as long as one likes: afterwards every job, line and state is accounted for.
//!
//! `cargo run --release -p orgplane-tests --bin soak -- --minutes 10 --seed 1`

mod account;
mod faults;
mod load;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use orgplane_tests::{Databases, Deployment};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use faults::Fleet;
use load::Load;

const USAGE: &str = "usage: soak [--minutes N] [--seed S] [--daemons N] [--database sqlite|postgres]

  --minutes N    how long things break (10)
  --seed S       which faults, and when; the same seed gives the same schedule (1)
  --daemons N    how many there are (4)
  --database     sqlite, or postgres at ORGPLANE_TEST_POSTGRES_URL; see tests/with-postgres (sqlite)

Ends with 0 when nothing was lost, with 1 and a list when something was.";

struct Options {
    minutes: u64,
    seed: u64,
    daemons: usize,
    database: Databases,
}

fn options() -> anyhow::Result<Option<Options>> {
    let mut options = Options { minutes: 10, seed: 1, daemons: 4, database: Databases::Sqlite };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--help" || arg == "-h" {
            println!("{USAGE}");
            return Ok(None);
        }
        let value = args.next().with_context(|| format!("{arg} needs a value\n{USAGE}"))?;
        match (arg.as_str(), value.as_str()) {
            ("--minutes", _) => options.minutes = value.parse().context("--minutes")?,
            ("--seed", _) => options.seed = value.parse().context("--seed")?,
            ("--daemons", _) => options.daemons = value.parse().context("--daemons")?,
            ("--database", "sqlite") => options.database = Databases::Sqlite,
            ("--database", "postgres") => options.database = Databases::Postgres,
            _ => bail!("unknown argument {arg:?} {value:?}\n{USAGE}"),
        }
    }
    Ok(Some(options))
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let Some(options) = options()? else { return Ok(ExitCode::SUCCESS) };
    orgplane_tests::binary();
    let deployment = Deployment::on(options.database)
        .flag("--lease", "6s")
        .flag("--apply-lost-after", "20s")
        .flag("--heartbeat-interval", "1s")
        .unrecorded()
        .start()
        .await;
    let owner = deployment.rest().first_user().await;
    let organization = owner.organization("soak").await;
    let key = owner.key(&organization, "soak", serde_json::json!({})).await;
    let mut fleet = Fleet::start(deployment, &key, options.daemons)?;
    let load = Load::start(owner.clone(), organization.clone()).await;
    let mut dice = StdRng::seed_from_u64(options.seed);
    let (start, length) = (Instant::now(), Duration::from_secs(60 * options.minutes));
    let mut told = 0;
    while start.elapsed() < length {
        fleet.step(&mut dice).await;
        let minute = start.elapsed().as_secs() / 60;
        if minute > told {
            told = minute;
            eprintln!("{minute} min: {} jobs asked for, {}", load.asked(), fleet.summary());
        }
    }
    fleet.heal().await;
    let asked = load.stop().await?;
    let account = account::settle(&owner, &organization, &asked).await?;
    println!("seed {}: {} faults ({})", options.seed, fleet.count(), fleet.summary());
    println!("{}", account.summary());
    for fault in &account.faults {
        println!("LOST {fault}");
    }
    Ok(if account.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
