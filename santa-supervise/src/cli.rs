//! The command line: every command with its help text. What they do is in
//! [`crate::commands`].

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXIT_CODES: &str = "\
Exit codes:
  0   done
  1   failed; the message says why
  2   wrong use of the command line
  4   no santa-supervise is running
  5   not done within --timeout
  70  an internal error in santa-supervise (run)
  78  errors in the configuration (run, check)
  `run` ends with the exit code of the critical service that failed, or 0 after
  a requested stop.";

const EXAMPLES: &str = "\
Examples:
  santa-supervise run --config docker/santa.toml
  santa-supervise status --json
  santa-supervise restart backend
  santa-supervise logs backend -f";

/// Starts, watches, restarts and stops the services of docker/santa.toml.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct Common {
    /// The configuration [default: $SANTA_CONFIG, else docker/santa.toml]
    #[arg(long, short, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// The control socket [default: supervisor.control_socket of the configuration]
    #[arg(long, value_name = "PATH", global = true)]
    pub socket: Option<PathBuf>,
}

/// One service, and how long to wait for it.
#[derive(Debug, Args)]
pub struct OnService {
    /// Name of the service, or NAME:INSTANCE.
    pub name: String,
    /// How long to wait, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    pub timeout: Duration,
    /// Print the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What `wait` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Until {
    /// Ready, or completed.
    Ready,
    /// No process of it is left.
    Stopped,
}

/// All commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the services until SIGTERM or SIGINT (this is PID 1 of the container)
    ///
    /// Binds all sockets, starts the services in the order of their
    /// dependencies, restarts them when they end, and passes their output on as
    /// log lines. SIGTERM stops everything in order; a second one stops all at
    /// once, a third one kills.
    #[command(after_help = "Example:\n  santa-supervise run --config docker/santa.toml")]
    Run {
        /// Stop when standard input is closed, which means that the parent has ended.
        #[arg(long)]
        with_parent: bool,
    },
    /// Check the configuration and show the order of starts
    ///
    /// Prints every error with its place and remedy and ends with 78, or
    /// prints which services start after which.
    #[command(after_help = "Example:\n  santa-supervise check --config docker/santa.toml")]
    Check {
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show the state of all services
    #[command(
        after_help = "Examples:\n  santa-supervise status\n  santa-supervise status --json | jq '.services[].state'"
    )]
    Status {
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Start a service and wait until it is ready
    #[command(after_help = "Example:\n  santa-supervise start backend")]
    Start(OnService),
    /// Stop a service and wait until it has stopped; its sockets stay open
    #[command(after_help = "Example:\n  santa-supervise stop backend:1")]
    Stop(OnService),
    /// Stop and start a service; connections wait on its sockets meanwhile
    #[command(after_help = "Example:\n  santa-supervise restart proxy --timeout 20")]
    Restart(OnService),
    /// Start the next process of a service, stop the old one when that is ready
    ///
    /// Both share the inherited sockets meanwhile, so no request is lost. A new
    /// process that never gets ready is killed and the old one keeps serving.
    /// Instances go one after the other.
    #[command(after_help = "Example:\n  santa-supervise rolling-restart backend")]
    RollingRestart(OnService),
    /// Wait until a service is ready, or has stopped
    #[command(after_help = "Example:\n  santa-supervise wait backend --for ready --timeout 30")]
    Wait {
        /// Which service, and how long.
        #[command(flatten)]
        on: OnService,
        /// What to wait for.
        #[arg(long = "for", value_name = "STATE", default_value = "ready")]
        until: Until,
    },
    /// Make a service reload by its reload_signal, or restart it if it has none
    #[command(after_help = "Example:\n  santa-supervise reload backend")]
    Reload(OnService),
    /// Reload the configuration and apply what changed (as SIGHUP does)
    ///
    /// New services start, those that are gone stop, and of the others only
    /// what takes a new process gets one, without a gap where it can be rolled.
    /// A configuration with errors is rejected and the old one kept.
    #[command(
        after_help = "Examples:\n  santa-supervise check && santa-supervise reload-config\n  santa-supervise reload-config --json"
    )]
    ReloadConfig {
        /// Print the answer as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Send a signal to the main process of a service
    #[command(after_help = "Example:\n  santa-supervise signal backend USR1")]
    Signal {
        /// Name of the service, or NAME:INSTANCE.
        name: String,
        /// Name or number of the signal.
        signal: String,
        /// Print the answer as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show why a service is in its state
    ///
    /// What happens next and when, and the last exits with the last lines
    /// before each.
    #[command(after_help = "Example:\n  santa-supervise explain backend")]
    Explain {
        /// Name of the service, or NAME:INSTANCE.
        name: String,
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what services use, refreshed until interrupted
    #[command(
        after_help = "Examples:\n  santa-supervise top\n  santa-supervise top --once\n  santa-supervise top --json"
    )]
    Top {
        /// Seconds between refreshes.
        #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
        every: Duration,
        /// Show it once and end.
        #[arg(long)]
        once: bool,
        /// Print as JSON, once.
        #[arg(long)]
        json: bool,
    },
    /// Print all metrics as Prometheus text
    #[command(after_help = "Example:\n  santa-supervise metrics")]
    Metrics {
        /// Print the answer as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show recent output of one service or of all
    #[command(
        after_help = "Examples:\n  santa-supervise logs\n  santa-supervise logs backend -f -n 20\n  santa-supervise logs supervise"
    )]
    Logs {
        /// Name of the service, NAME:INSTANCE, or `supervise`; all without it.
        name: Option<String>,
        /// Follow new lines.
        #[arg(long, short)]
        follow: bool,
        /// How many recent lines.
        #[arg(long, short = 'n', value_name = "N", default_value = "100")]
        lines: usize,
        /// Print log records as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show every change of state as it happens
    #[command(after_help = "Example:\n  santa-supervise events --json")]
    Events {
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Stop everything in order and end
    #[command(after_help = "Example:\n  santa-supervise shutdown")]
    Shutdown {
        /// How long to wait, in seconds.
        #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
        timeout: Duration,
        /// Print the answer as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Exit 0 when healthy, else 1 (for HEALTHCHECK)
    ///
    /// Without --ready it is enough that santa-supervise answers and is not
    /// shutting down. With --ready every service that ought to be up must be
    /// ready, apart from those that failed without being critical.
    #[command(after_help = "Example:\n  santa-supervise healthcheck --ready")]
    Healthcheck {
        /// All services must be ready, too.
        #[arg(long)]
        ready: bool,
        /// Print the answer as JSON.
        #[arg(long)]
        json: bool,
    },
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 =
        text.trim_end_matches('s').parse().map_err(|_| "write a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                help.contains(&format!("santa-supervise {}", command.get_name())),
                "{}",
                command.get_name()
            );
        }
    }
}
