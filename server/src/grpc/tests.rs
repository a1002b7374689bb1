use std::net::IpAddr;

use axum::body::Body;
use http::Request as HttpRequest;
use orgplane_proto::context::ClientAddress;
use orgplane_proto::identity::v1::session_service_client::SessionServiceClient;
use orgplane_proto::identity::v1::user_service_client::UserServiceClient;
use orgplane_proto::identity::v1::{
    CreateFirstUserRequest, CreateUserRequest, GetFirstUserRequest, GetUserRequest, LoginRequest, LogoutRequest,
    UserStatus,
};
use orgplane_proto::organization::v1::organization_service_client::OrganizationServiceClient;
use orgplane_proto::organization::v1::{CreateOrganizationRequest, ListOrganizationsRequest};
use orgplane_proto::provisioner::v1::CreateProvisionerKeyRequest;
use orgplane_proto::provisioner::v1::provisioner_key_service_client::ProvisionerKeyServiceClient;
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::{ServiceExt as _, util::MapRequest};

use super::*;
use crate::service::testing::{PASSWORD, empty_deployments};
use crate::store::Access as _;

type Transport = MapRequest<axum::Router, fn(HttpRequest<tonic::body::Body>) -> HttpRequest<Body>>;

fn transport(router: &axum::Router) -> Transport {
    router.clone().map_request(|request: HttpRequest<tonic::body::Body>| request.map(Body::new))
}

fn with<T>(message: T, authorization: &[&str]) -> Request<T> {
    let mut request = Request::new(message);
    for value in authorization {
        request.metadata_mut().append("authorization", value.parse().unwrap());
    }
    request
}

fn me() -> GetUserRequest {
    GetUserRequest { user: "me".into() }
}

async fn login(router: &axum::Router) -> String {
    let mut request = Request::new(LoginRequest { email: "owner@example.com".into(), password: PASSWORD.into() });
    request.extensions_mut().insert(ClientAddress(IpAddr::from([192, 0, 2, 7])));
    let reply = SessionServiceClient::new(transport(router)).login(request).await.unwrap();
    format!("Bearer {}", reply.into_inner().session_token)
}

async fn first_user(router: &axum::Router) {
    let first = CreateFirstUserRequest {
        email: "owner@example.com".into(),
        username: "owner".into(),
        name: "The Owner".into(),
        password: PASSWORD.into(),
    };
    UserServiceClient::new(transport(router)).create_first_user(first).await.unwrap();
}

fn reason(status: &Status) -> (Code, String) {
    (status.code(), status.get_details_error_info().unwrap().reason)
}

#[tokio::test]
async fn from_the_first_user_to_a_key() {
    for deployment in empty_deployments().await {
        let router = router(deployment.service.clone());
        let mut users = UserServiceClient::new(transport(&router));
        let status = users.get_first_user(GetFirstUserRequest {}).await.unwrap_err();
        assert_eq!(reason(&status), (Code::NotFound, "ERROR_REASON_NOT_FOUND".into()));
        first_user(&router).await;
        users.get_first_user(GetFirstUserRequest {}).await.unwrap();

        let bearer = login(&router).await;
        let row = deployment.store.query_one("SELECT ip_address FROM api_key", []).await.unwrap().unwrap();
        assert_eq!(row.try_get_by_index::<String>(0).unwrap(), "192.0.2.7");
        let user = users.get_user(with(me(), &[&bearer])).await.unwrap().into_inner();
        assert_eq!((user.username.as_str(), user.name.as_str()), ("owner", "The Owner"));
        assert_eq!(user.status(), UserStatus::Active);
        assert_eq!(user.roles[0].name, "owner");

        let mut organizations = OrganizationServiceClient::new(transport(&router));
        let new = CreateOrganizationRequest { name: "data-platform".into(), ..Default::default() };
        let created = organizations.create_organization(with(new, &[&bearer])).await.unwrap().into_inner();
        let list = organizations.list_organizations(with(ListOrganizationsRequest {}, &[&bearer])).await.unwrap();
        assert!(list.into_inner().organizations.contains(&created));

        let mut keys = ProvisionerKeyServiceClient::new(transport(&router));
        let new = CreateProvisionerKeyRequest {
            organization: "Data-Platform".into(),
            name: "k".into(),
            tags: Default::default(),
        };
        let key = keys.create_provisioner_key(with(new.clone(), &[&bearer])).await.unwrap().into_inner().key;
        deployment.provisioner_key_authenticate(&key).await.unwrap();
        let status = keys.create_provisioner_key(with(new, &[&bearer])).await.unwrap_err();
        assert_eq!(reason(&status), (Code::AlreadyExists, "ERROR_REASON_ALREADY_EXISTS".into()));
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "name");

        let new = CreateUserRequest { login_type: 77, organization_id: created.id, ..Default::default() };
        let status = users.create_user(with(new, &[&bearer])).await.unwrap_err();
        assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "login_type");

        SessionServiceClient::new(transport(&router)).logout(with(LogoutRequest {}, &[&bearer])).await.unwrap();
        let status = users.get_user(with(me(), &[&bearer])).await.unwrap_err();
        assert_eq!(reason(&status), (Code::Unauthenticated, "ERROR_REASON_UNAUTHENTICATED".into()));
    }
}

