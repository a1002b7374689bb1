//! The certificate of a listener. Its files are looked at again and again: renewed ones are taken in without a restart, and
//! connections that exist go on with what they have.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::error::Usage;

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Both protocols on one port, as the client likes.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
const READABLE_BY_OTHERS: u32 = 0o007;

/// Where a listener's certificate is.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    /// Authorities of client certificates, which are demanded then.
    pub(crate) client_ca: Option<PathBuf>,
}

/// What the files hold; a key is in it, so it isn't printed.
#[derive(PartialEq, Eq)]
struct Contents {
    cert: Vec<u8>,
    key: zeroize::Zeroizing<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
}

/// A certificate in use.
pub(crate) struct Certificate {
    files: Files,
    config: watch::Sender<Arc<ServerConfig>>,
}

impl Certificate {
    /// Reads and checks the files.
    pub(crate) fn load(files: Files) -> Result<Self> {
        let config = files.read()?.config(&files)?;
        warn_of_readers(&files.key);
        Ok(Self { files, config: watch::Sender::new(config) })
    }

    /// For the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.borrow().clone())
    }

    /// Takes in changed files, for as long as it is polled. Files that can't be used change nothing.
    pub(crate) async fn renew(&self) {
        let mut seen = self.files.read().ok();
        let mut failed = String::new();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let files = self.files.clone();
            let Ok(read) = tokio::task::spawn_blocking(move || files.read()).await else { continue };
            let taken = read.and_then(|contents| {
                if seen.as_ref() == Some(&contents) {
                    return Ok(false);
                }
                let config = contents.config(&self.files);
                seen = Some(contents);
                self.config.send_replace(config?);
                Ok(true)
            });
            match taken {
                Ok(true) => {
                    failed.clear();
                    tracing::info!(file = %self.files.cert.display(), "the new TLS certificate is in use");
                }
                Ok(false) => {}
                Err(error) => {
                    let cause = format!("{error:#}");
                    if cause != failed {
                        tracing::error!(cause, "the changed TLS files can't be used; the old certificate stays in use");
                        failed = cause;
                    }
                }
            }
        }
    }
}

impl Files {
    fn read(&self) -> Result<Contents> {
        let read =
            |flag: &str, file: &Path| fs::read(file).with_context(|| format!("{flag}: can't read {}", file.display()));
        let client_ca = self.client_ca.as_ref().map(|file| read("--tls-client-ca-file", file)).transpose()?;
        Ok(Contents {
            cert: read("--tls-cert-file", &self.cert)?,
            key: read("--tls-key-file", &self.key)?.into(),
            client_ca,
        })
    }
}

impl Contents {
    fn config(&self, files: &Files) -> Result<Arc<ServerConfig>> {
        let chain = certificates("--tls-cert-file", &files.cert, &self.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| {
            Usage::new(format!("--tls-key-file: {} has no private key in PEM form", files.key.display()))
        })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
        let builder = match files.client_ca.as_deref().zip(self.client_ca.as_deref()) {
            None => builder.with_no_client_auth(),
            Some((file, text)) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates("--tls-client-ca-file", file, text)? {
                    let added = roots.add(authority);
                    added.map_err(|e| Usage::new(format!("--tls-client-ca-file: {}: {e}", file.display())))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|e| anyhow!("--tls-client-ca-file: {e}"))?)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => Usage::new(format!(
                "--tls-key-file: {} isn't the key of the first certificate in {}",
                files.key.display(),
                files.cert.display()
            )),
            other => Usage::new(format!("--tls-cert-file: {}: {other}", files.cert.display())),
        })?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(config.into())
    }
}

fn certificates(flag: &str, file: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(Usage::new(format!("{flag}: {} has no certificate in PEM form", file.display())).into()),
    }
}

/// Secrets that an orchestrator mounts are often group-readable by design; readable by everybody is a mistake.
fn warn_of_readers(key: &Path) {
    let mode = fs::metadata(key).map_or(0, |metadata| metadata.permissions().mode());
    if mode & READABLE_BY_OTHERS != 0 {
        tracing::warn!(file = %key.display(), "every user of this machine can read the TLS key; take the right away: chmod o= FILE");
    }
}
