//! Certificates made for one test: an authority and what it vouches for, as PEM files in a folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// An authority of certificates.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Default for Authority {
    fn default() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate");
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("a file");
        Self { issuer, folder }
    }
}

impl Authority {
    /// The file with its own certificate.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Talks TLS with a server on this machine that it vouches for, and nothing on top of it.
    ///
    /// # Panics
    /// When the server doesn't.
    pub async fn connect(&self, stream: TcpStream) -> TlsStream<TcpStream> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("an authority");
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("TLS").with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::from(std::net::IpAddr::from([127, 0, 0, 1]));
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS")
    }

    /// Writes a certificate and its key for names or addresses; the two files.
    pub fn issue(&self, name: &str, names: &[&str]) -> (PathBuf, PathBuf) {
        self.issue_until(name, names, 2099)
    }

    /// The same, good until the end of a year.
    ///
    /// # Panics
    /// When a file can't be written.
    pub fn issue_until(&self, name: &str, names: &[&str], year: i32) -> (PathBuf, PathBuf) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 12, 31);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let file = |kind: &str| self.folder.path().join(format!("{name}.{kind}"));
        let (cert_file, key_file) = (file("pem"), file("key"));
        write_private(&cert_file, &certificate.pem());
        write_private(&key_file, &key.serialize_pem());
        (cert_file, key_file)
    }
}

/// Writes a file that its owner alone can read, whole or not at all.
fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let part = path.with_extension("part");
    std::fs::write(&part, text).expect("a file");
    std::fs::set_permissions(&part, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    std::fs::rename(part, path).expect("a file");
}

/// A path as a flag's value.
///
/// # Panics
/// When it isn't UTF-8.
#[must_use]
pub fn flag(path: &Path) -> &str {
    path.to_str().expect("a temporary folder's path")
}
