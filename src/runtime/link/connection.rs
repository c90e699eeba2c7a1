use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::Either;
use futures_util::{SinkExt, StreamExt};
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Interval, MissedTickBehavior, Sleep, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
};

use super::{LinkError, LinkRequest, LinkSettings};

/// What is read from the socket at once. Results are short, and there may be thousands of links.
const READ_BUFFER_BYTES: usize = 8 << 10;

/// How long a peer may take to close its side.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// A close frame without a code (RFC 6455 section 7.1.5).
const NO_CODE: u16 = 1_005;

/// Pings without a message behind them, after which a peer is dead.
const MOST_SILENT_PINGS: u32 = 2;

/// The bytes below a connection that was accepted, whatever brought it.
pub(crate) trait Carrier: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Carrier for T {}

/// What we connected, or what was accepted.
type Socket = Either<WebSocketStream<MaybeTlsStream<TcpStream>>, WebSocketStream<Box<dyn Carrier>>>;

/// One connection, on which one message at a time is sent while messages are received.
pub(crate) struct Link {
    socket: Socket,
    sending: Option<Sending>,
    ping: Interval,
    silent_pings: u32,
    write_timeout: Duration,
    max_message_bytes: usize,
}

/// A message that has not left yet.
struct Sending {
    /// `None`: the socket has it, but not all of it has left.
    message: Option<Message>,
    /// Set where it could not leave at once.
    deadline: Option<Pin<Box<Sleep>>>,
}

/// What happens on a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum LinkEvent {
    /// What was sent has left: the link takes the next message.
    Free,
    /// A message of text.
    Text(Utf8Bytes),
    /// A message of bytes.
    Binary(Bytes),
}

impl From<crate::processor::Message> for Message {
    fn from(message: crate::processor::Message) -> Self {
        match message {
            crate::processor::Message::Text(text) => Self::text(text),
            crate::processor::Message::Binary(bytes) => Self::binary(bytes),
        }
    }
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// [`LinkError`], within [`LinkRequest::connect_timeout`].
    ///
    /// # Cancel safety
    /// Dropped before its end, it closes what was opened.
    pub(crate) async fn connect(
        request: &LinkRequest,
        settings: &LinkSettings,
        tls: &Arc<ClientConfig>,
    ) -> Result<Self, LinkError> {
        let handshake = handshake(request)?;
        let config = config(settings);
        let connector = Connector::Rustls(Arc::clone(tls));
        let connecting =
            connect_async_tls_with_config(handshake, Some(config), true, Some(connector));
        match timeout(request.connect_timeout, connecting).await {
            Ok(Ok((socket, _))) => Ok(Self::over(Either::Left(socket), settings)),
            Ok(Err(failure)) => Err(LinkError::connecting(&failure)),
            Err(_) => Err(LinkError::ConnectTimeout),
        }
    }

    /// Takes over a connection whose request has been answered: what comes next on it is the
    /// WebSocket protocol, and we are its server.
    ///
    /// # Cancel safety
    /// Dropped before its end, it closes the connection.
    pub(crate) async fn accept(stream: impl Carrier + 'static, settings: &LinkSettings) -> Self {
        let stream: Box<dyn Carrier> = Box::new(stream);
        let config = config(settings);
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        Self::over(Either::Right(socket), settings)
    }

