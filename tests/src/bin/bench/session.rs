//! A scripted daemon on a real session.

use anyhow::{Context as _, bail};
use orgplane_proto::PROTOCOL_VERSION;
use orgplane_proto::provisioner::v1::provisioner_daemon_service_client::ProvisionerDaemonServiceClient;
use orgplane_proto::provisioner::v1::{
    DaemonMessage, Engine, Heartbeat, Register, ServerMessage, daemon_message, server_message,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming};

use super::target::Target;

/// A daemon's open session.
pub(crate) struct Session {
    send: mpsc::Sender<DaemonMessage>,
    receive: Streaming<ServerMessage>,
}

impl Session {
    /// Connects over a connection of its own, as a daemon does, and registers.
    pub(crate) async fn open(target: &Target, name: &str, capacity: u32) -> anyhow::Result<Self> {
        let (send, outgoing) = mpsc::channel(64);
        let register = Register {
            instance_id: uuid::Uuid::new_v4().to_string(),
            name: name.to_owned(),
            version: "bench".to_owned(),
            protocol_version: PROTOCOL_VERSION.to_owned(),
            engines: vec![Engine { name: "echo".to_owned(), version: "1".to_owned() }],
            capacity,
            held: Vec::new(),
            organization: String::new(),
        };
        send.send(DaemonMessage { message: Some(daemon_message::Message::Register(register)) }).await?;
        let mut request = Request::new(ReceiverStream::new(outgoing));
        request.metadata_mut().insert("authorization", format!("Bearer {}", target.key()).parse()?);
        let mut client = ProvisionerDaemonServiceClient::new(target.connect().await?);
        let receive = client.connect(request).await?.into_inner();
        let mut session = Self { send, receive };
        match session.next().await? {
            server_message::Message::Registered(_) => {}
            other => bail!("expected Registered, got {other:?}"),
        }
        let free = Heartbeat { free_slots: capacity, load: 0.0, engines_healthy: true, disk_free: 1 << 30 };
        session.send(daemon_message::Message::Heartbeat(free)).await?;
        Ok(session)
    }

    pub(crate) async fn send(&self, message: daemon_message::Message) -> anyhow::Result<()> {
        self.send.send(DaemonMessage { message: Some(message) }).await.context("the session has ended")
    }

    pub(crate) async fn next(&mut self) -> anyhow::Result<server_message::Message> {
        let message = self.receive.message().await?.context("the server ended the session")?;
        message.message.context("a message without content")
    }
}
