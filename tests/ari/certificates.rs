//! Certificates that do not fit, and what is said of them.

use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sidetone::ari::AsteriskSettings;

use crate::support::{Log, Server, until};

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn issuer(name: &str) -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Accepts TLS connections with a certificate for `name`; answers nothing. Ends with the process.
fn serve(issuer: &Issuer, name: &str, expired: bool) -> SocketAddr {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if expired {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    }
    let certificate = params.signed_by(&key, issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            // The client refuses; whatever it says, that is the end of the connection.
            let _ = StreamOwned::new(session, stream).read(&mut [0; 64]);
        }
    });
    address
}

/// What is logged of a server that answers at `url`.
async fn told(url: String, ca_file: Option<&Path>) -> String {
    let log = Log::default();
    let _guard = log.collect();
    let server = Server::start(AsteriskSettings {
        url,
        ca_file: ca_file.map(Path::to_owned),
        request_timeout: Duration::from_secs(2),
        reconnect_min: Duration::from_millis(10),
        ..AsteriskSettings::default()
    })
    .await;
    until("told", || log.text().contains("ERROR")).await;
    assert!(!server.is_connected());
    server.stop(Duration::ZERO).await;
    log.text()
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_is_told_with_the_url_the_reason_and_what_to_do() {
    let ours = issuer("ours");
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, ours.pem()).unwrap();

    // The second is an authority of our name with another key, as when it was made anew.
    for name in ["theirs", "ours"] {
        let address = serve(&issuer(name), "127.0.0.1", false);
        let text = told(format!("https://{address}"), Some(&ca_file)).await;
        assert!(text.contains("ca_file") && text.contains(&address.to_string()), "{text}");
    }

    let address = serve(&ours, "pbx.example", false);
    let text = told(format!("https://{address}"), Some(&ca_file)).await;
    assert!(text.contains("pbx.example") && text.contains(&address.to_string()), "{text}");

    let address = serve(&ours, "127.0.0.1", true);
    let text = told(format!("https://{address}"), Some(&ca_file)).await;
    assert!(text.contains("expired") && text.contains(&address.to_string()), "{text}");
}

#[tokio::test]
async fn a_server_without_tls_is_told_too() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::Write;
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let text = told(format!("https://{address}"), None).await;
    assert!(text.contains("TLS") || text.contains("tls"), "{text}");
}
