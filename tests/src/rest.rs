//! A REST client that shows everything that came back.

use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::deployment::{OWNER, PASSWORD};
use crate::document;
use crate::record;
use crate::wait::SHORT;

/// A client with or without a token.
#[derive(Debug, Clone)]
pub struct Rest {
    base: String,
    token: Option<String>,
    client: reqwest::Client,
    recorded: bool,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What was asked, for messages.
    pub request: String,
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body as it came.
    pub bytes: Vec<u8>,
    /// The body as JSON; null when it is none.
    pub body: Value,
}

impl Answer {
    /// The body of an answer that must have this status.
    ///
    /// # Panics
    /// When it has another one.
    #[track_caller]
    #[must_use]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.request, self.text());
        self.body.clone()
    }

    /// The same for an error: the documented body, which is given back as text.
    ///
    /// # Panics
    /// When it isn't that error, or its body isn't the documented one.
    #[track_caller]
    pub fn refused(&self, status: u16) -> String {
        let body = self.expect(status);
        let text = self.text();
        assert!(body["message"].as_str().is_some_and(|m| !m.is_empty()), "{}: no message: {text}", self.request);
        let members = body.as_object().expect("an object");
        for name in members.keys() {
            assert!(["message", "detail", "validations"].contains(&name.as_str()), "{}: {name}: {text}", self.request);
        }
        text
    }

    /// The same for an error that must name a field.
    ///
    /// # Panics
    /// When it doesn't.
    #[track_caller]
    pub fn refused_for(&self, status: u16, field: &str) -> String {
        let text = self.refused(status);
        assert!(self.names(field), "{}: {field} isn't named: {text}", self.request);
        text
    }

    /// Whether a validation is about this field or about a part of it.
    #[must_use]
    pub fn names(&self, field: &str) -> bool {
        let validations = self.body["validations"].as_array().map(Vec::as_slice).unwrap_or_default();
        validations.iter().filter_map(|v| v["field"].as_str()).any(|named| {
            named.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', ' ']))
        })
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Talks TLS with the one provider that the product has.
fn http() -> reqwest::ClientBuilder {
    // Another test of this process may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().timeout(crate::LONG).no_proxy()
}

impl Rest {
    /// Without a token.
    #[must_use]
    pub fn new(base: &str) -> Self {
        let client = http().build().expect("a client");
        Self { base: base.to_owned(), token: None, client, recorded: false }
    }

    /// Over TLS, with an authority of the test's own; `http1` offers nothing newer.
    ///
    /// # Panics
    /// When the authority's file is none.
    #[must_use]
    pub fn trusting(base: &str, authority: &std::path::Path, http1: bool) -> Self {
        let pem = std::fs::read(authority).expect("the authority");
        let mut client = http().tls_certs_only([reqwest::Certificate::from_pem(&pem).expect("a certificate")]);
        client = if http1 { client.http1_only() } else { client };
        Self { base: base.to_owned(), token: None, client: client.build().expect("a client"), recorded: false }
    }

    /// The same, with its exchanges on record.
    #[must_use]
    pub(crate) fn recorded(self) -> Self {
        Self { recorded: true, ..self }
    }

    /// The same with a token.
    #[must_use]
    pub fn with(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The token.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn token(&self) -> &str {
        self.token.as_deref().expect("a signed-in client")
    }

    /// A request to be completed by hand; paths start at `/`.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.header("Coder-Session-Token", token),
            None => request,
        }
    }

    /// Sends one.
    ///
    /// # Panics
    /// When the connection breaks, or the answer isn't what the server's OpenAPI document says.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = request.build().expect("a request");
        let label = format!("{} {}", request.method(), request.url());
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = self.client.execute(request).await.unwrap_or_else(|error| panic!("{label}: {error:?}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap_or_else(|error| panic!("{label}: {error:?}")).to_vec();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if let Some(fault) = document::fault(&self.base, method.as_str(), &path, status, &body).await {
            panic!("{label}: {fault}\n{body:#}");
        }
        if self.recorded && path.starts_with("/api/v2") {
            record::exchange(method.as_str(), &path, status, &body);
        }
        Answer { request: label, status, headers, bytes, body }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    /// PATCH with a JSON body.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(&body)).await
    }

    /// PUT with a JSON body.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(&body)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// POST of a tar archive.
    pub async fn upload(&self, tar: Vec<u8>) -> Answer {
        self.upload_as("application/x-tar", tar).await
    }

    /// POST of an archive of some kind.
    pub async fn upload_as(&self, content_type: &str, archive: Vec<u8>) -> Answer {
        let request = self.request(Method::POST, "/api/v2/files").header("Content-Type", content_type);
        self.send(request.body(archive)).await
    }

    /// Creates the first user and signs them in.
    pub async fn first_user(&self) -> Self {
        let (email, username) = OWNER;
        let body = json!({"email": email, "username": username, "name": "The Owner", "password": PASSWORD});
        let _ = self.post("/api/v2/users/first", body).await.expect(201);
        self.login(email).await
    }

    /// Signs a user in.
    ///
    /// # Panics
    /// When they don't have the tests' password.
    pub async fn login(&self, email: &str) -> Self {
        let answer = self.post("/api/v2/users/login", json!({"email": email, "password": PASSWORD})).await.expect(201);
        self.with(answer["session_token"].as_str().expect("a token"))
    }
}

