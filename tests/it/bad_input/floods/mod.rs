//! Abuse of connections, below any request: the server stays, answers everybody else meanwhile, and doesn't grow by it.

mod endless;
mod frames;
mod many;
mod slow;
mod unread;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use orgplane_proto::organization::v1::GetOrganizationRequest;
use orgplane_tests::{Deployment, Rest, SHORT, eventually};
use prost::Message as _;
use tokio::task::JoinHandle;

use super::Watch;

const METHOD: &str = "/orgplane.organization.v1.OrganizationService/GetOrganization";
const WHO: &str = "/api/v2/users/me";
/// The longest that another client may wait for an answer, on a busy machine that is also the abuser's. Alone it is a
/// quarter of a second, with hundreds of logs at once one or two.
const ANSWERED: Duration = SHORT;

/// A client that does nothing wrong, all the while: by REST on a connection of its own for each call, and by gRPC on one
/// that stays.
struct Bystander {
    stop: Arc<AtomicBool>,
    task: JoinHandle<(usize, Duration)>,
}

impl Bystander {
    async fn begin(deployment: &Deployment, who: &Rest) -> Self {
        let api = deployment.grpc(Some(who.token())).await;
        let (who, url) = (who.clone(), deployment.url().to_owned());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let message = GetOrganizationRequest { organization: "default".to_owned() }.encode_to_vec();
        let task = tokio::spawn(async move {
            let (mut calls, mut worst) = (0, Duration::ZERO);
            while calls < 2 || !stopped.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let _ = Rest::new(&url).with(who.token()).get(WHO).await.expect(200);
                worst = worst.max(begun.elapsed());
                let begun = Instant::now();
                api.call(METHOD, vec![message.clone()]).await.expect("an answer");
                worst = worst.max(begun.elapsed());
                calls += 2;
            }
            (calls, worst)
        });
        Self { stop, task }
    }

    /// It was answered all the while.
    async fn end(self, what: &str) {
        self.stop.store(true, Ordering::Relaxed);
        let (calls, worst) = self.task.await.expect("it was answered");
        eprintln!("{what}: {calls} calls of others, the slowest took {worst:?}");
        assert!(worst < ANSWERED, "{what}: another client waited {worst:?}");
    }
}

/// A server, its owner, and what the server was like.
struct Stage {
    deployment: Deployment,
    owner: Rest,
    watch: Watch,
    memory: u64,
}

impl Stage {
    async fn set(mut deployment: Deployment) -> Self {
        let owner = deployment.rest().first_user().await;
        // What the first calls fill for good isn't the abuser's.
        Bystander::begin(&deployment, &owner).await.end("nobody else").await;
        let watch = Watch::begin(&mut deployment).await;
        let memory = deployment.process().memory();
        Self { deployment, owner, watch, memory }
    }

    fn url(&self) -> String {
        self.deployment.url().to_owned()
    }

    async fn bystander(&self) -> Bystander {
        Bystander::begin(&self.deployment, &self.owner).await
    }

    /// Bytes by which the server has grown so far.
    fn grown(&mut self, what: &str) -> u64 {
        let grown = self.deployment.process().memory().saturating_sub(self.memory);
        eprintln!("{what}: the server has {} KiB more", grown / 1024);
        grown
    }

    /// It lives, and failed at nothing.
    fn no_fault(&mut self) {
        let process = self.deployment.process();
        assert!(process.is_running(), "it ended\n{}", process.output());
        super::no_fault(&process.stderr());
    }

    /// Fresh connections are served, and all is as it was.
    async fn end(mut self, what: &str) {
        let fresh = Rest::new(self.deployment.url());
        eventually("an answer", ANSWERED, async || (fresh.get("/readyz").await.status == 200).then_some(())).await;
        self.grown(what);
        self.watch.end(&mut self.deployment).await;
    }
}
