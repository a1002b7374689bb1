//! How long a request may take to come. A peer can be alive, and its call never end.

use std::time::Duration;

use axum::body::Body;
use futures_util::{StreamExt as _, stream};
use http::Request;
use tokio::time::timeout;
use tonic::Status;

/// A request of which nothing comes for so long is given up.
const IDLE: Duration = Duration::from_secs(60);
/// What a daemon says may be far apart; whether it lives is seen by its heartbeats.
const WITHOUT_END: &str = "/orgplane.provisioner.v1.ProvisionerDaemonService/Connect";

/// The same request, whose body ends with an error when it stops coming.
pub(super) fn watched(request: Request<Body>) -> Request<Body> {
    if request.uri().path() == WITHOUT_END { request } else { request.map(within) }
}

fn within(body: Body) -> Body {
    Body::from_stream(stream::unfold(Some(body.into_data_stream()), async |body| {
        let mut body = body?;
        match timeout(IDLE, body.next()).await {
            Ok(Some(Ok(data))) => Some((Ok(data), Some(body))),
            Ok(Some(Err(error))) => Some((Err(Status::from_error(error.into())), None)),
            Ok(None) => None,
            Err(_) => Some((Err(Status::deadline_exceeded("The request took too long to arrive.")), None)),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, body: Body) -> Request<Body> {
        Request::post(path).body(body).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_coming_ends() {
        let stops = || Body::from_stream(stream::iter([Ok::<_, Status>("a")]).chain(stream::pending()));
        let mut body = watched(request("/a/b", stops())).into_body().into_data_stream();
        assert_eq!(body.next().await.unwrap().unwrap(), "a");
        let error = body.next().await.unwrap().unwrap_err();
        assert_eq!(Status::from_error(error.into()).code(), tonic::Code::DeadlineExceeded);
        assert!(body.next().await.is_none());

        let mut endless = watched(request(WITHOUT_END, stops())).into_body().into_data_stream();
        assert_eq!(endless.next().await.unwrap().unwrap(), "a");
        assert!(timeout(IDLE * 100, endless.next()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_is_waited_for() {
        let pieces = stream::unfold(0, async |number| {
            tokio::time::sleep(IDLE * 9 / 10).await;
            (number < 5).then_some((Ok::<_, Status>("a"), number + 1))
        });
        let body = watched(request("/a/b", Body::from_stream(pieces))).into_body();
        assert_eq!(axum::body::to_bytes(body, 100).await.unwrap(), "aaaaa");
    }
}