/// An open WebSocket.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
}

/// How a WebSocket was closed: code and reason, or nothing when the connection just broke.
pub type Closed = Option<(u16, String)>;

impl Socket {
    /// The next text message, as JSON.
    ///
    /// # Errors
    /// How it was closed.
    ///
    /// # Panics
    /// When nothing comes in time, or something else than JSON in text.
    pub async fn next(&mut self) -> Result<Value, Closed> {
        let deadline = Instant::now() + SHORT;
        loop {
            let next = timeout_at(deadline, self.stream.next()).await.expect("the socket says something");
            match next {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(frame))) => {
                    return Err(frame.map(|frame| (frame.code.into(), frame.reason.to_string())));
                }
                Some(Err(_)) | None => return Err(None),
                Some(Ok(other)) => panic!("neither text nor control: {other:?}"),
            }
        }
    }

    /// All messages to the end, and how it was closed.
    pub async fn rest(&mut self) -> (Vec<Value>, Closed) {
        let mut messages = Vec::new();
        loop {
            match self.next().await {
                Ok(message) => messages.push(message),
                Err(closed) => return (messages, closed),
            }
        }
    }
}

impl Rest {
    /// The request for a WebSocket, to be completed by hand. Sent with [`Self::send`], it shows why it is refused.
    pub fn upgrade(&self, path: &str) -> reqwest::RequestBuilder {
        let request = self.request(Method::GET, path).header("Connection", "Upgrade").header("Upgrade", "websocket");
        request.header("Sec-WebSocket-Version", "13").header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
    }

    /// Opens a WebSocket.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn socket(&self, path: &str) -> Socket {
        self.open(self.upgrade(path), None).await
    }

    /// The same for a completed request; `window` is how much the system takes for a client that doesn't read.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn open(&self, request: reqwest::RequestBuilder, window: Option<u32>) -> Socket {
        let given = request.build().expect("a request");
        let address = given.url().socket_addrs(|| None).expect("an address")[0];
        let socket = TcpSocket::new_v4().expect("a socket");
        if let Some(window) = window {
            socket.set_recv_buffer_size(window).expect("a buffer's size");
        }
        let tcp = socket.connect(address).await.expect("the server listens");
        let mut request = given.url().as_str().replacen("http", "ws", 1).into_client_request().expect("a URL");
        for (name, value) in given.headers() {
            request.headers_mut().insert(name, value.clone());
        }
        let opened = timeout(SHORT, client_async(request, tcp)).await.expect("an answer in time");
        let (stream, _) = opened.unwrap_or_else(|error| panic!("{}: {error}", given.url()));
        Socket { stream }
    }

    /// Opens a stream of server-sent events.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn events(&self, path: &str) -> Events {
        let response = self.request(Method::GET, path).send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        if self.recorded {
            record::exchange("GET", response.url().path(), 200, &Value::Null);
        }
        Events { response, read: String::new() }
    }
}

/// A stream of server-sent events.
#[derive(Debug)]
pub struct Events {
    response: reqwest::Response,
    read: String,
}

impl Events {
    /// The next event that isn't a ping: its type and data. None at the end.
    ///
    /// # Panics
    /// When nothing comes in time.
    pub async fn next(&mut self) -> Option<(String, Value)> {
        let deadline = Instant::now() + SHORT;
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.read = rest;
                let (kind, data) = event.split_once('\n').unwrap_or((&event, "data: null"));
                let kind = kind.strip_prefix("event: ").expect("a type").to_owned();
                if kind == "ping" {
                    continue;
                }
                let data = data.strip_prefix("data: ").expect("data");
                return Some((kind, serde_json::from_str(data).expect("JSON in one line")));
            }
            let chunk = timeout_at(deadline, self.response.chunk()).await.expect("the server says something");
            self.read.push_str(std::str::from_utf8(&chunk.ok()??).expect("text"));
        }
    }
}
