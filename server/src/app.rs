//! The composition root: the only place that builds the parts and wires them together.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::dispatch::Dispatcher;
use crate::grpc;
use crate::options::Options;
use crate::service::Service;
use crate::store::Store;
use crate::store::error::Open;
use crate::store::sealed::Sealer;

/// A running control plane, without a listener: whoever starts it serves [`Server::router`].
#[derive(Debug)]
pub struct Server {
    service: Arc<Service>,
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
        let dispatcher = Arc::new(Dispatcher::default());
        let service = Arc::new(Service::new(store, dispatcher, options.provisioners.clone()));
        service.default_organization_ensure().await.map_err(Open::Store)?;
        Ok(Self { service, stop: CancellationToken::new() })
    }

    /// The gRPC services behind their layers: to be served on a listener, and to be called in process by the gateway.
    pub fn router(&self) -> axum::Router {
        grpc::router(self.service.clone())
    }

    /// Whether requests can be served.
    ///
    /// # Errors
    /// When the database doesn't answer.
    pub async fn ready(&self) -> crate::domain::Result<()> {
        self.service.ready().await
    }

    /// Tells daemons to go elsewhere and ends the background work.
    pub async fn stop(&self) {
        self.stop.cancel();
    }
}
