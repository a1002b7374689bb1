//! A REST client that shows everything that came back.

use reqwest::Method;
use serde_json::{Value, json};

use crate::deployment::{OWNER, PASSWORD};

/// A client with or without a token.
#[derive(Debug, Clone)]
pub struct Rest {
    base: String,
    token: Option<String>,
    client: reqwest::Client,
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

impl Rest {
    /// Without a token.
    #[must_use]
    pub fn new(base: &str) -> Self {
        let client = reqwest::Client::builder().timeout(crate::LONG).no_proxy().build().expect("a client");
        Self { base: base.to_owned(), token: None, client }
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
    /// When the connection breaks.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = request.build().expect("a request");
        let label = format!("{} {}", request.method(), request.url());
        let response = self.client.execute(request).await.unwrap_or_else(|error| panic!("{label}: {error:?}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap_or_else(|error| panic!("{label}: {error:?}")).to_vec();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
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