#[tokio::test]
async fn a_call_needs_one_good_token() {
    for deployment in empty_deployments().await {
        let router = router(deployment.service.clone());
        first_user(&router).await;
        let good = login(&router).await;
        let token = good.strip_prefix("Bearer ").unwrap();
        let mut users = UserServiceClient::new(transport(&router));
        users.get_user(with(me(), &[&good])).await.unwrap();
        let doubled = format!("Bearer {good}");
        let basic = format!("Basic {token}");
        for bad in [&[][..], &[good.as_str(), good.as_str()], &[&doubled], &[&basic], &[token], &["Bearer "]] {
            let status = users.get_user(with(me(), bad)).await.unwrap_err();
            assert_eq!(reason(&status), (Code::Unauthenticated, "ERROR_REASON_UNAUTHENTICATED".into()), "{bad:?}");
            assert!(!status.message().contains(token));
        }
        // Public methods don't look at it.
        users.get_first_user(with(GetFirstUserRequest {}, &["nonsense"])).await.unwrap();
    }
}

#[tokio::test]
async fn a_daemons_methods_need_a_key_and_a_users_a_token() {
    for deployment in empty_deployments().await {
        let router = router(deployment.service.clone());
        first_user(&router).await;
        let bearer = login(&router).await;
        let call = async |path: &str, authorization: &str| {
            let request = HttpRequest::post(path)
                .header("content-type", "application/grpc")
                .header("authorization", authorization)
                .body(Body::empty())
                .unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), 200);
            assert!(response.headers().contains_key("x-request-id"));
            Status::from_header_map(response.headers()).unwrap()
        };
        for method in ["Connect", "Download", "Upload"] {
            let path = format!("/orgplane.provisioner.v1.ProvisionerDaemonService/{method}");
            let status = call(&path, &bearer).await;
            assert_eq!(status.code(), Code::Unauthenticated);
            assert!(status.message().contains("provisioner key"), "{}", status.message());
        }
        let key = crate::domain::provisioner_key::ProvisionerKey::generate();
        let status = call("/orgplane.identity.v1.UserService/GetUser", &format!("Bearer {}", key.reveal())).await;
        assert_eq!(status.code(), Code::Unauthenticated);
        let status = call("/orgplane.identity.v1.UserService/Nothing", &bearer).await;
        assert_eq!(status.code(), Code::Unimplemented);
    }
}

#[tokio::test]
async fn a_panic_ends_its_call_only() {
    for deployment in empty_deployments().await {
        let routes = axum::Router::new().route(
            "/orgplane.identity.v1.UserService/GetFirstUser",
            axum::routing::any(async || -> () { panic!("x") }),
        );
        let router = routes.layer(from_fn_with_state(auth::Layer::new(deployment.service.clone()), auth::layer));
        let mut users = UserServiceClient::new(transport(&router));
        let mut request = Request::new(GetFirstUserRequest {});
        let id = uuid::Uuid::now_v7();
        request.extensions_mut().insert(orgplane_proto::context::RequestId(id));
        request.metadata_mut().insert("x-request-id", uuid::Uuid::now_v7().to_string().parse().unwrap());
        let status = users.get_first_user(request).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("panic"));
        assert_eq!(status.metadata().get("x-request-id").unwrap().to_str().unwrap(), id.to_string());
    }
}

