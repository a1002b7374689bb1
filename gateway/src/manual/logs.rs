//! The logs of imports, dry runs and builds: as a JSON array, as text, or line by line over a socket as they come.

use axum::extract::State;
use axum::response::IntoResponse as _;
use http::{HeaderValue, header};
use orgplane_proto::json::JsonEnum as _;
use orgplane_proto::provisioner::v1::provisioner_job_service_client::ProvisionerJobServiceClient;
use orgplane_proto::provisioner::v1::{
    LogLevel, LogSource, ProvisionerJobLog, StreamJobLogsRequest, StreamJobLogsResponse,
};

use crate::call::Call;
use crate::error::{Answer, Error};
use crate::socket::{self, Speak, Upgrade};
use crate::stream::{self, Render};
use crate::upstream::MESSAGE_LIMIT;
use crate::{Gateway, json};

pub(crate) async fn of_template_version(State(gateway): State<Gateway>, call: Call, upgrade: Upgrade) -> Answer {
    let mut message = StreamJobLogsRequest::default();
    call.path("template_version", &mut message.template_version)?;
    logs(&gateway, &call, upgrade, message).await
}

pub(crate) async fn of_dry_run(State(gateway): State<Gateway>, call: Call, upgrade: Upgrade) -> Answer {
    let mut message = StreamJobLogsRequest::default();
    call.path("template_version", &mut message.template_version)?;
    call.path("job", &mut message.job)?;
    logs(&gateway, &call, upgrade, message).await
}

pub(crate) async fn of_workspace_build(State(gateway): State<Gateway>, call: Call, upgrade: Upgrade) -> Answer {
    let mut message = StreamJobLogsRequest::default();
    call.path("workspace_build", &mut message.workspace_build)?;
    logs(&gateway, &call, upgrade, message).await
}

/// The log of whatever the message names.
async fn logs(gateway: &Gateway, call: &Call, upgrade: Upgrade, mut message: StreamJobLogsRequest) -> Answer {
    let mut format = String::new();
    let mut query = call.query.reader();
    query.integer("after", &mut message.after);
    query.text("format", &mut format);
    if !matches!(format.as_str(), "" | "json" | "text") {
        query.fault("format", format!("{format:?} is not one of: json, text"));
    }
    // Whatever its value.
    message.follow = call.query.has("follow");
    if message.follow && format == "text" {
        query.fault("format", "text can't be followed");
    }
    query.finish()?;

    let mut client =
        ProvisionerJobServiceClient::new(gateway.upstream.clone()).max_decoding_message_size(MESSAGE_LIMIT);
    let follow = message.follow;
    let lines = client.stream_job_logs(call.open_request(message));
    if follow {
        return socket::answer(gateway, call, upgrade, lines, Lines).await;
    }
    let (kind, body) = if format == "text" {
        (HeaderValue::from_static("text/plain; charset=utf-8"), stream::body(call, lines, Text).await?)
    } else {
        (json::TYPE, stream::body(call, lines, Array { begun: false }).await?)
    };
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}

/// One array of all lines.
struct Array {
    begun: bool,
}

impl Render<StreamJobLogsResponse> for Array {
    fn message(&mut self, batch: StreamJobLogsResponse, into: &mut Vec<u8>) -> Result<(), Error> {
        for log in batch.logs {
            into.push(if self.begun { b',' } else { b'[' });
            self.begun = true;
            json::write(into, &log).map_err(Error::internal)?;
        }
        Ok(())
    }

    fn end(&mut self, into: &mut Vec<u8>) {
        into.extend_from_slice(if self.begun { b"]\n" } else { b"[]\n" });
    }
}

/// A message for each line.
struct Lines;

impl Speak<StreamJobLogsResponse> for Lines {
    fn message(&self, batch: StreamJobLogsResponse) -> serde_json::Result<Vec<Vec<u8>>> {
        let text = |log: &ProvisionerJobLog| {
            let mut text = Vec::new();
            json::write(&mut text, log).map(|()| text)
        };
        batch.logs.iter().map(text).collect()
    }
}

/// `2026-01-02T03:04:05Z [info] [provisioner|Planning] output`
struct Text;

impl Render<StreamJobLogsResponse> for Text {
    fn message(&mut self, batch: StreamJobLogsResponse, into: &mut Vec<u8>) -> Result<(), Error> {
        for ProvisionerJobLog { id: _, created_at, log_source, log_level, stage, output } in batch.logs {
            let time = created_at.unwrap_or_default();
            let (source, level) = (LogSource::text_of(log_source), LogLevel::text_of(log_level));
            into.extend_from_slice(format!("{time} [{level}] [{source}|{stage}] {output}\n").as_bytes());
        }
        Ok(())
    }

    fn end(&mut self, _: &mut Vec<u8>) {}
}
