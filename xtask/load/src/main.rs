//! `santa-load`: the load generator and the canned backend of `cargo xtask bench`.
//!
//! One thread, so that it can be pinned to a core of its own. Every command
//! ends with one line of JSON on standard output:
//!
//! | command | what it does | its line |
//! |---|---|---|
//! | `http` | requests over kept or new connections or HTTP/2 streams, as fast as they are answered or at a fixed rate | [`report::Http`] |
//! | `ws` | WebSockets that send a message and wait for its echo, likewise | [`report::WebSocket`] |
//! | `fleet` | Macs that sync with a SantaServer, or only upload events | [`report::Fleet`] |
//! | `consoles` | pages that hear the news; says `{"held":N}`, counts until its input ends | [`report::Consoles`] |
//! | `hold` | opens idle connections or WebSockets, says `{"held":N}`, keeps them until its input ends | [`report::Held`] |
//! | `slow` | clients that begin requests and never end them; says `{"held":N}`, goes on until its input ends | [`report::Held`] |
//! | `serve` | the canned backend; says `{"listening":ADDRESS}` and serves until it is stopped | |
//! | `certificate` | an authority and a certificate for `localhost`, as PEM files | |
//!
//! Latencies at a fixed rate count from the moment when a request was due, not
//! from when it could be sent, so that a server that stalls is charged for all
//! that had to wait (no coordinated omission).

mod certificate;
mod consoles;
mod content;
mod events;
mod fleet;
mod hold;
mod http;
mod http2;
mod message;
mod pace;
mod report;
mod serve;
mod slow;
mod target;
mod websocket;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use target::{Protocol, Target};

/// Load generator and canned backend of `cargo xtask bench`.
#[derive(Parser)]
#[command(name = "santa-load", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make requests over HTTP/1.1, or over HTTP/2 with --streams
    Http(http::Args),
    /// Send messages over WebSockets and wait for their echo
    Ws(websocket::Args),
    /// Let a fleet of Macs sync with a SantaServer
    Fleet(fleet::Args),
    /// Open pages of the console and count what they hear until standard input ends
    Consoles(consoles::Args),
    /// Open connections and keep them idle until standard input ends
    Hold(hold::Args),
    /// Begin requests that never end, until standard input does
    Slow(slow::Args),
    /// Respond with canned content: /…/bytes/N with N bytes, WebSockets with an echo
    Serve {
        /// Where: ADDRESS:PORT or unix:/absolute/path
        #[arg(long, value_name = "ADDRESS")]
        listen: target::Place,
    },
    /// Write ca.pem, certificate.pem and key.pem for localhost
    Certificate {
        /// Into which folder
        #[arg(long)]
        directory: PathBuf,
    },
}

/// Where to, and for how long: what all load has in common.
#[derive(clap::Args, Debug, Clone)]
struct Common {
    /// The server: ADDRESS:PORT or unix:/absolute/path
    #[arg(long, value_name = "ADDRESS")]
    to: target::Place,
    /// Speak TLS and trust the authority in this file (PEM)
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Connections at a time
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// A field line of each request, as NAME:VALUE; may be repeated
    #[arg(long, value_name = "FIELD")]
    header: Vec<String>,
}

impl Common {
    /// Where HTTP/1.1 is spoken.
    fn target(&self) -> Result<Target> {
        self.target_for(Protocol::Http1)
    }

    fn target_for(&self, protocol: Protocol) -> Result<Target> {
        Target::new(self.to.clone(), protocol, self.ca.as_deref())
    }
}

/// A number of seconds, such as `2` or `0.5`.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("must be above 0".to_owned()) } else { Ok(duration) }
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("santa-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .context("cannot set up the runtime")?;
    runtime.block_on(async {
        match command {
            Command::Http(args) => report::print(&http::run(args).await?),
            Command::Ws(args) => report::print(&websocket::run(args).await?),
            Command::Fleet(args) => report::print(&fleet::run(args).await?),
            Command::Consoles(args) => consoles::run(args).await,
            Command::Hold(args) => hold::run(args).await,
            Command::Slow(args) => slow::run(args).await,
            Command::Serve { listen } => serve::run(listen).await,
            Command::Certificate { directory } => certificate::write(&directory),
        }
    })
}
