//! `sidetone check-config`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{EXIT_USAGE, load};
use crate::config::Config;
use crate::runtime::Accept;

/// Arguments of `sidetone check-config`.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub struct CheckConfigArgs {
    /// Configuration (TOML)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

pub(super) fn run(arguments: &CheckConfigArgs) -> ExitCode {
    match load(Some(&arguments.file), Vec::new()) {
        Ok(config) => match print(&arguments.file, &config, &mut io::stdout().lock()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(errors) => {
            eprintln!("{errors}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

/// What would run.
fn print(file: &Path, config: &Config, out: &mut impl Write) -> io::Result<()> {
    let rtp = &config.runtime.rtp;
    let audiosocket = &config.runtime.audiosocket;
    writeln!(out, "{}: ok", file.display())?;
    let shards = match config.runtime.shards {
        0 => "one shard per core".to_owned(),
        1 => "one shard".to_owned(),
        count => format!("{count} shards"),
    };
    let port = if rtp.port == 0 { "any".to_owned() } else { format!("from {}", rtp.port) };
    writeln!(
        out,
        "  rtp          {}, ports {port}, {shards}; {}, at most {} calls",
        rtp.bind,
        who(rtp.accept),
        rtp.max_calls
    )?;
    if audiosocket.enabled {
        writeln!(
            out,
            "  audiosocket  {}; {}, at most {} connections",
            audiosocket.bind,
            who(audiosocket.accept),
            audiosocket.max_connections
        )?;
    } else {
        writeln!(out, "  audiosocket  off")?;
    }
    if config.api.enabled {
        writeln!(out, "  api          http://{}", config.api.bind)?;
    } else {
        writeln!(out, "  api          off")?;
    }
    for (name, processors) in &config.pipelines.named {
        let default = if *name == config.pipelines.default { " (default)" } else { "" };
        writeln!(out, "  pipeline     {name}{default}: {}", processors.join(", "))?;
    }
    writeln!(out, "  recordings   {}", config.recorder.directory.display())?;
    for block in &config.asterisk {
        writeln!(
            out,
            "  asterisk     {}: {} as {}, app {}, {} over {}, pipeline {}",
            block.name, block.url, block.user, block.app, block.format, block.media, block.pipeline
        )?;
    }
    if config.asterisk.is_empty() {
        writeln!(out, "  asterisk     none: calls come without ARI only")?;
    }
    for warning in config.warnings() {
        writeln!(out, "  warning      {warning}")?;
    }
    out.flush()
}

const fn who(accept: Accept) -> &'static str {
    match accept {
        Accept::Registered => "announced calls only",
        Accept::Any => "anybody",
    }
}
