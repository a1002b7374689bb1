//! WebSockets that tell what a stream brings. Clients only listen: what they send is read and forgotten.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tonic::{Response, Status, Streaming};
use uuid::Uuid;

use crate::Gateway;
use crate::call::Call;
use crate::error::{Answer, Error};
use crate::live::Live;

/// Proxies cut connections that are silent for longer than a minute or so.
const PING_INTERVAL: Duration = Duration::from_secs(15);
/// A client that says nothing, not even to pings, for so long has gone, or doesn't read.
const SILENCE: Duration = Duration::from_secs(50);
/// A message that a client doesn't take within this is the last one.
const STALL: Duration = Duration::from_secs(15);
/// For the client's answer to the close frame.
const FAREWELL: Duration = Duration::from_secs(2);
/// Bytes of what a client may say.
const MAX_HEARD: usize = 4096;
/// Bytes of a close frame's reason.
const MAX_REASON: usize = 123;

/// A request's wish for a socket, which may be none.
pub(crate) struct Upgrade(Result<WebSocketUpgrade, WebSocketUpgradeRejection>);

impl<S: Send + Sync> FromRequestParts<S> for Upgrade {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        Ok(Self(WebSocketUpgrade::from_request_parts(parts, state).await))
    }
}

/// Turns what a stream brings into text messages.
pub(crate) trait Speak<T>: Send + 'static {
    /// Those for one message, in order.
    fn message(&self, message: T) -> serde_json::Result<Vec<Vec<u8>>>;

    /// One about a failure, before the socket closes.
    fn failure(&self, _: &Error) -> serde_json::Result<Option<Vec<u8>>> {
        Ok(None)
    }
}

/// Makes the call, and a socket of the request if it succeeds: until then, errors are ordinary answers.
///
/// # Errors
/// 426 when the request doesn't ask for a socket, and what the call fails with.
pub(crate) async fn answer<T, S>(
    gateway: &Gateway,
    call: &Call,
    upgrade: Upgrade,
    reply: impl Future<Output = Result<Response<Streaming<T>>, Status>>,
    speak: S,
) -> Answer
where
    T: Send + 'static,
    S: Speak<T>,
{
    let upgrade = match upgrade.0 {
        Ok(upgrade) => upgrade.max_message_size(MAX_HEARD).max_frame_size(MAX_HEARD),
        Err(rejection) => return Ok(not_a_socket(&rejection)),
    };
    let messages = call.unary(reply).await?;
    let (live, patience, request_id) = (gateway.options.live.clone(), call.patience(), call.id());
    Ok(upgrade.on_upgrade(move |socket| {
        let tracked = live.clone();
        tracked.socket(async move {
            let teller = Teller { socket, messages, speak, live, patience, request_id };
            teller.tell().await;
        })
    }))
}

fn not_a_socket(rejection: &WebSocketUpgradeRejection) -> axum::response::Response {
    use axum::response::IntoResponse as _;
    let error = Error::new(StatusCode::UPGRADE_REQUIRED, "This is served over a WebSocket.");
    let mut response = error.detail(rejection.to_string()).into_response();
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    response
}

struct Teller<T, S> {
    socket: WebSocket,
    messages: Streaming<T>,
    speak: S,
    live: Live,
    patience: Duration,
    request_id: Uuid,
}

/// How a socket ends.
enum End {
    /// The client went, or can't be reached.
    Gone,
    /// The client takes nothing.
    Stalled,
    /// With the stream.
    Done,
    Failed(Error),
}

impl<T: Send + 'static, S: Speak<T>> Teller<T, S> {
    async fn tell(mut self) {
        let (code, reason) = match self.pass_on().await {
            End::Gone => return,
            End::Stalled => {
                tracing::info!(request_id = %self.request_id, "a socket's client was too slow and is cut off");
                (close_code::AGAIN, "The client took too little for too long.".to_owned())
            }
            End::Done => (close_code::NORMAL, "done".to_owned()),
            End::Failed(error) => {
                error.log(self.request_id);
                if let Ok(Some(last)) = self.speak.failure(&error)
                    && let Ok(last) = String::from_utf8(last)
                    && !matches!(timeout(FAREWELL, self.socket.send(Message::text(last))).await, Ok(Ok(())))
                {
                    return;
                }
                (code_of(error.status()), error.message().to_owned())
            }
        };
        let close = CloseFrame { code, reason: shortened(&reason).into() };
        let farewell = async {
            if self.socket.send(Message::Close(Some(close))).await.is_ok() {
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
        };
        // Whoever doesn't answer in time is left without.
        let _ = timeout(FAREWELL, farewell).await;
    }

    async fn pass_on(&mut self) -> End {
        let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                said = self.socket.recv() => match said {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return End::Gone,
                    Some(Ok(_)) => heard = Instant::now(),
                },
                _ = pings.tick() => {
                    if heard.elapsed() > SILENCE {
                        return End::Stalled;
                    }
                    if let Err(end) = send(&mut self.socket, Message::Ping(bytes::Bytes::new())).await {
                        return end;
                    }
                }
                next = self.live.next(&mut self.messages, self.patience) => {
                    let texts = match next {
                        Ok(Some(message)) => self.speak.message(message),
                        Ok(None) => return End::Done,
                        Err(error) => return End::Failed(error),
                    };
                    let Ok(texts) = texts else { return End::Failed(Error::internal("a message can't be rendered")) };
                    for text in texts {
                        let Ok(text) = String::from_utf8(text) else {
                            return End::Failed(Error::internal("a message isn't text"));
                        };
                        if let Err(end) = send(&mut self.socket, Message::text(text)).await {
                            return end;
                        }
                    }
                }
            }
        }
    }
}

/// One message at a time, each to the end: nothing piles up behind a slow client.
async fn send(socket: &mut WebSocket, message: Message) -> Result<(), End> {
    match timeout(STALL, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Gone),
        Err(_) => Err(End::Stalled),
    }
}

fn code_of(status: StatusCode) -> u16 {
    match status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => close_code::AWAY,
        StatusCode::TOO_MANY_REQUESTS => close_code::AGAIN,
        status if status.is_client_error() => close_code::POLICY,
        _ => close_code::ERROR,
    }
}

fn shortened(reason: &str) -> &str {
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_fit_their_frame() {
        assert_eq!(shortened("done"), "done");
        assert_eq!(shortened(&"ä".repeat(100)), "ä".repeat(61));
    }
}
