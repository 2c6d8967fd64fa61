//! TLS from certificate files, which may change while the server runs.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// Why certificate files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds no certificate or key in PEM.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate and key do not belong together, or are of a kind that is not known.
    #[error("{}: {source}", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
}

/// A certificate chain and its key, from two PEM files, offered for every name with HTTP/2 and HTTP/1.1 (ALPN), TLS 1.2 and
/// 1.3, without early data (P-11).
///
/// [`serve`](super::serve) looks at the files from time to time. When they have changed they are read again; while they
/// cannot be used (half written, key of the next certificate, unreadable) the last good ones stay.
#[derive(Clone)]
pub struct Tls {
    files: Arc<Files>,
    config: Arc<ServerConfig>,
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    current: ArcSwap<CertifiedKey>,
    seen: Mutex<Stamp>,
}

/// When the files changed last, as far as the file system knows.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Tls {
    /// Reads both files.
    ///
    /// # Errors
    /// [`TlsError`]: a server does not start with files that it cannot use.
    pub fn open(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, TlsError> {
        let (certificate, key) = (certificate.into(), key.into());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let seen = Mutex::new(stamp(&certificate, &key));
        let current = ArcSwap::from_pointee(read(&certificate, &key, &provider)?);
        let unusable = |source| TlsError::Unusable { path: certificate.clone(), source };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth();
        let files = Arc::new(Files { certificate, key, provider, current, seen });
        let mut config = builder.with_cert_resolver(Arc::clone(&files) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { files, config: Arc::new(config) })
    }

    /// Reads the files again if they have changed since the last look. New connections get what was read.
    ///
    /// Blocks on the file system. Whether the files have been replaced.
    ///
    /// # Errors
    /// [`TlsError`] once for every change that cannot be used; the old certificate stays.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let files = &self.files;
        let now = stamp(&files.certificate, &files.key);
        {
            let mut seen = files.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == now {
                return Ok(false);
            }
            *seen = now;
        }
        files.current.store(Arc::new(read(&files.certificate, &files.key, &files.provider)?));
        Ok(true)
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("certificate", &self.files.certificate).field("key", &self.files.key).finish()
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Files {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

fn stamp(certificate: &Path, key: &Path) -> Stamp {
    [certificate, key].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

fn read(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::File { path, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(file(certificate))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(file(key))?;
    CertifiedKey::from_der(chain, private, provider).map_err(|source| TlsError::Unusable { path: certificate.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
        let (certificate, key) = (folder.join("tls.pem"), folder.join("tls.key"));
        std::fs::write(&certificate, made.cert.pem()).expect("written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        (certificate, key)
    }

    #[test]
    fn f_14_a_certificate_without_its_key_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = write(folder.path(), "a.example");
        let tls = Tls::open(&certificate, &key).expect("usable");
        let old = tls.files.current.load_full();
        assert!(!tls.reload().expect("unchanged"));
        let other = tempfile::tempdir().expect("a folder");
        let (other_certificate, other_key) = write(other.path(), "longer.b.example");

        std::fs::copy(&other_certificate, &certificate).expect("copied");
        assert!(matches!(tls.reload(), Err(TlsError::Unusable { .. })), "the key is the old one");
        assert!(Arc::ptr_eq(&old, &tls.files.current.load_full()));
        std::fs::remove_file(&key).expect("removed");
        assert!(matches!(tls.reload(), Err(TlsError::File { .. })));
        assert!(Arc::ptr_eq(&old, &tls.files.current.load_full()));
        std::fs::copy(&other_key, &key).expect("copied");
        assert!(tls.reload().expect("usable"));
        assert_ne!(old.cert, tls.files.current.load_full().cert);
        assert!(Tls::open(&certificate, &certificate).is_err() && Tls::open("/nowhere", &key).is_err());
    }
}