#[tokio::test]
async fn a_callers_deadline_ends_its_wait() {
    for deployment in empty_deployments().await {
        let path = "/orgplane.identity.v1.UserService/GetFirstUser";
        let routes = axum::Router::new().route(path, axum::routing::any(std::future::pending::<()>));
        let router = routes.layer(from_fn_with_state(auth::Layer::new(deployment.service.clone()), auth::layer));
        let request = HttpRequest::post(path).header("grpc-timeout", "20m").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), Code::DeadlineExceeded);
    }
}

/// gRPC paths of all methods.
fn methods() -> Vec<String> {
    let files = prost_types::FileDescriptorSet::decode(orgplane_proto::FILE_DESCRIPTOR_SET).unwrap().file;
    let mut paths = Vec::new();
    for file in files {
        for service in &file.service {
            let service_name = format!("{}.{}", file.package(), service.name());
            paths.extend(service.method.iter().map(|method| format!("/{service_name}/{}", method.name())));
        }
    }
    paths
}

#[tokio::test]
async fn every_method_but_the_public_ones_wants_credentials() {
    for deployment in empty_deployments().await {
        let router = router(deployment.service.clone());
        let methods = methods();
        assert!(methods.len() > 30);
        for path in &methods {
            let request = HttpRequest::post(path).header("content-type", "application/grpc").body(Body::empty());
            let response = router.clone().oneshot(request.unwrap()).await.unwrap();
            let code = Status::from_header_map(response.headers()).map(|status| status.code());
            let public = orgplane_proto::PUBLIC_METHODS.contains(&path.as_str());
            assert_eq!(code == Some(Code::Unauthenticated), !public, "{path}");
        }
        for path in orgplane_proto::PUBLIC_METHODS {
            assert!(methods.iter().any(|method| method == path), "{path}");
        }
    }
}

#[tokio::test]
async fn every_method_is_served() {
    for deployment in empty_deployments().await {
        let router = router(deployment.service.clone());
        first_user(&router).await;
        let bearer = login(&router).await;
        let new =
            CreateProvisionerKeyRequest { organization: "default".into(), name: "k".into(), tags: Default::default() };
        let mut keys = ProvisionerKeyServiceClient::new(transport(&router));
        let key = keys.create_provisioner_key(with(new, &[&bearer])).await.unwrap().into_inner().key;
        let key = format!("Bearer {key}");
        for path in methods() {
            let credentials = if auth::DAEMON_METHODS.contains(&path.as_str()) { &key } else { &bearer };
            let request = HttpRequest::post(&path)
                .header("content-type", "application/grpc")
                .header("authorization", credentials)
                .body(Body::empty());
            let response = router.clone().oneshot(request.unwrap()).await.unwrap();
            let code = Status::from_header_map(response.headers()).map(|status| status.code());
            assert!(!matches!(code, Some(Code::Unimplemented | Code::Unauthenticated)), "{path}: {code:?}");
        }
    }
}

/// Nobody has to be known for these, so they take little.
#[tokio::test]
async fn what_anybody_may_send_is_small() {
    for deployment in empty_deployments().await {
        let router = router(deployment.service.clone());
        let long = || "x".repeat(LARGEST_OF_ANYBODY);
        let first = CreateFirstUserRequest { password: long(), ..Default::default() };
        let status = UserServiceClient::new(transport(&router)).create_first_user(first).await.unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
        first_user(&router).await;
        let login = async |email: String, password: String| {
            let request = LoginRequest { email, password };
            SessionServiceClient::new(transport(&router)).login(request).await.unwrap_err().code()
        };
        assert_eq!(login("owner@example.com".into(), long()).await, Code::OutOfRange);
        for no_address in ["owner\0@example.com".to_owned(), "x".repeat(LARGEST_OF_ANYBODY / 2)] {
            assert_eq!(login(no_address, PASSWORD.into()).await, Code::Unauthenticated);
        }
    }
}
