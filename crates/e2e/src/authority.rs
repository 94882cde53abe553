use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};

/// An authority of one's own, such as a company has, and the certificates that it issues.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key, in PEM.
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// A new authority, which nobody knows.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "A story's authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self { issuer })
    }

    /// A certificate for a host.
    pub fn issue(&self, host: &str) -> Result<Issued> {
        self.sign(&CertificateParams::new(vec![host.to_owned()])?)
    }

    /// One whose time is over.
    pub fn issue_expired(&self, host: &str) -> Result<Issued> {
        let mut params = CertificateParams::new(vec![host.to_owned()])?;
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Result<Issued> {
        let key = KeyPair::generate()?;
        Ok(Issued {
            certificate: params.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
        })
    }

    /// Writes the authority's own certificate, for `--ca-file`.
    pub fn write(&self, directory: &Path) -> Result<PathBuf> {
        let path = directory.join("ca.crt");
        std::fs::write(&path, self.issuer.pem())?;
        Ok(path)
    }
}

impl Issued {
    /// One that is signed by nobody but itself.
    pub fn by_itself(host: &str) -> Result<Self> {
        let made = rcgen::generate_simple_self_signed([host.to_owned()])?;
        Ok(Self {
            certificate: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        })
    }

    /// Writes both where a broker of this folder looks for them.
    pub fn write(&self, directory: &Path) -> Result<()> {
        std::fs::write(directory.join("tls.crt"), &self.certificate)?;
        Ok(std::fs::write(directory.join("tls.key"), &self.key)?)
    }
}
