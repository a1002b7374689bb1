//! gRPC clients of every service, with a token.

use bytes::{Buf as _, BufMut as _};
use orgplane_proto::identity::v1::session_service_client::SessionServiceClient;
use orgplane_proto::identity::v1::user_service_client::UserServiceClient;
use orgplane_proto::organization::v1::organization_service_client::OrganizationServiceClient;
use orgplane_proto::provisioner::v1::provisioner_daemon_service_client::ProvisionerDaemonServiceClient;
use orgplane_proto::provisioner::v1::provisioner_key_service_client::ProvisionerKeyServiceClient;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// Adds `authorization: Bearer …`.
#[derive(Debug, Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// The transport of generated clients.
pub type Transport = InterceptedService<Channel, Bearer>;

/// A connection to a server.
#[derive(Debug, Clone)]
pub struct Api(Transport);

impl Api {
    /// Connects with a session token or a provisioner key, or without one.
    ///
    /// # Panics
    /// When the server can't be reached.
    pub async fn connect(url: &str, token: Option<&str>) -> Self {
        let endpoint = Endpoint::from_shared(url.to_owned()).expect("a URL");
        let channel = endpoint.connect().await.expect("the server listens");
        let value = token.map(|token| format!("Bearer {token}").parse().expect("an ASCII token"));
        Self(InterceptedService::new(channel, Bearer(value)))
    }

    /// For clients that aren't here.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.0.clone()
    }

    /// Organizations.
    #[must_use]
    pub fn organizations(&self) -> OrganizationServiceClient<Transport> {
        OrganizationServiceClient::new(self.transport())
    }

    /// Users.
    #[must_use]
    pub fn users(&self) -> UserServiceClient<Transport> {
        UserServiceClient::new(self.transport())
    }

    /// Sessions.
    #[must_use]
    pub fn sessions(&self) -> SessionServiceClient<Transport> {
        SessionServiceClient::new(self.transport())
    }

    /// Provisioner keys.
    #[must_use]
    pub fn keys(&self) -> ProvisionerKeyServiceClient<Transport> {
        ProvisionerKeyServiceClient::new(self.transport())
    }

    /// Provisioner daemons, and their streams.
    #[must_use]
    pub fn daemons(&self) -> ProvisionerDaemonServiceClient<Transport> {
        ProvisionerDaemonServiceClient::new(self.transport())
    }
}

/// Messages as the bytes that they are, so that one call serves every method.
#[derive(Debug, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}

impl Api {
    /// Calls any method, streaming or not, with encoded messages. Ends with the first reply or the call's error.
    ///
    /// # Errors
    /// What the call fails with.
    ///
    /// # Panics
    /// When the path isn't one.
    pub async fn call(&self, path: &str, messages: Vec<Vec<u8>>) -> Result<Option<Vec<u8>>, Status> {
        let mut client = tonic::client::Grpc::new(self.transport());
        client.ready().await.expect("the server listens");
        let path = path.parse().expect("a path");
        let reply = client.streaming(Request::new(tokio_stream::iter(messages)), path, Raw).await?;
        reply.into_inner().message().await
    }
}
