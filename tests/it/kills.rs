//! Nothing is lost: each process that a build needs is killed at each step of it, and the build ends once, as the table
//! says, with its lines and its state. One moment for each victim, and all of them with `ORGPLANE_TESTS_ALL`.

mod said;
mod story;

use orgplane_tests::{Databases, terraforms};

use self::story::Story;

on_each_database!(
    the_server_dies,
    the_daemon_dies,
    the_daemon_stays_away,
    terraform_dies,
    the_shim_dies,
    the_machine_starts_again,
    the_host_is_lost,
);

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    /// The server, which is started again.
    Server,
    /// PostgreSQL, without warning; it is started again.
    Postgres,
    /// The daemon, which is started again at once.
    Daemon,
    /// The same, when what it left running has ended.
    DaemonForLonger,
    /// The engine.
    Terraform,
    /// What stands between daemon and engine.
    Shim,
    /// Daemon, shim and engine; the daemon is started again.
    Machine,
    /// The same for good, with the daemon's disk; there is another daemon.
    Host,
}

/// How far the build is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// A daemon has it, and hasn't started an engine.
    Assigned,
    Init,
    Plan,
    /// The question for the permit is on its way.
    Asked,
    /// The permit is stored, and the daemon doesn't know.
    Granted,
    /// The permit has come, and Terraform is about to apply.
    Permitted,
    /// The first resource is made and in the stored state; the second is being made.
    Applying,
    /// Terraform has ended, and the server has neither the last lines nor the last state.
    Applied,
    /// The server has the result, and the daemon doesn't know.
    Stored,
}

const STEPS: [Step; 9] = {
    use Step::*;
    [Assigned, Init, Plan, Asked, Granted, Permitted, Applying, Applied, Stored]
};

/// How the build ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// At its first attempt.
    Succeeds,
    /// At its second attempt: the first changed nothing.
    Retried,
    /// With an error that has these parts.
    Fails(&'static [&'static str]),
}

const SECOND_MAY_EXIST: &str = "may exist without being in the state: terraform_data.second";

/// The table. `None`: at this step the victim doesn't run.
const fn expected(victim: Victim, step: Step) -> Option<Ends> {
    use Ends::*;
    use Step::*;
    use Victim::*;
    Some(match (victim, step) {
        // The engine goes on, and what was begun is gone on with.
        (Server | Postgres | Daemon, _) => Succeeds,
        (DaemonForLonger | Terraform | Shim | Machine, Assigned | Asked | Granted | Applied | Stored) => return None,
        (DaemonForLonger, _) => Succeeds,
        // A template that makes its engine die would do it again.
        (Terraform, Init) => Fails(&["Terraform init was killed by signal 9"]),
        (Terraform, Plan) => Fails(&["Terraform plan was killed by signal 9"]),
        (Terraform, Permitted) => Fails(&["Terraform apply was killed by signal 9"]),
        (Terraform, Applying) => Fails(&["Terraform apply was killed by signal 9", SECOND_MAY_EXIST]),
        (Shim, Init | Plan | Permitted) | (Machine, Permitted) => Fails(&["supervisor died"]),
        (Shim | Machine, Applying) => Fails(&["supervisor died", SECOND_MAY_EXIST]),
        // Nothing was permitted yet.
        (Machine, Init | Plan) | (Host, Assigned | Init | Plan | Asked) => Retried,
        // Nobody knows what it did.
        (Host, Granted | Permitted | Applying | Applied) => Fails(&["was lost while it was changing resources"]),
        (Host, Stored) => Succeeds,
    })
}

/// The step of a victim that is always tried.
const fn sample(victim: Victim) -> Step {
    match victim {
        Victim::Server => Step::Stored,
        Victim::Postgres | Victim::Daemon => Step::Applied,
        Victim::DaemonForLonger | Victim::Terraform | Victim::Shim | Victim::Machine | Victim::Host => Step::Applying,
    }
}

async fn row(database: Databases, victim: Victim) {
    if !terraforms().contains(&"terraform") {
        return;
    }
    let all = std::env::var_os("ORGPLANE_TESTS_ALL").is_some();
    let Some(mut story) = Story::start(database, victim).await else { return };
    for step in STEPS {
        if let Some(ends) = expected(victim, step)
            && (all || step == sample(victim))
        {
            story.cell(victim, step, ends).await;
        }
    }
}

async fn the_server_dies(database: Databases) {
    row(database, Victim::Server).await;
}

async fn the_daemon_dies(database: Databases) {
    row(database, Victim::Daemon).await;
}

async fn the_daemon_stays_away(database: Databases) {
    row(database, Victim::DaemonForLonger).await;
}

async fn terraform_dies(database: Databases) {
    row(database, Victim::Terraform).await;
}

async fn the_shim_dies(database: Databases) {
    row(database, Victim::Shim).await;
}

async fn the_machine_starts_again(database: Databases) {
    row(database, Victim::Machine).await;
}

async fn the_host_is_lost(database: Databases) {
    row(database, Victim::Host).await;
}

#[tokio::test]
async fn postgres_restarts() {
    row(Databases::Postgres, Victim::Postgres).await;
}
