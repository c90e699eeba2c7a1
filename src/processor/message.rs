/// A message to or from somebody on a WebSocket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// As text.
    Text(String),
    /// As bytes.
    Binary(Vec<u8>),
}
