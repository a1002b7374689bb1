//! Connections of any kind as one type.

use tokio::io::{AsyncRead, AsyncWrite};

/// Any connection, whatever it is made of.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}
