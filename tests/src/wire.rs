//! A connection below what a client's library would send: bytes and HTTP/2 frames, as a test writes them.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};

/// What an HTTP/2 connection begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// HTTP/2's kinds of frames.
#[allow(missing_docs)]
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// The frame is an acknowledgement.
pub const ACK: u8 = 1;
/// The last frame of a stream.
pub const END_STREAM: u8 = 1;
/// The last frame of a head.
pub const END_HEADERS: u8 = 4;

/// A frame that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// See [`kind`].
    pub kind: u8,
    /// What they mean depends on the kind.
    pub flags: u8,
    /// 0 for the connection.
    pub stream: u32,
    /// Its content.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The error code of a GOAWAY or RST_STREAM.
    #[must_use]
    pub fn error(&self) -> Option<u32> {
        let at = match self.kind {
            kind::GOAWAY => 4,
            kind::RST_STREAM => 0,
            _ => return None,
        };
        Some(u32::from_be_bytes(self.payload.get(at..at + 4)?.try_into().ok()?))
    }
}

/// The bytes of a frame.
///
/// # Panics
/// When the payload is too long for any frame.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The payload of a SETTINGS frame.
#[must_use]
pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    values.iter().flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect()
}

/// The payload of a HEADERS frame: every field in plain letters, none remembered.
#[must_use]
pub fn head(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            integer(&mut bytes, text.len());
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

/// HPACK's integers, with a prefix of seven bits.
fn integer(bytes: &mut Vec<u8>, value: usize) {
    let Some(mut rest) = value.checked_sub(127) else {
        bytes.push(value as u8);
        return;
    };
    bytes.push(127);
    while rest >= 128 {
        bytes.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    bytes.push(rest as u8);
}

/// The head of a request.
#[must_use]
pub fn request<'a>(method: &'a str, path: &'a str, more: &[(&'a str, &'a str)]) -> Vec<u8> {
    let fields = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "localhost")];
    head(&[&fields, more].concat())
}

/// A connection.
#[derive(Debug)]
pub struct Wire<S = TcpStream>(pub S);

impl Wire {
    /// Connects, and says nothing.
    ///
    /// # Panics
    /// When nobody listens.
    pub async fn connect(url: &str) -> Self {
        Self::with_buffer(url, None).await
    }

    /// The same, with room for so many bytes that came and weren't read.
    ///
    /// # Panics
    /// When nobody listens.
    pub async fn with_buffer(url: &str, bytes: Option<u32>) -> Self {
        let address = url.split("://").last().expect("an address").parse().expect("an address");
        let socket = TcpSocket::new_v4().expect("a socket");
        if let Some(bytes) = bytes {
            socket.set_recv_buffer_size(bytes).expect("a buffer");
        }
        let stream = socket.connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("no delay");
        Self(stream)
    }

    /// Connects and begins with HTTP/2.
    ///
    /// # Panics
    /// When nobody listens.
    pub async fn http2(url: &str, values: &[(u16, u32)]) -> Self {
        let mut wire = Self::connect(url).await;
        wire.begin(values).await;
        wire
    }

    /// The connection's two directions.
    #[must_use]
    pub fn split(
        self,
    ) -> (Wire<impl AsyncRead + Send + Unpin + 'static>, Wire<impl AsyncWrite + Send + Unpin + 'static>) {
        let (reader, writer) = self.0.into_split();
        (Wire(reader), Wire(writer))
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Says bytes.
    ///
    /// # Errors
    /// When the server has closed the connection.
    pub async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// Begins with HTTP/2.
    ///
    /// # Panics
    /// When the server has closed the connection.
    pub async fn begin(&mut self, values: &[(u16, u32)]) {
        let begin = [PREFACE, &frame(kind::SETTINGS, 0, 0, &settings(values))].concat();
        self.say(&begin).await.expect("a new connection");
    }

    /// Says the same again and again; how often until the server wanted no more, or it was often enough.
    pub async fn repeat(&mut self, times: usize, mut bytes: impl FnMut(usize) -> Vec<u8>) -> usize {
        for number in 0..times {
            if self.say(&bytes(number)).await.is_err() {
                return number;
            }
        }
        times
    }
}

impl<S: AsyncRead + Unpin> Wire<S> {
    /// The next frame; `None` when the server has closed the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Reads until the server closes the connection: what came.
    ///
    /// # Panics
    /// When it doesn't within `patience`.
    pub async fn closed(&mut self, what: &str, patience: Duration) -> Vec<u8> {
        let (mut came, mut piece) = (Vec::new(), vec![0; 16 * 1024]);
        let deadline = Instant::now() + patience;
        loop {
            let read = timeout_at(deadline, self.0.read(&mut piece)).await;
            match read.unwrap_or_else(|_| panic!("{what}: still open after {patience:?}")) {
                Ok(0) | Err(_) => return came,
                Ok(read) => came.extend(&piece[..read]),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// The next frame, as a peer reads that is alive: settings and pings are answered.
    pub async fn next_alive(&mut self) -> Option<Frame> {
        let frame = self.next().await?;
        if [kind::SETTINGS, kind::PING].contains(&frame.kind) && frame.flags & ACK == 0 {
            let payload = if frame.kind == kind::PING { &frame.payload[..] } else { &[] };
            self.say(&self::frame(frame.kind, ACK, 0, payload)).await.ok()?;
        }
        Some(frame)
    }
}
