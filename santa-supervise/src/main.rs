//! The command `santa-supervise`: arguments in, exit code out.

use clap::Parser;
use santa_supervise::cli::Cli;
use santa_supervise::commands;

fn main() {
    let code = match commands::perform(Cli::parse()) {
        Ok(code) => code,
        Err(failure) => {
            for line in failure.message.lines() {
                eprintln!("santa-supervise: {line}");
            }
            failure.code
        }
    };
    std::process::exit(code);
}
