//! The program `sidetone`: see [`sidetone::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    sidetone::cli::run(std::env::args_os())
}
