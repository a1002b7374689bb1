//! Which certificates are accepted, and which one is shown.
//!
//! Without a CA file the authorities of the operating system count: an operator who installed the company's own expects
//! them to, and they change without a new release of this program. A CA file takes their place: who names the authority
//! of a server wants no other to vouch for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};

use crate::Setting;
use crate::error::Fault;

const CA_FLAG: &str = "--tls-ca-file";
const CERT_FLAG: &str = "--tls-client-cert-file";
const KEY_FLAG: &str = "--tls-client-key-file";

/// Certificates, as PEM files. They are read again for each connection.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// The authorities that may vouch for the server, instead of the operating system's.
    pub ca_file: Option<PathBuf>,
    /// The certificate to show to a server that asks for one, with those between it and its authority.
    pub client_cert_file: Option<PathBuf>,
    /// Its key.
    pub client_key_file: Option<PathBuf>,
}

/// What the settings come to.
#[derive(Debug)]
pub(crate) struct Trust {
    tls: Tls,
    /// The operating system's authorities, unless a file takes their place.
    system: Option<Arc<RootCertStore>>,
}

impl Trust {
    pub(crate) fn new(tls: &Tls) -> Result<Self, Setting> {
        let system = match tls.ca_file {
            Some(_) => None,
            None => Some(system_roots()?.into()),
        };
        let trust = Self { tls: tls.clone(), system };
        trust.config(b"h2")?;
        Ok(trust)
    }

    /// For a connection that will speak this protocol.
    pub(crate) fn config(&self, protocol: &[u8]) -> Result<Arc<ClientConfig>, Setting> {
        let roots = match (&self.system, &self.tls.ca_file) {
            (_, Some(file)) => file_roots(file)?.into(),
            (Some(system), None) => system.clone(),
            (None, None) => Arc::new(RootCertStore::empty()),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let broken = |error: &dyn std::fmt::Display| Setting::new(CA_FLAG, error.to_string());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|e| broken(&e))?.with_webpki_verifier(verifier.map_err(|e| broken(&e))?);
        let mut config = match (&self.tls.client_cert_file, &self.tls.client_key_file) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => {
                let chain = certificates(CERT_FLAG, cert)?;
                let unreadable = |e: &dyn std::fmt::Display| Setting::new(KEY_FLAG, format!("{}: {e}", key.display()));
                let key = PrivateKeyDer::from_pem_file(key).map_err(|e| unreadable(&e))?;
                let with = builder.with_client_auth_cert(chain, key);
                with.map_err(|e| Setting::new(CERT_FLAG, format!("doesn't go with {KEY_FLAG}: {e}")))?
            }
            (Some(_), None) => return Err(Setting::new(CERT_FLAG, format!("give its key with {KEY_FLAG}"))),
            (None, Some(_)) => return Err(Setting::new(KEY_FLAG, format!("give its certificate with {CERT_FLAG}"))),
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(config.into())
    }
}

fn system_roots() -> Result<RootCertStore, Setting> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let cause = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        let rule = format!(
            "give the authority of the server's certificate: this machine has none{cause}; or install the package \
             ca-certificates"
        );
        return Err(Setting::new(CA_FLAG, rule));
    }
    Ok(roots)
}

fn file_roots(file: &Path) -> Result<RootCertStore, Setting> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(CA_FLAG, file)? {
        roots.add(certificate).map_err(|error| Setting::new(CA_FLAG, format!("{}: {error}", file.display())))?;
    }
    Ok(roots)
}

fn certificates(flag: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Setting> {
    let wrong = |rule: String| Setting::new(flag, format!("{}: {rule}", file.display()));
    let text = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let all = all.map_err(|error| wrong(error.to_string()))?;
    if all.is_empty() { Err(wrong("has no certificate in PEM form".to_owned())) } else { Ok(all) }
}

/// What a failure of TLS means for who runs this program.
pub(crate) fn meaning(error: &rustls::Error, server: &str) -> Fault {
    use CertificateError as C;
    Fault(match error {
        rustls::Error::InvalidCertificate(C::UnknownIssuer | C::BadSignature) => format!(
            "the certificate of {server} is from an authority that isn't trusted here; name the file of that authority \
             with {CA_FLAG}"
        ),
        rustls::Error::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => {
            format!("the certificate of {server} has expired")
        }
        rustls::Error::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. }) => {
            format!("the certificate of {server} isn't valid yet; check the clocks of both machines")
        }
        rustls::Error::InvalidCertificate(C::NotValidForName) => {
            format!("the certificate of {server} is for other names; use the URL that it was made for")
        }
        rustls::Error::InvalidCertificate(C::NotValidForNameContext { presented, .. }) => format!(
            "the certificate of {server} is for other names ({}); use the URL that it was made for",
            presented.join(", ")
        ),
        rustls::Error::InvalidMessage(_) => {
            format!("{server} doesn't speak TLS there; is its URL http:// instead of https://?")
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            format!("{server} asks for a client certificate; give one with {CERT_FLAG} and {KEY_FLAG}")
        }
        rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) => no_http2(server).0,
        rustls::Error::AlertReceived(
            alert @ (AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::DecryptError),
        ) => format!("{server} doesn't take the client certificate of {CERT_FLAG} ({alert:?})"),
        other => format!("no TLS with {server}: {other}"),
    })
}

/// What a server without HTTP/2 means.
pub(crate) fn no_http2(server: &str) -> Fault {
    Fault(format!("{server} doesn't offer HTTP/2, which gRPC needs; turn it on in what ends TLS there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_checked_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.pem");
        std::fs::write(&file, "not a certificate\n").unwrap();
        let none = Some(folder.path().join("none.pem"));
        for (tls, says) in [
            (Tls { ca_file: none.clone(), ..Tls::default() }, "--tls-ca-file: "),
            (Tls { ca_file: Some(file.clone()), ..Tls::default() }, "no certificate"),
        ] {
            let error = Trust::new(&tls).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains(".pem"), "{error}");
        }
    }
}
