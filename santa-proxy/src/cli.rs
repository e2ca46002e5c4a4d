//! The command line.

use std::path::PathBuf;

use clap::Parser;

const EXAMPLES: &str = "\
Examples:
  santa-proxy --config docker/santa.toml
      Serve in the foreground until SIGTERM.
  santa-proxy --config docker/santa.toml --check
      Check the configuration and the console's files, print every mistake, exit.
  SANTA__PROXY__WORKERS=1 santa-proxy --config docker/santa.toml
      Override a value of the file.
  kill -HUP PID
      Read the configuration and the console's files again without dropping a
      connection; listening addresses and the number of workers stay as they are.

Environment:
  LISTEN_FDS, LISTEN_FDNAMES, LISTEN_PID
      Listening sockets handed down, from descriptor 3 on; the one called like
      proxy.socket is used. Without it the address of [socket.NAME] is bound.
  SANTA__SECTION__KEY
      Override any value of the configuration.

Signals:
  SIGTERM, SIGINT   stop accepting, finish what is under way, exit 0
  SIGHUP            reload

Exit codes:
  0   done              1   cannot serve (address taken, console missing)
  2   wrong usage       78  mistakes in the configuration";

/// The public face of SantaServer: console, API and WebSocket on one port.
#[derive(Debug, Parser)]
#[command(name = "santa-proxy", version, after_help = EXAMPLES, after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Configuration file (docker/santa.toml in the repository)
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,

    /// Check the configuration and the console's files, then exit
    #[arg(long)]
    pub check: bool,
}
