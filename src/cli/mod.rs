//! The command line: one file for each subcommand.
//!
//! | exit code | when |
//! |---|---|
//! | 0 | it did what was asked |
//! | 1 | it failed at run time, or was stopped before its calls had ended |
//! | 64 | the command line or the configuration is wrong (`EX_USAGE` of `sysexits.h`) |

mod analyze;
mod check_config;
mod demo;
mod fixture;
mod load;
mod log;
mod open_files;
mod ready;
mod serve;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::builder::StyledStr;
use clap::{CommandFactory, Parser, Subcommand};

pub use self::analyze::AnalyzeArgs;
pub use self::check_config::CheckConfigArgs;
pub use self::demo::DemoArgs;
pub use self::load::LoadArgs;
pub use self::serve::ServeArgs;

use crate::config::{Config, ConfigErrors, Override, Sources};
use crate::server::Server;

/// Exit code for a wrong command line or configuration.
pub const EXIT_USAGE: u8 = 64;

const EXAMPLES: &str = "\
Examples:
  sidetone demo                        See it work; no Asterisk is needed
  sidetone serve                       Serve AudioSocket calls on 127.0.0.1:9092, with an echo
  sidetone serve --config FILE         Serve one Asterisk or several
  sidetone check-config FILE           Find every mistake in FILE
  sidetone load rtp --to HOST:PORT     Play thousands of callers against a server that echoes
  sidetone analyze FILE.pcap           See how the RTP of a capture would be received

In Asterisk's dialplan, without a configuration of either side:
  exten => 100,1,Answer()
   same => n,AudioSocket(${UUID()},127.0.0.1:9092)

Exit codes: 0 for success, 1 for a failure at run time, 64 for a wrong command line or
configuration.";

/// External-media server for Asterisk: takes the audio of calls out of Asterisk over RTP and
/// AudioSocket, runs it through processors, and plays what they answer back to the caller.
#[derive(Parser, Debug)]
#[command(name = "sidetone", version, after_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve calls until SIGTERM or SIGINT
    Serve(ServeArgs),
    /// Play a caller against the real server on loopback, over RTP and AudioSocket, and measure
    Demo(DemoArgs),
    Load(LoadArgs),
    /// Check a configuration, with the environment as `serve` would see it
    CheckConfig(CheckConfigArgs),
    Analyze(AnalyzeArgs),
}

/// Runs the program with its arguments, its own name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    match Cli::try_parse_from(&arguments) {
        Ok(Cli { command: Command::Serve(arguments) }) => serve::run(arguments),
        Ok(Cli { command: Command::Demo(arguments) }) => demo::run(arguments),
        Ok(Cli { command: Command::Load(arguments) }) => load::run(arguments),
        Ok(Cli { command: Command::CheckConfig(arguments) }) => check_config::run(&arguments),
        Ok(Cli { command: Command::Analyze(arguments) }) => analyze::run(&arguments),
        Err(told) => {
            // Help that cannot be printed has no reader.
            let _ = told.print();
            if !told.use_stderr() {
                return ExitCode::SUCCESS;
            }
            if !told.render().to_string().contains("Usage:") {
                eprintln!("\n{}", usage(&arguments));
            }
            ExitCode::from(EXIT_USAGE)
        }
    }
}

/// How the subcommand among `arguments` is used, or the program where there is none.
fn usage(arguments: &[OsString]) -> StyledStr {
    let mut program = Cli::command();
    program.build();
    let mut command = &mut program;
    for name in arguments.iter().skip(1) {
        if command.find_subcommand(name).is_none() {
            break;
        }
        command = command.find_subcommand_mut(name).expect("it was found just now");
    }
    command.render_usage()
}

/// The configuration of this process: `file`, its environment, and `flags`.
fn load(file: Option<&Path>, flags: Vec<Override>) -> Result<Config, ConfigErrors> {
    let sources = Sources { file, environment: std::env::vars_os().collect(), flags };
    Config::load(sources, &Server::PROCESSORS)
}
