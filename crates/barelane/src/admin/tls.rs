//! TLS of the admin server: a certificate and its key, from their files, checked before anything is touched.
//!
//! By rustls, with *ring* beneath: it needs a C compiler alone, which every Rust toolchain links with; the other provider, aws-lc, wants
//! `CMake`, too. TLS 1.2 and 1.3. Nobody is asked for a certificate of his own: who may ask is told by the token.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, InconsistentKeys, ServerConfig};

use crate::config::Config;
use crate::config::keys::{ADMIN_TLS_CERT_FILE, ADMIN_TLS_KEY_FILE};
use crate::error::{Setting, Wrong};
use crate::stamp_key;

/// The longest file of certificates that is read. A chain of three has some 6 KiB; what is longer than this is another file that was
/// named by mistake.
const CERT_SIZE_MAX: u64 = 64 << 10;

/// The longest file with a key. One of RSA with 16384 bits has 12 KiB.
const KEY_SIZE_MAX: u64 = 16 << 10;

/// What proves to whoever asks who answers. Holding one proves that the certificate is the key's.
#[derive(Clone)]
pub(crate) struct Tls(Arc<ServerConfig>);

impl fmt::Debug for Tls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Tls(not shown)")
    }
}

impl Tls {
    /// What the configuration names; nothing where it names neither file.
    pub(super) fn of(config: &Config) -> Result<Option<Self>, Wrong> {
        let (cert, key) = (&config.serve.admin_tls_cert_file, &config.serve.admin_tls_key_file);
        match (cert.as_os_str().is_empty(), key.as_os_str().is_empty()) {
            (true, true) => Ok(None),
            (false, false) => Self::of_files(cert, key).map(Some),
            (true, false) => Err(alone(ADMIN_TLS_KEY_FILE, key, "certificate", ADMIN_TLS_CERT_FILE)),
            (false, true) => Err(alone(ADMIN_TLS_CERT_FILE, cert, "key", ADMIN_TLS_KEY_FILE)),
        }
    }

    fn of_files(cert: &Path, key: &Path) -> Result<Self, Wrong> {
        let (chain, private) = (certificates(cert)?, private_key(key)?);
        let provider = Arc::new(ring::default_provider());
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = versions
            .and_then(|versions| versions.with_no_client_auth().with_single_cert(chain, private))
            .map_err(|error| refused(cert, key, error))?;
        let mut config = config;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0))
    }
}

/// One of the two files alone.
fn alone(setting: Setting, path: &Path, missing: &str, other: Setting) -> Wrong {
    Wrong::new(setting, path.display())
        .because(format_args!("there is no {missing} beside it"))
        .remedy(format_args!("name both: {other} too"))
}

/// The server's own certificate, and behind it those that vouch for it.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Wrong> {
    let wrong = || Wrong::new(ADMIN_TLS_CERT_FILE, path.display());
    let remedy = "name a file with the server's certificate in PEM, and behind it those that vouch for it";
    let unreadable = |cause| wrong().because(cause).remedy("name a file that can be read");
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(wrong().because("it is no file").remedy(remedy));
    }
    file.take(CERT_SIZE_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > CERT_SIZE_MAX {
        return Err(wrong().because(format_args!("longer than {CERT_SIZE_MAX} bytes")).remedy(remedy));
    }
    let found = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| wrong().because(words(&error)).remedy(remedy))?;
    if found.is_empty() {
        return Err(wrong().because("there is no certificate in it").remedy(remedy));
    }
    Ok(found)
}

/// The key of the first of them.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Wrong> {
    let bytes = stamp_key::read_at_most(ADMIN_TLS_KEY_FILE, path, KEY_SIZE_MAX)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| {
        let remedy = "name a file with the certificate's key in PEM, not encrypted: openssl pkey -in FILE writes it so";
        Wrong::new(ADMIN_TLS_KEY_FILE, path.display()).because(words(&error)).remedy(remedy)
    })
}

/// What is wrong with a file, of which no complaint shows a byte.
fn words(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::NoItemsFound => "there is none in it, as PEM writes it",
        _ => "it is damaged: not PEM",
    }
}

/// Why the two files cannot be used together.
fn refused(cert: &Path, key: &Path, error: rustls::Error) -> Wrong {
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Wrong::new(
            ADMIN_TLS_KEY_FILE,
            key.display(),
        )
        .because(format_args!("it is not the key of the certificate in {}", cert.display()))
        .remedy("name the key that the certificate was made for; its own certificate comes first in a chain"),
        rustls::Error::General(_) => Wrong::new(ADMIN_TLS_KEY_FILE, key.display())
            .because("no key that TLS can use")
            .remedy("name one of RSA, of ECDSA (P-256, P-384), or Ed25519"),
        other => Wrong::new(ADMIN_TLS_CERT_FILE, cert.display())
            .because(other)
            .remedy("name another certificate: openssl x509 -in FILE -text shows what is in this one"),
    }
}
