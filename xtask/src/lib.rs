//! `cargo xtask`: builds, runs and checks SantaServer. This file is the list of
//! commands; each lives in the file of its name under `commands/`. What is public is
//! for `xtask/bench`, which is compiled only when it is asked for.

#![warn(clippy::print_stderr, clippy::print_stdout)]

#[macro_use]
pub mod terminal;

pub mod cache;
pub mod commands;
mod environment;
pub mod files;
pub mod fingerprint;
mod guard;
pub mod http;
pub mod layout;
pub mod lock;
mod odd_paths;
pub mod platform;
pub mod ports;
mod private;
mod program;
pub mod progress;
pub mod repo;
pub mod run;
pub mod shipped;
pub mod supervisor;
pub mod tools;
pub mod wait;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use commands::{
    bench, build, ci, codegen, db, deploy, dev, doctor, fmt, fuzz, image, model, release, soak,
};

/// Builds, runs and checks SantaServer.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    disable_help_subcommand = true,
    after_help = "Start here:\n  cargo xtask dev     everything running, with a demo fleet\n  \
                  cargo xtask ci      every check\n\n\
                  Exit codes: 0 done, 1 a check or step failed, 2 usage, 130 interrupted."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything with a demo fleet and hot reload
    Dev(dev::Args),
    /// Build the binaries, the console and the backend into dist/
    Build(build::Args),
    /// Build the container image, without a container engine
    Image(image::Args),
    /// Run the checks
    Ci(ci::Args),
    /// Benchmark the parts beside their peers on this machine
    Bench(bench::Args),
    /// Run simulated Macs against the backend with injected faults, and check every Mac's rules
    Model(model::Args),
    /// Run the whole server under load with random faults, and check that nothing is lost and nothing leaks
    Soak(soak::Args),
    /// Fuzz santa-proxy's parsers
    Fuzz(fuzz::Args),
    /// Write generated files: openapi.json, the typed client, the configuration reference
    Codegen(codegen::Args),
    /// Replace the running container; roll back when the new one does not become ready
    Deploy(deploy::Args),
    /// Return to the image that ran before the last deploy
    Rollback(deploy::RollbackArgs),
    /// Make a release: changelog, version, commit, image, tag
    Release(release::Args),
    /// Format all sources
    Fmt(fmt::Args),
    /// Manage the embedded database
    Db(db::Args),
    /// Report what is installed, what is missing and how to get it
    Doctor(doctor::Args),
    /// End what a killed xtask has left (started by xtask itself)
    #[command(name = guard::COMMAND, hide = true)]
    Guard,
    /// Answer in a container (started by cargo xtask ci image)
    #[command(name = ci::reach::COMMAND, hide = true)]
    Greet {
        /// The port to answer on
        port: u16,
    },
}

/// Carries out the command that this program was called with.
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    match command {
        Command::Guard => {
            guard::run();
            return ExitCode::SUCCESS;
        }
        Command::Greet { port } => return report(ci::reach::greet(port)),
        _ => {}
    }
    if let Err(error) = set_out() {
        return report(Err(error));
    }
    if matches!(command, Command::Ci(_)) {
        environment::forget_engines();
    }
    report(match command {
        Command::Dev(args) => dev::run(&args),
        Command::Build(args) => build::run(&args),
        Command::Image(_) => image::run(),
        Command::Ci(args) => ci::run(&args),
        Command::Codegen(args) => codegen::run(&args),
        Command::Bench(_) => bench::run(),
        Command::Model(args) => model::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Deploy(args) => deploy::run(&args),
        Command::Rollback(args) => deploy::rollback(&args),
        Command::Release(args) => release::run(&args),
        Command::Fmt(args) => fmt::run(&args),
        Command::Db(args) => db::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Guard | Command::Greet { .. } => Ok(()),
    })
}

/// Which container engines a program may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engines {
    /// Those that the user's environment leads to.
    Users,
    /// Its own alone.
    Own,
}

/// Runs a part of xtask that is a program of its own.
pub fn part(engines: Engines, work: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|word| word == guard::COMMAND) {
        guard::run();
        return ExitCode::SUCCESS;
    }
    report(set_out().and_then(|()| {
        if engines == Engines::Own {
            environment::forget_engines();
        }
        work()
    }))
}

/// What comes before all work, while there is one thread.
fn set_out() -> anyhow::Result<()> {
    repo::find()?;
    environment::clean();
    private::tighten_umask();
    Ok(())
}

/// The exit code, and what went wrong.
fn report(result: anyhow::Result<()>) -> ExitCode {
    match result.and_then(|()| terminal::check()) {
        Ok(()) => ExitCode::SUCCESS,
        // What fails after Ctrl-C, fails because of it.
        Err(error) if run::is_interruption(&error) => ExitCode::from(130),
        Err(error) => {
            err!("{} {error:#}", progress::red("error:"));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn every_command_explains_itself_with_an_example() {
        let cli = Cli::command();
        cli.clone().debug_assert();
        for command in cli.get_subcommands().filter(|command| !command.is_hide_set()) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "{} has no example", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{argument} of {}", command.get_name());
            }
        }
    }
}
