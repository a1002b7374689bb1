//! The connection to the server, and what its refusals mean.

use std::time::Duration;

use orgplane_client::{Remote, Transport, causes};
use orgplane_proto::ERROR_DOMAIN;
use orgplane_proto::provisioner::v1::provisioner_daemon_service_client::ProvisionerDaemonServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::config::{Secret, USER_AGENT};
use crate::{Config, Error};

/// Nothing over 1 MiB goes on the stream; chunks of bytes are smaller still.
const MAX_MESSAGE: usize = 1024 * 1024;
/// For the socket and what comes before the first call on it.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// Calls with the key.
pub(crate) type Client = ProvisionerDaemonServiceClient<InterceptedService<Transport, Bearer>>;

/// Adds the key to each call.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer([redacted])")
    }
}

impl Bearer {
    fn new(key: &Secret) -> Result<Self, Error> {
        let mut value: MetadataValue<Ascii> = format!("Bearer {}", key.expose())
            .parse()
            .map_err(|_| Error::Config { field: "key", rule: "has characters that no key has".to_owned() })?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// Where and how to connect.
#[derive(Debug)]
pub(crate) struct Connector {
    remote: Remote,
    bearer: Bearer,
}

impl Connector {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let remote = Remote::new(&config.server, USER_AGENT, |endpoint| {
            endpoint
                .http2_keep_alive_interval(Duration::from_secs(5))
                .keep_alive_timeout(Duration::from_secs(10))
                .keep_alive_while_idle(true)
                .http2_adaptive_window(true)
        })?;
        Ok(Self { remote, bearer: Bearer::new(&config.key)? })
    }

    /// A client on a fresh connection.
    pub(crate) async fn connect(&self) -> Result<Client, String> {
        let connecting = tokio::time::timeout(CONNECT_LIMIT, self.remote.connect());
        let transport = connecting.await.map_err(|_| "no answer".to_owned())?.map_err(|e| e.to_string())?;
        let client = ProvisionerDaemonServiceClient::with_interceptor(transport, self.bearer.clone());
        Ok(client.max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE))
    }
}

/// Whether the server said it; what stands in front of it, and other programs, don't put our name to it.
pub(super) fn is_ours(status: &Status) -> bool {
    status.get_details_error_info().is_some_and(|info| info.domain == ERROR_DOMAIN)
}

/// What a status means that ended, or prevented, a stream: `Ok` is a cause that may pass. Only the server itself can end
/// a daemon, and with it the jobs that it runs.
pub(crate) fn judge(status: &Status, registered: bool, config: &Config) -> Result<String, Error> {
    let said = if status.message().is_empty() { status.code().description() } else { status.message() };
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied | Code::NotFound if !is_ours(status) => {
            Ok(format!("what stands in front of the server refuses the call: {said}"))
        }
        Code::FailedPrecondition | Code::InvalidArgument if !is_ours(status) => Ok(said.to_owned()),
        Code::Unauthenticated => Err(Error::KeyRejected(said.to_owned())),
        Code::PermissionDenied | Code::NotFound | Code::FailedPrecondition if !registered => {
            Err(match &config.organization {
                Some(expected) => Error::Organization { expected: expected.clone(), detail: said.to_owned() },
                None => Error::Refused(said.to_owned()),
            })
        }
        Code::InvalidArgument if !registered => Err(Error::Refused(said.to_owned())),
        _ => Ok(match std::error::Error::source(status) {
            Some(source) => causes(source),
            None => said.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn only_the_server_itself_can_reject_the_key() {
        let config = Config::new("http://127.0.0.1:1", Secret::new("k")).unwrap();
        let by = |domain: &str, code: Code, text: &str| {
            let details = ErrorDetails::with_error_info("REASON", domain, HashMap::new());
            Status::with_error_details(code, text, details)
        };
        let error = judge(&by(ERROR_DOMAIN, Code::Unauthenticated, "the key was deleted"), true, &config).unwrap_err();
        assert!(matches!(&error, Error::KeyRejected(why) if why == "the key was deleted"), "{error}");
        assert!(judge(&Status::unavailable("later"), false, &config).is_ok());
        let codes = [
            Code::Unauthenticated,
            Code::PermissionDenied,
            Code::NotFound,
            Code::FailedPrecondition,
            Code::InvalidArgument,
        ];
        for code in codes {
            assert!(judge(&by(ERROR_DOMAIN, code, "no"), false, &config).is_err(), "{code:?}");
            for stranger in [Status::new(code, "no"), by("envoy", code, "no")] {
                assert!(judge(&stranger, false, &config).unwrap().contains("no"), "{code:?}");
            }
        }
    }

    #[test]
    fn both_schemes_have_a_connector() {
        for url in ["http://127.0.0.1:3000/", "https://orgplane.example.com"] {
            Connector::new(&Config::new(url, Secret::new("k")).unwrap()).unwrap();
        }
    }

    #[test]
    fn the_key_is_not_shown() {
        let bearer = Bearer::new(&Secret::new("orgp_secret")).unwrap();
        assert!(!format!("{bearer:?} {:?}", bearer.0).contains("orgp_secret"));
    }
}
