//! The way to a server: one channel, the session's token on every call, timeouts.

use std::pin::Pin;
use std::task::{Context as Polled, Poll};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use orgplane_client::{Proxies, Remote, Transport as Way, address};
use orgplane_proto::audit::v1::audit_service_client::AuditServiceClient;
use orgplane_proto::deployment::v1::deployment_service_client::DeploymentServiceClient;
use orgplane_proto::identity::v1::key_service_client::KeyServiceClient;
use orgplane_proto::identity::v1::session_service_client::SessionServiceClient;
use orgplane_proto::identity::v1::user_service_client::UserServiceClient;
use orgplane_proto::organization::v1::member_service_client::MemberServiceClient;
use orgplane_proto::organization::v1::organization_service_client::OrganizationServiceClient;
use orgplane_proto::organization::v1::role_service_client::RoleServiceClient;
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
use tokio::time::timeout;
use tonic::body::Body;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Status};
use tower::Service;

use crate::args::{self, Connection, Route};
use crate::error::{Usage, not_found};
use crate::{environment, session};

const USER_AGENT: &str = concat!("orgplane/", env!("CARGO_PKG_VERSION"));
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of the largest answer of a server.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;
/// Entries of a long list that are asked for at once.
pub(crate) const PAGE: i32 = 100;

type Transport = InterceptedService<Timed, Bearer>;

/// Calls whose answer must begin in time.
#[derive(Clone)]
pub(crate) struct Timed {
    way: Way,
    limit: Duration,
}

impl Service<http::Request<Body>> for Timed {
    type Response = http::Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Status>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Polled<'_>) -> Poll<Result<(), Status>> {
        self.way.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = timeout(self.limit, self.way.call(request));
        Box::pin(async { answer.await.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer"))) })
    }
}

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
    channel: Timed,
    bearer: Bearer,
}

macro_rules! services {
    ($($(#[$doc:meta])* $name:ident: $client:ident;)*) => {
        impl Client {
            $($(#[$doc])* pub(crate) fn $name(&self) -> $client<Transport> {
                let client = $client::with_interceptor(self.channel.clone(), self.bearer.clone());
                client.max_decoding_message_size(LARGEST_ANSWER)
            })*
        }
    };
}

services! {
    deployment: DeploymentServiceClient;
    sessions: SessionServiceClient;
    users: UserServiceClient;
    keys: KeyServiceClient;
    audit: AuditServiceClient;
    organizations: OrganizationServiceClient;
    members: MemberServiceClient;
    roles: RoleServiceClient;
    provisioner_keys: ProvisionerKeyServiceClient;
    provisioner_daemons: ProvisionerDaemonServiceClient;
    provisioner_jobs: ProvisionerJobServiceClient;
    dry_runs: DryRunServiceClient;
    template_versions: TemplateVersionServiceClient;
    templates: TemplateServiceClient;
    workspaces: WorkspaceServiceClient;
    workspace_builds: WorkspaceBuildServiceClient;
}

/// A server with a token for it.
pub(crate) struct Credentials {
    url: String,
    token: String,
    /// The token is the one that `orgplane login` remembers.
    pub(crate) remembered: bool,
}

impl Credentials {
    /// Flags win over the environment, that over what `orgplane login` remembers.
    pub(crate) fn find(connection: &Connection) -> Result<Self> {
        let stored = session::load()?;
        let url = connection.server().or_else(|| stored.as_ref().map(|stored| stored.url.clone()));
        let url = url.ok_or_else(|| {
            Usage::new("sign in with `orgplane login <url>`, or name the server with --url or ORGPLANE_URL")
        })?;
        let given = session::given(connection)?.or_else(|| environment::first(environment::SESSION_TOKEN));
        // A remembered token goes to the server that gave it and to no other.
        let stored = stored.filter(|stored| same_server(&stored.url, &url)).map(|stored| stored.token);
        let token = given.or_else(|| stored.clone()).ok_or_else(|| {
            anyhow!("sign in with `orgplane login {url}`, or give a token with --token-file or ORGPLANE_SESSION_TOKEN")
        })?;
        Ok(Self { remembered: stored.is_some_and(|stored| stored == token), url, token })
    }
}

impl Client {
    /// Connects as the signed-in user.
    pub(crate) async fn signed_in(connection: &Connection) -> Result<Self> {
        Self::with(&Credentials::find(connection)?, connection).await
    }

    /// Connects with these credentials.
    pub(crate) async fn with(credentials: &Credentials, connection: &Connection) -> Result<Self> {
        Self::connect(&credentials.url, connection, Some(&credentials.token)).await
    }

    /// Connects to a server, with a token or as nobody.
    pub(crate) async fn connect(url: &str, connection: &Connection, token: Option<&str>) -> Result<Self> {
        let options = options(url, connection.insecure_plaintext, &connection.route)?;
        let remote = Remote::new(&options, USER_AGENT, |endpoint| endpoint)?;
        let way = remote
            .connect()
            .await
            .map_err(|error| anyhow!("check --url and that the server runs: {url} can't be reached ({error})"))?;
        let channel = Timed { way, limit: CALL_TIMEOUT };
        Ok(Self { url: url.to_owned(), channel, bearer: bearer(token)? })
    }

    /// Uploads take as long as they take: whoever makes one sees whether it gets on.
    pub(crate) fn uploads(&self) -> FileServiceClient<InterceptedService<Way, Bearer>> {
        FileServiceClient::with_interceptor(self.channel.way.clone(), self.bearer.clone())
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

/// There is none before this machine, so what the environment says of them doesn't matter then.
fn proxies(url: &str) -> Result<Proxies> {
    let server = address::parse("--url", url).ok();
    let here = server.is_some_and(|uri| uri.host().is_some_and(address::is_loopback));
    if here { Ok(Proxies::default()) } else { Ok(Proxies::from_env()?) }
}

/// The way to a server as flags and environment describe it.
pub(crate) fn options(url: &str, insecure_plaintext: bool, route: &Route) -> Result<orgplane_client::Options> {
    let headers = route.headers.iter().filter(|header| !header.trim().is_empty()).map(|header| header.parse());
    let headers: Result<_, String> = headers.collect();
    Ok(orgplane_client::Options {
        url: url.to_owned(),
        insecure_plaintext,
        tls: orgplane_client::Tls {
            ca_file: route.tls_ca_file.clone(),
            client_cert_file: route.tls_client_cert_file.clone(),
            client_key_file: route.tls_client_key_file.clone(),
        },
        headers: headers.map_err(|rule| Usage::new(format!("--header: {rule}")))?,
        header_file: route.header_file.clone(),
        proxies: proxies(url)?,
    })
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
        let error = Client::connect(&format!("http://{address}"), &Connection::default(), None)
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(&address.to_string()) && error.contains("refused"), "{error}");
    }

    #[test]
    fn tokens_stay_with_their_server() {
        assert!(same_server("http://127.0.0.1:3000", "http://127.0.0.1:3000/"));
        assert!(!same_server("http://127.0.0.1:3000", "http://127.0.0.1:3001"));
        assert!(bearer(Some("a\nb")).is_err());
    }
}
