use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{self, Message};

use super::{Link, LinkError, LinkEvent, LinkRequest, LinkSettings, tls};
use crate::runtime::Secret;

const SETTINGS: LinkSettings = LinkSettings {
    write_timeout: Duration::from_secs(5),
    ping_every: Duration::from_secs(5),
    max_message_bytes: 64 << 10,
};

fn request(url: String) -> LinkRequest {
    LinkRequest {
        url,
        headers: vec![("Authorization".to_owned(), Secret::new("Token of the test"))],
        connect_timeout: Duration::from_secs(5),
    }
}

async fn connect(request: &LinkRequest) -> Result<Link, LinkError> {
    connect_with(request, &SETTINGS).await
}

async fn connect_with(request: &LinkRequest, settings: &LinkSettings) -> Result<Link, LinkError> {
    Link::connect(request, settings, &tls::client_config(None).expect("TLS")).await
}

/// A peer that does `behave` with the first connection.
async fn peer<F: Future<Output = ()> + Send>(
    behave: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> LinkRequest {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        behave(stream).await;
    });
    request(format!("ws://{address}/listen?a=b"))
}

async fn accept(stream: TcpStream) -> WebSocketStream<TcpStream> {
    tokio_tungstenite::accept_async(stream).await.expect("a WebSocket")
}

/// The error that a link ends with.
async fn end(mut link: Link) -> LinkError {
    loop {
        if let Err(error) = link.next().await {
            return error;
        }
    }
}

#[tokio::test]
async fn messages_go_both_ways_and_the_request_carries_the_headers() {
    let request = peer(|stream| async move {
        let mut seen = None;
        #[allow(clippy::result_large_err, reason = "the library wants it so")]
        let check = |request: &tungstenite::handshake::server::Request, response| {
            let header = request.headers()["authorization"].to_str().expect("text").to_owned();
            seen = Some((header, request.uri().to_string()));
            Ok(response)
        };
        let mut socket = tokio_tungstenite::accept_hdr_async(stream, check).await.expect("one");
        let seen = seen.expect("the request came");
        assert_eq!(seen, ("Token of the test".to_owned(), "/listen?a=b".to_owned()));
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() || message.is_binary() {
                socket.send(message).await.expect("open");
            }
        }
    })
    .await;
    let mut link = connect(&request).await.expect("a peer");
    for _ in 0..3 {
        assert!(link.is_free());
        link.send(Message::text("a word"));
        assert_eq!(link.next().await, Ok(LinkEvent::Free));
        assert_eq!(link.next().await, Ok(LinkEvent::Text("a word".into())));
        link.send(Message::binary(vec![7; 640]));
        assert_eq!(link.next().await, Ok(LinkEvent::Free));
        assert_eq!(link.next().await, Ok(LinkEvent::Binary(vec![7; 640].into())));
    }
    link.close().await;
}

