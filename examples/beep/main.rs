//! A server with a processor of one's own.
//!
//! `cargo run --example beep -- examples/beep/sidetone.toml`, and whoever calls hears a beep for each
//! key.

mod beep;

use std::path::PathBuf;
use std::sync::Arc;

use sidetone::config::{Config, Sources};
use sidetone::server::Server;

use beep::BeepFactory;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args_os().nth(1).map(PathBuf::from);
    let environment = std::env::vars_os().collect();
    let sources = Sources { file: file.as_deref(), environment, ..Sources::default() };
    // What pipelines of the file may name.
    let processors = [&Server::PROCESSORS[..], &["beep"]].concat();
    let config = Config::load(sources, &processors)?;
    let server = Server::start(&config, |registry| {
        registry.add_processor("beep", Arc::new(BeepFactory));
    })
    .await?;
    if let Some(address) = server.audiosocket_address() {
        println!("AudioSocket on {address}");
    }
    server
        .run_until(async {
            // Without a way to be told of the end there is none.
            let _ = tokio::signal::ctrl_c().await;
        })
        .await;
    Ok(())
}
