//! The examples, by calls through them.

#[path = "../examples/beep/beep.rs"]
mod beep;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sidetone::config::{Config, Sources};
use sidetone::dsp::level::rms_dbov;
use sidetone::server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Far beyond what any step takes.
const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn whoever_calls_the_example_hears_a_beep_for_each_key() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/beep/sidetone.toml");
    let sources = Sources { file: Some(&file), ..Sources::default() };
    let processors = [&Server::PROCESSORS[..], &["beep"]].concat();
    let mut config = Config::load(sources, &processors).expect("the example's file is valid");
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    (config.runtime.shards, config.runtime.rtp.port) = (1, 0);
    (config.runtime.audiosocket.bind, config.api.bind) = (free, free);
    config.server.grace = Duration::ZERO;
    let server = Server::start(&config, |registry| {
        registry.add_processor("beep", Arc::new(beep::BeepFactory));
    })
    .await
    .expect("the server starts");

    let address = server.audiosocket_address().expect("a listener");
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let uuid_frame = [&[1, 0, 16][..], &[7; 16]].concat();
    let silence = [&[0x10, 0x01, 0x40][..], &[0; 320]].concat();
    stream.write_all(&uuid_frame).await.expect("the UUID is sent");
    stream.write_all(&silence).await.expect("audio is sent");
    for key in *b"5#" {
        stream.write_all(&[3, 0, 1, key]).await.expect("the key is sent");
        let mut beep = 0;
        loop {
            let audible = rms_dbov(&next(&mut stream).await) > -20.0;
            beep += u32::from(audible);
            if beep > 0 && !audible {
                break;
            }
        }
        assert_eq!(beep, 5, "frames of 20 ms");
    }
    server.stop().await;
}

/// The next frame that the caller hears.
async fn next(stream: &mut TcpStream) -> Vec<i16> {
    let mut frame = [0; 323];
    timeout(LIMIT, stream.read_exact(&mut frame)).await.expect("in time").expect("audio");
    assert_eq!(frame[..3], [0x10, 0x01, 0x40], "20 ms of 8 kHz audio");
    frame[3..].chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect()
}
