//! The command line.

use std::path::PathBuf;

use clap::Parser;

const EXAMPLES: &str = "\
Examples:
  santa-proxy --config docker/santa.toml
      Serve in the foreground until SIGTERM.
  santa-proxy --config docker/santa.toml --check
      Check the configuration and the console's files, print every error, exit.
  SANTA__PROXY__WORKERS=1 santa-proxy --config docker/santa.toml
      Override a value of the file.
  kill -HUP PID
      Reload the configuration, the console's files and the certificates without
      dropping a connection; listening addresses and workers need a restart.

Environment:
  LISTEN_FDS, LISTEN_FDNAMES, LISTEN_PID
      Inherited listening sockets, from descriptor 3 on; those named like
      proxy.socket and proxy.tls.socket are used. Others are bound here.
  SANTA__SECTION__KEY
      Override any value of the configuration.

Signals:
  SIGTERM, SIGINT   stop accepting, finish open requests, exit 0
  SIGHUP            reload

Exit codes:
  0   done              1   cannot serve (address taken, console missing)
  2   usage error       78  errors in the configuration";

/// The HTTP front of SantaServer: console, API and WebSocket on one port.
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