    fn over(socket: Socket, settings: &LinkSettings) -> Self {
        let mut ping = interval(settings.ping_every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.reset();
        Self {
            socket,
            sending: None,
            ping,
            silent_pings: 0,
            write_timeout: settings.write_timeout,
            max_message_bytes: settings.max_message_bytes,
        }
    }

    /// Whether the link takes a message.
    pub(crate) fn is_free(&self) -> bool {
        self.sending.is_none()
    }

    /// Sends a message, as soon as [`Link::next`] is awaited.
    ///
    /// # Panics
    /// Where the link is not free.
    pub(crate) fn send(&mut self, message: impl Into<Message>) {
        assert!(self.is_free(), "one message at a time");
        self.sending = Some(Sending { message: Some(message.into()), deadline: None });
    }

    /// Sends and receives until something happens.
    ///
    /// # Errors
    /// [`LinkError`]: the link is lost, drop it.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped before its end.
    pub(crate) async fn next(&mut self) -> Result<LinkEvent, LinkError> {
        poll_fn(|cx| self.poll(cx, true)).await
    }

    /// Sends until something happens, and reads nothing: so the peer has to wait in the end. It counts
    /// as alive meanwhile.
    ///
    /// # Errors
    /// # Cancel safety
    /// As for [`Link::next`].
    pub(crate) async fn next_sent(&mut self) -> Result<LinkEvent, LinkError> {
        poll_fn(|cx| self.poll(cx, false)).await
    }

    /// Closes the connection behind what is being sent, and waits a little for the peer to do so too.
    /// What the peer sends meanwhile is lost.
    pub(crate) async fn close(mut self) {
        let closing = async {
            let sent = poll_fn(|cx| self.poll_sending(cx)).await;
            if sent.is_some_and(|sent| sent.is_err()) {
                return;
            }
            if self.socket.send(Message::Close(None)).await.is_ok() {
                while let Some(Ok(_)) = self.socket.next().await {}
            }
        };
        // A peer that does not answer has been told as well as it could be.
        let _ = timeout(CLOSE_LIMIT, closing).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>, reads: bool) -> Poll<Result<LinkEvent, LinkError>> {
        loop {
            match self.poll_sending(cx) {
                Poll::Ready(Some(outcome)) => return Poll::Ready(outcome),
                Poll::Ready(None) | Poll::Pending => {}
            }
            if self.ping.poll_tick(cx).is_ready() {
                if !reads {
                    self.silent_pings = 0;
                    continue;
                }
                if self.silent_pings >= MOST_SILENT_PINGS {
                    return Poll::Ready(Err(LinkError::Silent));
                }
                self.silent_pings += 1;
                if self.is_free() {
                    self.send(Message::Ping(Bytes::new()));
                }
                // To be polled, too.
                continue;
            }
            if !reads {
                return Poll::Pending;
            }
            let received = ready!(self.socket.poll_next_unpin(cx));
            self.silent_pings = 0;
            return Poll::Ready(match received {
                Some(Ok(Message::Text(text))) => Ok(LinkEvent::Text(text)),
                Some(Ok(Message::Binary(bytes))) => Ok(LinkEvent::Binary(bytes)),
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map_or(NO_CODE, |frame| frame.code.into());
                    Err(LinkError::Closed { code: Some(code) })
                }
                Some(Ok(_)) => continue,
                Some(Err(failure)) => Err(LinkError::connected(&failure, self.max_message_bytes)),
                None => Err(LinkError::Closed { code: None }),
            });
        }
    }

    /// Ready with `None` where there is nothing to send.
    fn poll_sending(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<LinkEvent, LinkError>>> {
        let Some(sending) = &mut self.sending else { return Poll::Ready(None) };
        let socket = &mut self.socket;
        let mut step = || {
            if sending.message.is_some() {
                ready!(socket.poll_ready_unpin(cx))?;
                if let Some(message) = sending.message.take() {
                    socket.start_send_unpin(message)?;
                }
            }
            socket.poll_flush_unpin(cx)
        };
        let outcome = match step() {
            Poll::Ready(Ok(())) => Ok(LinkEvent::Free),
            Poll::Ready(Err(failure)) => {
                Err(LinkError::connected(&failure, self.max_message_bytes))
            }
            Poll::Pending => {
                let timeout = self.write_timeout;
                let deadline = sending.deadline.get_or_insert_with(|| Box::pin(sleep(timeout)));
                ready!(deadline.as_mut().poll(cx));
                Err(LinkError::Stalled)
            }
        };
        self.sending = None;
        Poll::Ready(Some(outcome))
    }
}

fn config(settings: &LinkSettings) -> WebSocketConfig {
    let limit = Some(settings.max_message_bytes);
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(limit)
        .max_frame_size(limit)
}

fn handshake(request: &LinkRequest) -> Result<Request, LinkError> {
    let wrong = |reason: String| LinkError::Request { reason };
    let mut handshake =
        request.url.as_str().into_client_request().map_err(|error| wrong(error.to_string()))?;
    if !matches!(handshake.uri().scheme_str(), Some("ws" | "wss")) {
        return Err(wrong("the URL is neither ws:// nor wss://".to_owned()));
    }
    for (name, value) in &request.headers {
        let refuse = |what: &str| wrong(format!("the header {name:?} {what}"));
        let name = name.parse::<HeaderName>().map_err(|_| refuse("has no name of a header"))?;
        let mut value = HeaderValue::from_str(value.reveal())
            .map_err(|_| refuse("has a value that no header can have"))?;
        value.set_sensitive(true);
        handshake.headers_mut().insert(name, value);
    }
    Ok(handshake)
}
