//! gRPC in and out: each method reads its message, calls one method of [`Service`], and writes the reply. No rules.

mod arrival;
mod audit;
mod auth;
mod authorization;
mod convert;
mod deadline;
mod deployment;
mod dry_run;
mod file;
mod key;
mod member;
mod organization;
mod provisioner_daemon;
mod provisioner_job;
mod provisioner_key;
mod rate_limit;
mod role;
mod session;
pub mod status;
mod template;
mod template_version;
mod user;
mod workspace;
mod workspace_build;

use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use orgplane_proto::audit::v1::audit_service_server::AuditServiceServer;
use orgplane_proto::deployment::v1::deployment_service_server::DeploymentServiceServer;
use orgplane_proto::identity::v1::authorization_service_server::AuthorizationServiceServer;
use orgplane_proto::identity::v1::key_service_server::KeyServiceServer;
use orgplane_proto::identity::v1::session_service_server::SessionServiceServer;
use orgplane_proto::identity::v1::user_service_server::UserServiceServer;
use orgplane_proto::organization::v1::member_service_server::MemberServiceServer;
use orgplane_proto::organization::v1::organization_service_server::OrganizationServiceServer;
use orgplane_proto::organization::v1::role_service_server::RoleServiceServer;
use orgplane_proto::provisioner::v1::provisioner_daemon_service_server::ProvisionerDaemonServiceServer;
use orgplane_proto::provisioner::v1::provisioner_job_service_server::ProvisionerJobServiceServer;
use orgplane_proto::provisioner::v1::provisioner_key_service_server::ProvisionerKeyServiceServer;
use orgplane_proto::template::v1::dry_run_service_server::DryRunServiceServer;
use orgplane_proto::template::v1::file_service_server::FileServiceServer;
use orgplane_proto::template::v1::template_service_server::TemplateServiceServer;
use orgplane_proto::template::v1::template_version_service_server::TemplateVersionServiceServer;
use orgplane_proto::workspace::v1::workspace_build_service_server::WorkspaceBuildServiceServer;
use orgplane_proto::workspace::v1::workspace_service_server::WorkspaceServiceServer;
use tonic::Request;
use tonic::service::Routes;

use crate::domain::Error;
use crate::domain::error::Credential;
use crate::service::{Caller, Service};

/// Bytes of the largest request message. The daemons' service takes less, see there.
const LARGEST_MESSAGE: usize = 4 * 1024 * 1024;
/// The same of services that have methods for everybody: accounts and sessions take little.
const LARGEST_OF_ANYBODY: usize = 64 * 1024;

/// The services' implementation, one `impl` per file.
#[derive(Debug, Clone)]
pub struct Api(pub(crate) Arc<Service>);

/// Takes a request apart into who asks and what.
fn parts<T>(request: Request<T>) -> Result<(Caller, T), tonic::Status> {
    let (_, mut extensions, message) = request.into_parts();
    let caller = extensions.remove::<Caller>();
    Ok((caller.ok_or_else(|| status::of(Error::Unauthenticated(Credential::Missing)))?, message))
}

/// What daemons call, behind the same layers: for a listener that nobody else needs.
pub fn daemon_router(service: Arc<Service>) -> axum::Router {
    let daemons = ProvisionerDaemonServiceServer::new(Api(service.clone()))
        .max_decoding_message_size(provisioner_daemon::LARGEST_MESSAGE);
    Routes::new(daemons).into_axum_router().layer(from_fn_with_state(auth::Layer::new(service), auth::layer))
}

/// Every service of the control plane behind its layers, ready to be served or to be called in process.
pub fn router(service: Arc<Service>) -> axum::Router {
    let api = Api(service.clone());
    let routes = Routes::default()
        .add_service(
            ProvisionerDaemonServiceServer::new(api.clone())
                .max_decoding_message_size(provisioner_daemon::LARGEST_MESSAGE),
        )
        .add_service(ProvisionerJobServiceServer::new(api.clone()).max_decoding_message_size(LARGEST_MESSAGE))
        .add_service(FileServiceServer::new(api.clone()).max_decoding_message_size(LARGEST_MESSAGE))
        .add_service(TemplateServiceServer::new(api.clone()).max_decoding_message_size(LARGEST_MESSAGE))
        .add_service(TemplateVersionServiceServer::new(api.clone()).max_decoding_message_size(LARGEST_MESSAGE))
        .add_service(DryRunServiceServer::new(api.clone()).max_decoding_message_size(LARGEST_MESSAGE))
        .add_service(WorkspaceServiceServer::new(api.clone()).max_decoding_message_size(LARGEST_MESSAGE))
        .add_service(WorkspaceBuildServiceServer::new(api.clone()).max_decoding_message_size(LARGEST_MESSAGE))
        .add_service(UserServiceServer::new(api.clone()).max_decoding_message_size(LARGEST_OF_ANYBODY))
        .add_service(SessionServiceServer::new(api.clone()).max_decoding_message_size(LARGEST_OF_ANYBODY))
        .add_service(DeploymentServiceServer::new(api.clone()).max_decoding_message_size(LARGEST_OF_ANYBODY))
        .add_service(KeyServiceServer::new(api.clone()).max_decoding_message_size(LARGEST_OF_ANYBODY))
        .add_service(AuthorizationServiceServer::new(api.clone()).max_decoding_message_size(LARGEST_OF_ANYBODY))
        .add_service(AuditServiceServer::new(api.clone()).max_decoding_message_size(LARGEST_OF_ANYBODY))
        .add_service(OrganizationServiceServer::new(api.clone()).max_decoding_message_size(LARGEST_MESSAGE))
        .add_service(MemberServiceServer::new(api.clone()).max_decoding_message_size(LARGEST_MESSAGE))
        .add_service(RoleServiceServer::new(api.clone()).max_decoding_message_size(LARGEST_MESSAGE))
        .add_service(ProvisionerKeyServiceServer::new(api).max_decoding_message_size(LARGEST_MESSAGE));
    routes.into_axum_router().layer(from_fn_with_state(auth::Layer::new(service), auth::layer))
}

#[cfg(test)]
mod tests;
