//! Whose word counts when a server says that it is the broker.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::{Error, Result};

/// Certificates of authorities that are believed besides those that the system knows.
#[derive(Clone, Debug, Default)]
pub struct Authorities(Vec<CertificateDer<'static>>);

impl Authorities {
    /// Reads one or several certificates in PEM.
    pub fn read(file: &Path) -> Result<Self> {
        let named = |what: String| Error::Setup(format!("{} {what}", file.display()));
        let text =
            std::fs::read(file).map_err(|error| named(format!("cannot be read: {error}")))?;
        let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        match found {
            Ok(found) if !found.is_empty() => Ok(Self(found)),
            _ => Err(named(
                "holds no certificate: give the authority's certificate in PEM".to_owned(),
            )),
        }
    }

    /// TLS 1.2 or 1.3 with what is believed. There is no way to believe everybody.
    pub(crate) fn tls(&self) -> Result<ClientConfig> {
        let cannot = |error: rustls::Error| Error::Setup(format!("no TLS can be spoken: {error}"));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Ok(ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(cannot)?
            .with_root_certificates(self.roots().map_err(cannot)?)
            .with_no_client_auth())
    }

    /// These, and the system's; a system that has none, such as an empty container, knows those of Mozilla.
    fn roots(&self) -> std::result::Result<RootCertStore, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        for certificate in &self.0 {
            roots.add(certificate.clone())?;
        }
        Ok(roots)
    }
}
