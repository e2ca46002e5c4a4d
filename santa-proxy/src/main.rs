//! Command line in, exit code out; everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use santa_proxy::cli::Arguments;
use santa_proxy::lifecycle::{self, Failure};

/// `EX_CONFIG` of sysexits.h.
const EX_CONFIG: u8 = 78;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = if arguments.check {
        lifecycle::check(&arguments.config)
    } else {
        lifecycle::serve(&arguments.config)
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Config(errors)) => {
            eprint!("{errors}");
            ExitCode::from(EX_CONFIG)
        }
        Err(Failure::Other(error)) => {
            eprintln!("santa-proxy: {error:#}");
            if arguments.check { ExitCode::from(EX_CONFIG) } else { ExitCode::FAILURE }
        }
    }
}
