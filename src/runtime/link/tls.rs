use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use thiserror::Error;

/// Why no TLS configuration could be made.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The file with certificates cannot be read.
    #[error("ca_file {path:?}: {reason}")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS library refused its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// A TLS configuration for clients that trust the certificates of `ca_file`, or the system's.
///
/// # Errors
/// [`TlsError`] where the file cannot be used.
pub(crate) fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let fail = |reason: String| TlsError::CaFile { path: path.to_owned(), reason };
            let certificates = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| fail(error.to_string()))?;
            if certificates.is_empty() {
                return Err(fail("it holds no certificate in PEM form".to_owned()));
            }
            for certificate in certificates {
                roots.add(certificate).map_err(|error| fail(error.to_string()))?;
            }
        }
        None => {
            // Certificates of the system that cannot be read are skipped: there may be others.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Why a certificate was refused and what to do, where that is at the bottom of `error`.
pub(crate) fn explain(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(reason(tls));
        }
        // An io::Error does not give its inner error as its source, but that one's source.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(inner) = inner {
            let inner: &(dyn Error + 'static) = inner;
            if let Some(text) = explain(inner) {
                return Some(text);
            }
        }
        next = error.source();
    }
    None
}

fn reason(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(certificate) = error else {
        return format!("TLS failed: {error}");
    };
    match certificate {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is signed by nobody we trust; \
             set ca_file to the PEM file of the authority that signed it"
                .to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "its certificate is for another name: {error}; use in url a name that it is for"
            )
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; are both clocks right?".to_owned()
        }
        _ => format!("its certificate does not fit: {error}"),
    }
}
