//! `run`: from the configuration to the event loop, and the exit code.

mod early;

use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

use santa_config::{Config, LogFormat};

use crate::cli::Common;
use crate::clock;
use crate::event_loop::{Components, EventLoop};
use crate::log_writer::Log;
use crate::os;
use crate::record::Style;
use crate::sockets::Inherited;
use crate::spawning::Spawner;
use crate::stderr::complain;

use super::{Failure, config_path, exit, parse};

pub(super) fn run(common: &Common, with_parent: bool) -> Result<i32, Failure> {
    let failed = |message| Failure { message, code: exit::FAILED };
    // Before anything here opens a descriptor that could be taken for one of these.
    let inherited = Inherited::take(&santa_config::process_env()).map_err(failed)?;
    if let Some(warning) = &inherited.warning {
        complain(&format!("warning: {warning}"));
    }
    os::seal_inherited_descriptors();
    // Signals first: they must be able to interrupt everything below, and the log
    // thread must not receive any.
    let mut os = os::open().map_err(|error| failed(format!("cannot set up signals: {error}")))?;
    let family = os::Family::new(RandomState::new().hash_one(std::process::id()));
    // While little memory is in use, because the guard keeps a copy of it.
    let guard = os::start_guard(family).unwrap_or_else(|error| {
        complain(&format!("warning: cannot start the guard process: {error}; if santa-supervise is killed, what services have started keeps running"));
        None
    });
    let path = config_path(common);
    let Some(text) = early::read_config(&mut *os, &path)? else { return Ok(exit::OK) };
    let (config, blueprints) = parse(&path, &text)?;
    let control_path =
        common.socket.clone().unwrap_or_else(|| config.supervisor.control_socket.clone());
    let Some((control, sockets)) =
        early::bind_sockets(&mut *os, &config, &blueprints, &control_path, inherited)?
    else {
        return Ok(exit::OK);
    };
    let log =
        open_log(&config).map_err(|error| failed(format!("cannot start the log: {error}")))?;
    // Differs from run to run: process numbers are reused, but not together with the time.
    let boot = format!("{:x}-{:x}", std::process::id(), clock::now());
    let seed = clock::now() ^ (u64::from(std::process::id()) << 32);
    let event_loop = EventLoop::new(Components {
        os,
        config,
        blueprints,
        config_path: path.clone(),
        load: Box::new(move |text| parse(&path, text).map_err(|failure| failure.message)),
        sockets,
        control_path,
        control,
        spawner: Spawner::new(std::env::vars_os(), boot, family),
        guard,
        log,
        seed,
    });
    let mut event_loop =
        event_loop.map_err(|error| failed(format!("cannot open the control socket: {error}")))?;
    if with_parent {
        event_loop.follow_parent().map_err(|error| {
            event_loop.remove_socket_files();
            failed(format!("--with-parent needs a pipe as standard input: {error}"))
        })?;
    }
    run_guarded(event_loop)
}

/// Runs the loop; a defect of our own must not leave services without a
/// supervisor.
fn run_guarded(mut event_loop: EventLoop) -> Result<i32, Failure> {
    match catch_unwind(AssertUnwindSafe(|| event_loop.run())) {
        Ok(Ok(code)) => Ok(code),
        Ok(Err(error)) => {
            event_loop.abandon();
            Err(Failure {
                message: format!("cannot wait for events: {error}; all services were killed"),
                code: exit::DEFECT,
            })
        }
        Err(_) => {
            event_loop.abandon();
            Err(Failure {
                message:
                    "an internal error in santa-supervise (see above); all services were killed"
                        .to_owned(),
                code: exit::DEFECT,
            })
        }
    }
}

fn open_log(config: &Config) -> io::Result<Log> {
    let terminal = io::stdout().is_terminal();
    let pretty = match config.supervisor.log.format {
        LogFormat::Auto => terminal,
        LogFormat::Json => false,
        LogFormat::Pretty => true,
    };
    let colors = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let style = if pretty { Style::Pretty { colors } } else { Style::Json };
    // Not through std's lock and buffer: only the log thread writes there.
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    Log::start(output, style, config.supervisor.log.buffer.bytes())
}
