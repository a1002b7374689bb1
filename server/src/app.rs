//! The composition root: the only place that builds the parts and wires them together.

use std::sync::Arc;

use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::background::{audit_retention, dormancy, heartbeat, key_watch, lease_reaper, news, notifications};
use crate::dispatch::Dispatcher;
use crate::dispatch::news::News;
use crate::dispatch::sql::SqlQueue;
use crate::fleet::Fleet;
use crate::grpc;
use crate::options::Options;
use crate::service::Service;
use crate::service::assignment::Assembler;
use crate::store::dialect::Dialect;
use crate::store::error::Open;
use crate::store::sealed::Sealer;
use crate::store::{Access as _, Store};

/// A running control plane, without a listener: whoever starts it serves [`Server::router`].
#[derive(Debug)]
pub struct Server {
    service: Arc<Service>,
    fleet: Fleet,
    stop: CancellationToken,
}

impl Server {
    /// Opens the store, brings its schema up to date, and starts the dispatcher and the background work.
    ///
    /// # Errors
    /// When the store can't be opened.
    pub async fn start(options: &Options) -> Result<Self, Open> {
        let key_file = options.sealing_key_file.clone().unwrap_or_else(|| options.data_dir.join("sealing.key"));
        let sealer = Sealer::from_file(&key_file)?;
        let store = Store::open(&options.database_url.0, sealer).await?;
        let news = Arc::new(News::default());
        let queue = Arc::new(SqlQueue::new(store.clone(), (&options.provisioners).into(), news.clone()));
        let dispatcher = Arc::new(Dispatcher::new(queue, &options.provisioners));
        let service = Service::new(store, dispatcher, news, options.provisioners.clone());
        let service = Arc::new(service.under(options.policy.clone()));
        service.default_organization_ensure().await.map_err(Open::Store)?;
        let stop = CancellationToken::new();
        start_work(&service, &stop);
        if let Some(threshold) = options.dormancy_threshold {
            tokio::spawn(dormancy::run(service.clone(), threshold, stop.clone()));
        }
        if service.store.dialect() == Dialect::Postgres {
            let url = options.database_listen_url.clone().unwrap_or_else(|| options.database_url.clone());
            let (store, dispatcher) = (service.store.clone(), service.dispatcher.clone());
            tokio::spawn(notifications::run(store, dispatcher, url, stop.clone()));
        }
        Ok(Self { fleet: Fleet::new(service.clone()), service, stop })
    }

    /// The gRPC services behind their layers: to be served on a listener, and to be called in process by the gateway.
    pub fn router(&self) -> axum::Router {
        grpc::router(self.service.clone())
    }

    /// What daemons call: for those that run beside this server.
    pub fn daemon_router(&self) -> axum::Router {
        grpc::daemon_router(self.service.clone())
    }

    /// Everything that it does, for whoever runs the server itself.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Adds what the server counts to what is shown; [`Server::count`] has to come before each time.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.service.store.metrics().register(registry);
        registry.register_collector(Box::new(self.fleet.clone()));
    }

    /// Counts jobs and daemons in the database, in one statement and at most every few seconds.
    pub async fn count(&self) {
        self.fleet.refresh().await;
    }

    /// Whether requests can be served.
    ///
    /// # Errors
    /// When the database doesn't answer.
    pub async fn ready(&self) -> crate::domain::Result<()> {
        self.service.ready().await
    }

    /// Tells daemons to go elsewhere, ends the streams of followers and the background work.
    pub async fn stop(&self) {
        self.service.dispatcher.drain();
        self.service.news.stop.cancel();
        self.stop.cancel();
    }

    /// Lets go of the database; the last thing to do, for nothing works after it.
    pub async fn close(&self) {
        self.service.store.close().await;
    }
}

/// Everything that runs without being called.
pub(crate) fn start_work(service: &Service, stop: &CancellationToken) {
    let (store, dispatcher, options) = (&service.store, &service.dispatcher, &service.provisioners);
    let assembler = Assembler::new(store.clone(), options.job_time_limit, options.server_url.clone());
    let handing_out = (dispatcher.clone(), stop.clone());
    tokio::spawn(async move { handing_out.0.run(&assembler, handing_out.1).await });
    tokio::spawn(heartbeat::run(store.clone(), dispatcher.clone(), options.heartbeat, stop.clone()));
    tokio::spawn(news::of_logs(store.clone(), service.news.clone(), stop.clone()));
    tokio::spawn(news::of_workspaces(store.clone(), service.news.clone(), stop.clone()));
    tokio::spawn(key_watch::run(store.clone(), dispatcher.clone(), stop.clone()));
    if let Some(retention) = service.policy.audit_retention {
        tokio::spawn(audit_retention::run(store.clone(), retention, stop.clone()));
    }
    tokio::spawn(lease_reaper::run(store.clone(), dispatcher.clone(), options.clone(), stop.clone()));
}
