//! A link that a test can break: TCP between a client, such as a daemon, and a server.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A way through the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// What passes.
#[derive(Debug, Clone, Copy, Default)]
struct Rules {
    /// Nothing, and who comes is sent away.
    cut: bool,
    /// Connections of an earlier age are over.
    age: u64,
    /// Bytes wait so long at each end.
    delay: Duration,
    /// Nothing in either direction, though all connections stay.
    frozen: bool,
    /// The link is cut after so many bytes more one way.
    cut_after: Option<(Way, usize)>,
    /// One way ends, the other goes on.
    closed: Option<Way>,
}

/// The link; it ends with this.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    rules: watch::Sender<Rules>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Opens a link to an address such as `127.0.0.1:3000`, or to a URL with one.
    ///
    /// # Panics
    /// When nothing can be listened on.
    pub async fn start(to: &str) -> Self {
        let to = to.split("//").last().unwrap_or(to).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let rules = watch::Sender::new(Rules::default());
        let accepting = tokio::spawn(accept(listener, to, rules.clone()));
        Self { address, rules, accepting }
    }

    /// Where clients find it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Breaks all connections, and lets nobody in.
    pub fn cut(&self) {
        self.rules.send_modify(|rules| *rules = Rules { cut: true, age: rules.age + 1, ..Rules::default() });
    }

    /// Breaks all connections when so many bytes more have passed one way; from then on it is as after [`Self::cut`].
    pub fn cut_after(&self, way: Way, bytes: usize) {
        self.rules.send_modify(|rules| rules.cut_after = Some((way, bytes)));
    }

    /// Waits until it is cut.
    ///
    /// # Panics
    /// Never: the sender is its own.
    pub async fn is_cut(&self) {
        self.rules.subscribe().wait_for(|rules| rules.cut).await.expect("its own");
    }

    /// Lets nothing through, and nobody notice.
    pub fn freeze(&self) {
        self.rules.send_modify(|rules| rules.frozen = true);
    }

    /// Ends one way of all connections.
    pub fn half_close(&self, way: Way) {
        self.rules.send_modify(|rules| rules.closed = Some(way));
    }

    /// Lets bytes wait.
    pub fn delay(&self, delay: Duration) {
        self.rules.send_modify(|rules| rules.delay = delay);
    }

    /// Lets everything through again; connections that broke stay broken.
    pub fn heal(&self) {
        self.rules.send_modify(|rules| *rules = Rules { age: rules.age, ..Rules::default() });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, to: String, rules: watch::Sender<Rules>) {
    while let Ok((client, _)) = listener.accept().await {
        let (to, rules) = (to.clone(), rules.clone());
        if rules.borrow().cut {
            continue;
        }
        tokio::spawn(async move {
            let age = rules.borrow().age;
            let Ok(server) = TcpStream::connect(&to).await else { return };
            let (_, _) = (client.set_nodelay(true), server.set_nodelay(true));
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            let mut end = rules.subscribe();
            tokio::select! {
                _ = end.wait_for(|rules| rules.age != age) => {}
                _ = async {
                    tokio::join!(pump(Way::Up, from_client, to_server, &rules), pump(Way::Down, from_server, to_client, &rules))
                } => {}
            }
        });
    }
}

/// Passes on what comes one way.
async fn pump(way: Way, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, rules: &watch::Sender<Rules>) {
    let mut changes = rules.subscribe();
    let mut piece = vec![0; 16 * 1024];
    loop {
        let now = *changes.borrow_and_update();
        if now.closed == Some(way) {
            break;
        }
        let read = tokio::select! {
            _ = changes.changed() => continue,
            read = from.read(&mut piece), if !now.frozen => read,
        };
        let Ok(read @ 1..) = read else { break };
        tokio::time::sleep(now.delay).await;
        let passes = match now.cut_after {
            Some((of, left)) if of == way => left.min(read),
            _ => read,
        };
        if to.write_all(&piece[..passes]).await.is_err() {
            break;
        }
        rules.send_if_modified(|rules| match &mut rules.cut_after {
            Some((of, left)) if *of == way => {
                *left = left.saturating_sub(passes);
                if *left == 0 {
                    *rules = Rules { cut: true, age: rules.age + 1, ..Rules::default() };
                }
                true
            }
            _ => false,
        });
    }
    let _ = to.shutdown().await;
}
