//! TLS 1.2 and 1.3, with certificates that are read again when their files change.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use tokio::fs;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a client may take for the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Where certificate and key are, in PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate, followed by those that vouch for it.
    pub certificate: PathBuf,
    /// The certificate's key.
    pub key: PathBuf,
}

/// What the broker shows to those who connect.
pub(crate) struct Tls {
    files: TlsFiles,
    /// Each handshake takes what is there when it begins.
    config: ArcSwap<ServerConfig>,
}

/// What the files held.
#[derive(PartialEq)]
struct Pems {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    pub(crate) async fn load(files: TlsFiles) -> anyhow::Result<Self> {
        let pems = files.read().await?;
        let config = ArcSwap::new(files.config(&pems)?);
        Ok(Self { files, config })
    }

    /// Follows the files for ever. What cannot be used changes nothing, and is said once.
    pub(super) async fn follow(&self) {
        // The first look repeats the reading of the start, which costs nothing.
        let mut seen = None;
        loop {
            let found = self
                .files
                .read()
                .await
                .map_err(|error| format!("{error:#}"));
            if seen.as_ref() != Some(&found) {
                self.take(&found, seen.is_none());
                seen = Some(found);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn take(&self, found: &Result<Pems, String>, is_first: bool) {
        let config = match found {
            Ok(pems) => self
                .files
                .config(pems)
                .map_err(|error| format!("{error:#}")),
            Err(error) => Err(error.clone()),
        };
        match config {
            Ok(config) => {
                self.config.store(config);
                if !is_first {
                    tracing::info!("the certificate was read again, and is in use now");
                }
            }
            Err(error) => tracing::error!(error, "the old certificate stays in use"),
        }
    }

    /// Shakes hands; nobody is there if it takes too long or comes to nothing.
    pub(super) async fn accept(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(self.config.load_full());
        let handshake = async {
            if speaks_plain_http(&stream).await? {
                refuse_plain_http(&stream).await?;
                return Ok(None);
            }
            acceptor.accept(stream).await.map(Some)
        };
        match timeout(HANDSHAKE, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a handshake failed");
                None
            }
            Err(_) => None,
        }
    }
}

impl TlsFiles {
    async fn read(&self) -> anyhow::Result<Pems> {
        let read = async |path: &PathBuf| {
            let text = fs::read(path).await;
            text.with_context(|| format!("{} cannot be read", path.display()))
        };
        Ok(Pems {
            certificate: read(&self.certificate).await?,
            key: read(&self.key).await?,
        })
    }

    fn config(&self, pems: &Pems) -> anyhow::Result<Arc<ServerConfig>> {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&pems.certificate)
            .collect::<Result<_, _>>()
            .with_context(|| format!("{certificate} is no PEM"))?;
        anyhow::ensure!(!chain.is_empty(), "{certificate} holds no certificate");
        let private = PrivateKeyDer::from_pem_slice(&pems.key)
            .with_context(|| format!("{key} holds no private key in PEM"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .with_context(|| format!("{key} is not the key of {certificate}"))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Whether somebody took `http://` for `https://`. No handshake begins with a letter.
async fn speaks_plain_http(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    Ok(stream.peek(&mut first).await? == 1 && first[0].is_ascii_alphabetic())
}

async fn refuse_plain_http(stream: &TcpStream) -> io::Result<()> {
    const REFUSAL: &str = concat!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\nconnection: close\r\n\r\n",
        r#"{"type":"urn:brokkr:problem:malformed","title":"Bad Request","status":400,"code":"malformed","#,
        r#""detail":"this port speaks TLS: write https:// in the address"}"#
    );
    // What is left unread would turn the end into a reset, and take the answer with it.
    let _ = stream.try_read(&mut [0; 8 * 1024]);
    stream.writable().await?;
    stream.try_write(REFUSAL.as_bytes()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"))
        }

        fn files(&self) -> TlsFiles {
            TlsFiles {
                certificate: self.0.path().join("tls.crt"),
                key: self.0.path().join("tls.key"),
            }
        }

        fn write(&self, certificate: &str, key: &str) {
            let files = self.files();
            std::fs::write(files.certificate, certificate).expect("a file");
            std::fs::write(files.key, key).expect("a file");
        }
    }

    fn pair() -> (String, String) {
        let made =
            rcgen::generate_simple_self_signed(["broker.example".to_owned()]).expect("a pair");
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[tokio::test]
    async fn files_that_cannot_be_used_are_named() {
        let folder = Folder::new();
        let ((certificate, key), (_, other_key)) = (pair(), pair());
        for (name, certificate, key, named) in [
            (
                "no certificate",
                "",
                key.as_str(),
                "tls.crt holds no certificate",
            ),
            (
                "a key in its place",
                &key,
                &key,
                "tls.crt holds no certificate",
            ),
            ("no key", &certificate, "", "tls.key holds no private key"),
            ("garbage", "-----BEGIN", "garbage", "tls.crt"),
            (
                "another's key",
                &certificate,
                &other_key,
                "tls.key is not the key of",
            ),
        ] {
            folder.write(certificate, key);
            let error = Tls::load(folder.files()).await.err().expect(name);
            let error = format!("{error:#}");
            assert!(error.contains(named), "{name}: {error}");
        }
        std::fs::remove_file(folder.files().key).expect("a file");
        let error = Tls::load(folder.files()).await.err().expect("no file");
        assert!(format!("{error:#}").contains("tls.key cannot be read"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_pair_is_taken_and_a_bad_one_is_not() {
        let folder = Folder::new();
        let (certificate, key) = pair();
        folder.write(&certificate, &key);
        let tls = Arc::new(Tls::load(folder.files()).await.expect("a pair"));
        let following = tokio::spawn({
            let tls = Arc::clone(&tls);
            async move { tls.follow().await }
        });
        let changes = async || {
            let before = tls.config.load_full();
            tokio::time::sleep(3 * LOOK).await;
            !Arc::ptr_eq(&before, &tls.config.load_full())
        };
        changes().await;
        folder.write(&certificate, "garbage");
        assert!(!changes().await, "a bad key");
        let (certificate, key) = pair();
        folder.write(&certificate, &key);
        assert!(changes().await, "a new pair");
        assert!(!changes().await, "the same pair");
        following.abort();
    }
}
