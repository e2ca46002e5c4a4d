//! The command `santa-supervise`: arguments in, exit code out.

use clap::Parser;
use santa_supervise::cli::Cli;
use santa_supervise::{commands, stderr};

fn main() {
    let code = match commands::perform(Cli::parse()) {
        Ok(code) => code,
        Err(failure) => {
            stderr::complain(&failure.message);
            failure.code
        }
    };
    std::process::exit(code);
}
