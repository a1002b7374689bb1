//! Logging in and out, with the cookie that browsers keep.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, header};
use orgplane_proto::identity::v1::session_service_client::SessionServiceClient;
use orgplane_proto::identity::v1::{LoginRequest, LogoutRequest};

use crate::call::Call;
use crate::error::{Answer, Error};
use crate::query::SESSION_TOKEN;
use crate::{Gateway, body, reply};

const ONE_YEAR: u32 = 365 * 24 * 60 * 60;

pub(crate) async fn login(State(gateway): State<Gateway>, call: Call, content: Body) -> Answer {
    let message: LoginRequest = body::read(content, &gateway).await?;
    let mut client = SessionServiceClient::new(gateway.upstream.clone());
    let reply = call.unary(client.login(call.request(message))).await?;
    with_cookie(reply::json(201, &reply)?, &reply.session_token, ONE_YEAR, &gateway)
}

pub(crate) async fn logout(State(gateway): State<Gateway>, call: Call) -> Answer {
    let mut client = SessionServiceClient::new(gateway.upstream.clone());
    let reply = call.unary(client.logout(call.request(LogoutRequest {}))).await?;
    with_cookie(reply::json(200, &reply)?, "", 0, &gateway)
}

fn with_cookie(mut response: Response, value: &str, max_age: u32, gateway: &Gateway) -> Answer {
    let secure = if gateway.options.https { "; Secure" } else { "" };
    let cookie = format!("{SESSION_TOKEN}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Lax{secure}");
    let mut cookie =
        HeaderValue::from_str(&cookie).map_err(|_| Error::internal("the session token has odd characters"))?;
    cookie.set_sensitive(true);
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}