#[tokio::test]
async fn closing_waits_for_what_was_sent() {
    let (told, heard) = tokio::sync::oneshot::channel();
    let request = peer(|stream| async move {
        let mut socket = accept(stream).await;
        let mut messages = Vec::new();
        while let Some(Ok(message)) = socket.next().await {
            messages.push(message);
        }
        let _ = told.send(messages);
    })
    .await;
    let mut link = connect(&request).await.expect("a peer");
    link.send(Message::text("the last word"));
    assert_eq!(link.next().await, Ok(LinkEvent::Free));
    link.close().await;
    let messages = heard.await.expect("the peer has read to the end");
    assert_eq!(messages[0], Message::text("the last word"));
    assert!(messages.last().expect("two").is_close(), "{messages:?}");
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_stalled() {
    let request = peer(|stream| async move {
        let socket = accept(stream).await;
        std::future::pending::<()>().await;
        drop(socket);
    })
    .await;
    let settings = LinkSettings { write_timeout: Duration::from_millis(200), ..SETTINGS };
    let mut link = connect_with(&request, &settings).await.expect("a peer");
    // More than both sides' buffers of the kernel hold.
    let mut sent = 0_usize;
    let error = loop {
        link.send(Message::binary(vec![0; 1 << 20]));
        match link.next().await {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 100, "the kernel takes {sent} MB");
    };
    assert_eq!(error, LinkError::Stalled);
}

#[tokio::test]
async fn a_peer_without_a_sign_of_life_is_silent_and_one_that_dribbles_too() {
    for dribbles in [false, true] {
        let request = peer(move |stream| async move {
            let mut socket = accept(stream).await;
            let stream = socket.get_mut();
            // The head of a message of 1,000 bytes, which never ends.
            stream.write_all(&[0x82, 126, 3, 232]).await.expect("open");
            while stream.write_all(&[0]).await.is_ok() && dribbles {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            std::future::pending::<()>().await;
        })
        .await;
        let settings = LinkSettings { ping_every: Duration::from_millis(100), ..SETTINGS };
        let link = connect_with(&request, &settings).await.expect("a peer");
        assert_eq!(end(link).await, LinkError::Silent, "dribbles: {dribbles}");
    }
}

#[tokio::test]
async fn pings_keep_a_quiet_peer() {
    let request = peer(|stream| async move {
        let mut socket = accept(stream).await;
        // Reading is what answers pings.
        let mut pings = 0;
        while pings < 6 {
            pings += usize::from(matches!(socket.next().await, Some(Ok(Message::Ping(_)))));
        }
        socket.send(Message::text("enough")).await.expect("open");
        while socket.next().await.is_some() {}
    })
    .await;
    let settings = LinkSettings { ping_every: Duration::from_millis(50), ..SETTINGS };
    let mut link = connect_with(&request, &settings).await.expect("a peer");
    let mut event = link.next().await;
    while event == Ok(LinkEvent::Free) {
        event = link.next().await;
    }
    assert_eq!(event, Ok(LinkEvent::Text("enough".into())));
    link.close().await;
}

#[tokio::test]
async fn a_message_that_is_too_long_is_refused_before_it_is_read() {
    let (told, heard) = tokio::sync::oneshot::channel();
    let request = peer(|stream| async move {
        let mut socket = accept(stream).await;
        let stream = socket.get_mut();
        let mut head = vec![0x81, 127];
        head.extend((100_u64 << 20).to_be_bytes());
        let mut written = stream.write(&head).await.expect("open");
        let mebibyte = vec![b'x'; 1 << 20];
        while let Ok(count) = stream.write(&mebibyte).await {
            written += count;
        }
        let _ = told.send(written);
    })
    .await;
    let link = connect(&request).await.expect("a peer");
    assert_eq!(end(link).await, LinkError::TooLong { limit: 64 << 10 });
    let written = heard.await.expect("the connection is closed");
    assert!(written < 100 << 20, "{written} bytes were taken");
}

#[tokio::test]
async fn what_is_no_websocket_breaks_the_link() {
    let request = peer(|stream| async move {
        let mut socket = accept(stream).await;
        socket.get_mut().write_all(&[0xff; 64]).await.expect("open");
        std::future::pending::<()>().await;
    })
    .await;
    let link = connect(&request).await.expect("a peer");
    assert!(matches!(end(link).await, LinkError::Protocol { .. }));
}

#[tokio::test]
async fn a_peer_that_closes_tells_why_or_does_not() {
    let request = peer(|stream| async move {
        let mut socket = accept(stream).await;
        let frame = tungstenite::protocol::CloseFrame { code: 1011.into(), reason: "".into() };
        socket.close(Some(frame)).await.expect("open");
        while socket.next().await.is_some() {}
    })
    .await;
    let link = connect(&request).await.expect("a peer");
    assert_eq!(end(link).await, LinkError::Closed { code: Some(1011) });

    let request = peer(|stream| async move { drop(accept(stream).await) }).await;
    let link = connect(&request).await.expect("a peer");
    let error = end(link).await;
    let lost = matches!(error, LinkError::Closed { code: None } | LinkError::Broken { .. });
    assert!(lost, "{error:?}");
}

#[tokio::test]
async fn a_request_that_fails_says_how() {
    let refuses = peer(|mut stream| async move {
        let mut request = [0; 1_024];
        let _ = stream.read(&mut request).await;
        let answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await.expect("open");
        let _ = stream.read(&mut request).await;
    })
    .await;
    let error = connect(&refuses).await.err();
    assert_eq!(error, Some(LinkError::Refused { status: 401 }));

    let mute = peer(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let mute = LinkRequest { connect_timeout: Duration::from_millis(100), ..mute };
    assert_eq!(connect(&mute).await.err(), Some(LinkError::ConnectTimeout));

    let nobody = StdListener::bind("127.0.0.1:0").expect("loopback");
    let address = nobody.local_addr().expect("bound");
    drop(nobody);
    let error = connect(&request(format!("ws://{address}"))).await.err();
    assert!(matches!(error, Some(LinkError::Unreachable { .. })), "{error:?}");

    for (url, header) in [("http://127.0.0.1:1/", "X"), ("ws://127.0.0.1:1/", "no header")] {
        let headers = vec![(header.to_owned(), Secret::new("x"))];
        let error = connect(&LinkRequest { headers, ..request(url.to_owned()) }).await.err();
        assert!(matches!(error, Some(LinkError::Request { .. })), "{error:?}");
    }
}

/// A peer with a certificate that signs itself, and the file that holds it.
fn secure_peer() -> (SocketAddr, tempfile::NamedTempFile) {
    let certified =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let mut ca_file = tempfile::NamedTempFile::new().expect("a file");
    ca_file.write_all(certified.cert.pem().as_bytes()).expect("room");
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], PrivateKeyDer::from(key))
        .expect("a pair");
    let config = Arc::new(config);
    let listener = StdListener::bind("127.0.0.1:0").expect("loopback");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            serve_securely(stream, &config);
        }
    });
    (address, ca_file)
}

