//! The way to a server: one channel, the session's token on every call, timeouts.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use orgplane_proto::identity::v1::session_service_client::SessionServiceClient;
use orgplane_proto::identity::v1::user_service_client::UserServiceClient;
use orgplane_proto::organization::v1::organization_service_client::OrganizationServiceClient;
use orgplane_proto::organization::v1::{GetOrganizationRequest, ListUserOrganizationsRequest, Organization};
use orgplane_proto::provisioner::v1::provisioner_daemon_service_client::ProvisionerDaemonServiceClient;
use orgplane_proto::provisioner::v1::provisioner_job_service_client::ProvisionerJobServiceClient;
use orgplane_proto::provisioner::v1::provisioner_key_service_client::ProvisionerKeyServiceClient;
use orgplane_proto::template::v1::dry_run_service_client::DryRunServiceClient;
use orgplane_proto::template::v1::file_service_client::FileServiceClient;
use orgplane_proto::template::v1::template_service_client::TemplateServiceClient;
use orgplane_proto::template::v1::template_version_service_client::TemplateVersionServiceClient;
use orgplane_proto::workspace::v1::workspace_build_service_client::WorkspaceBuildServiceClient;
use orgplane_proto::workspace::v1::workspace_service_client::WorkspaceServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use crate::args::{self, Connection};
use crate::error::{Usage, not_found};
use crate::{address, environment, session};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

type Transport = InterceptedService<Channel, Bearer>;

/// Puts the token into each call.
#[derive(Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// A server and on whose behalf it is called.
#[derive(Clone)]
pub(crate) struct Client {
    url: String,
    channel: Channel,
    bearer: Bearer,
}

macro_rules! services {
    ($($(#[$doc:meta])* $name:ident: $client:ident;)*) => {
        impl Client {
            $($(#[$doc])* pub(crate) fn $name(&self) -> $client<Transport> {
                $client::with_interceptor(self.channel.clone(), self.bearer.clone())
            })*
        }
    };
}

services! {
    sessions: SessionServiceClient;
    users: UserServiceClient;
    organizations: OrganizationServiceClient;
    provisioner_keys: ProvisionerKeyServiceClient;
    provisioner_daemons: ProvisionerDaemonServiceClient;
    provisioner_jobs: ProvisionerJobServiceClient;
    dry_runs: DryRunServiceClient;
    files: FileServiceClient;
    template_versions: TemplateVersionServiceClient;
    templates: TemplateServiceClient;
    workspaces: WorkspaceServiceClient;
    workspace_builds: WorkspaceBuildServiceClient;
}

impl Client {
    /// Connects as the signed-in user: flags win over the environment, that over what `orgplane login` remembers.
    pub(crate) async fn signed_in(connection: &Connection) -> Result<Self> {
        let stored = session::load()?;
        let url = connection.server().or_else(|| stored.as_ref().map(|stored| stored.url.clone()));
        let url = url.ok_or_else(|| {
            Usage::new("sign in with `orgplane login <url>`, or name the server with --url or ORGPLANE_URL")
        })?;
        let given = session::given(connection)?.or_else(|| environment::first(environment::SESSION_TOKEN));
        // A remembered token goes to the server that gave it and to no other.
        let remembered = || stored.filter(|stored| same_server(&stored.url, &url)).map(|stored| stored.token);
        let token = given.or_else(remembered).ok_or_else(|| {
            anyhow!("sign in with `orgplane login {url}`, or give a token with --token-file or ORGPLANE_SESSION_TOKEN")
        })?;
        Self::connect(&url, connection.insecure_plaintext, Some(&token)).await
    }

    /// Connects to a server, with a token or as nobody.
    pub(crate) async fn connect(url: &str, insecure_plaintext: bool, token: Option<&str>) -> Result<Self> {
        let uri = address::parse("--url", url)?;
        address::check_plaintext(&uri, insecure_plaintext)?;
        let https = uri.scheme_str() == Some("https");
        let mut endpoint = Endpoint::from(uri)
            .user_agent(concat!("orgplane/", env!("CARGO_PKG_VERSION")))?
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .tcp_nodelay(true);
        if https {
            endpoint = endpoint.tls_config(ClientTlsConfig::new().with_webpki_roots())?;
        }
        let channel = endpoint.connect().await.map_err(|error| {
            anyhow!("check --url and that the server runs: {url} can't be reached ({})", innermost(&error))
        })?;
        Ok(Self { url: url.to_owned(), channel, bearer: bearer(token)? })
    }

    /// The server's URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The same server on somebody else's behalf.
    pub(crate) fn with_token(&self, token: &str) -> Result<Self> {
        Ok(Self { url: self.url.clone(), channel: self.channel.clone(), bearer: bearer(Some(token))? })
    }

    /// The organization that a command is about: the named one, else the only one that the user is a member of.
    pub(crate) async fn organization(&self, organization: &args::Organization) -> Result<Organization> {
        if let Some(named) = organization.named() {
            return self.organization_named(&named).await;
        }
        let mut mine = self.own_organizations().await?;
        match (mine.pop(), mine.as_slice()) {
            (Some(only), []) => Ok(only),
            (None, _) => Err(Usage::new("choose an organization with --org: you are a member of none").into()),
            (Some(last), others) => {
                let names = others.iter().chain([&last]).map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ");
                Err(Usage::new(format!("choose an organization with --org: you are a member of {names}")).into())
            }
        }
    }

    /// An organization by its name or id.
    pub(crate) async fn organization_named(&self, named: &str) -> Result<Organization> {
        let request = GetOrganizationRequest { organization: named.to_owned() };
        let found = self.organizations().get_organization(request).await;
        let sentence = || {
            format!(
                "check the name: there is no organization {named:?} that you may see; `orgplane organizations list` \
                 shows them"
            )
        };
        Ok(found.map_err(|status| not_found(status, sentence))?.into_inner())
    }

    /// Those that the user is a member of.
    pub(crate) async fn own_organizations(&self) -> Result<Vec<Organization>> {
        let request = ListUserOrganizationsRequest { user: "me".to_owned() };
        let mine = self.organizations().list_user_organizations(request).await;
        Ok(mine.context("can't list your organizations")?.into_inner().organizations)
    }
}

fn bearer(token: Option<&str>) -> Result<Bearer> {
    let value = token.map(|token| {
        let value = MetadataValue::try_from(format!("Bearer {}", token.trim()));
        value.map_err(|_| Usage::new("the session token has characters that no token has; is it complete?"))
    });
    let mut value = value.transpose()?;
    if let Some(value) = &mut value {
        value.set_sensitive(true);
    }
    Ok(Bearer(value))
}

fn same_server(one: &str, other: &str) -> bool {
    one.trim_end_matches('/').eq_ignore_ascii_case(other.trim_end_matches('/'))
}

/// What it all came from; tonic's outer errors only say "transport error".
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unreachable_server_is_named_with_its_cause() {
        // Held without listening, so that nobody else can.
        let held = tokio::net::TcpSocket::new_v4().unwrap();
        held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = held.local_addr().unwrap();
        let error = Client::connect(&format!("http://{address}"), false, None).await.err().unwrap().to_string();
        assert!(error.contains(&address.to_string()) && error.contains("refused"), "{error}");
    }

    #[test]
    fn tokens_stay_with_their_server() {
        assert!(same_server("http://127.0.0.1:3000", "http://127.0.0.1:3000/"));
        assert!(!same_server("http://127.0.0.1:3000", "http://127.0.0.1:3001"));
        assert!(bearer(Some("a\nb")).is_err());
    }
}