/// Sends one message back; a client that does not trust us is gone before.
fn serve_securely(stream: StdStream, config: &Arc<ServerConfig>) {
    let connection = ServerConnection::new(Arc::clone(config)).expect("a configuration");
    let Ok(mut socket) = tungstenite::accept(StreamOwned::new(connection, stream)) else { return };
    if let Ok(message) = socket.read() {
        let _ = socket.send(message);
    }
    let _ = socket.get_mut().sock.read(&mut [0; 64]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_trusted_by_its_file_only() {
    let (address, ca_file) = secure_peer();
    let request = request(format!("wss://localhost:{}", address.port()));
    let trusted = tls::client_config(Some(ca_file.path())).expect("a certificate");
    let mut link = Link::connect(&request, &SETTINGS, &trusted).await.expect("trusted");
    link.send(Message::text("secret"));
    assert_eq!(link.next().await, Ok(LinkEvent::Free));
    assert_eq!(link.next().await, Ok(LinkEvent::Text("secret".into())));
    drop(link);
    let error = connect(&request).await.err();
    let Some(LinkError::Tls { reason }) = error else { panic!("{error:?}") };
    assert!(reason.contains("ca_file"), "{reason}");
}

/// A link that was accepted, and the client at its other end.
async fn accepted(settings: &LinkSettings) -> (Link, WebSocketStream<DuplexStream>) {
    let (ours, theirs) = tokio::io::duplex(4 << 10);
    let client = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
    (Link::accept(ours, settings).await, client)
}

#[tokio::test]
async fn an_accepted_link_talks_as_one_that_we_connected() {
    let (mut link, mut client) = accepted(&SETTINGS).await;
    let echo = tokio::spawn(async move {
        let mut messages = Vec::new();
        while let Some(Ok(message)) = client.next().await {
            messages.push(message.clone());
            if !message.is_close() {
                client.send(message).await.expect("open");
            }
        }
        messages
    });
    link.send(Message::text("a word"));
    assert_eq!(link.next().await, Ok(LinkEvent::Free));
    assert_eq!(link.next().await, Ok(LinkEvent::Text("a word".into())));
    // Many times what lies between the two.
    link.send(Message::binary(vec![7; 60_000]));
    assert_eq!(link.next().await, Ok(LinkEvent::Free));
    assert_eq!(link.next().await, Ok(LinkEvent::Binary(vec![7; 60_000].into())));
    link.close().await;
    let messages = echo.await.expect("the client has read to the end");
    assert!(messages.last().expect("three").is_close(), "{messages:?}");
}

#[tokio::test]
async fn an_accepted_link_is_lost_for_the_same_reasons() {
    let ms = Duration::from_millis;
    let (link, client) = accepted(&LinkSettings { ping_every: ms(50), ..SETTINGS }).await;
    assert_eq!(end(link).await, LinkError::Silent);
    drop(client);

    let (mut link, client) = accepted(&LinkSettings { write_timeout: ms(50), ..SETTINGS }).await;
    link.send(Message::binary(vec![7; 60_000]));
    assert_eq!(end(link).await, LinkError::Stalled);
    drop(client);

    let (link, mut client) = accepted(&LinkSettings { max_message_bytes: 1_000, ..SETTINGS }).await;
    client.send(Message::binary(vec![7; 1_001])).await.expect("open");
    assert_eq!(end(link).await, LinkError::TooLong { limit: 1_000 });

    let (link, client) = accepted(&SETTINGS).await;
    drop(client);
    assert_eq!(end(link).await, LinkError::Closed { code: None });

    // What clients send is masked (RFC 6455 section 5.1).
    let (link, mut client) = accepted(&SETTINGS).await;
    client.get_mut().write_all(&[0x82, 1, 7]).await.expect("open");
    assert!(matches!(end(link).await, LinkError::Protocol { .. }));
}
