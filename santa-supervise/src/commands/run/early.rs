//! What happens before the event loop runs and may hang, on a mount whose server
//! is gone or a pipe that nobody fills: done by workers, so that a signal still
//! stops santa-supervise.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};

use santa_config::{Address, Config, Diagnostics, signal};

use crate::commands::{Failure, exit};
use crate::event_loop::{CONTROL_BACKLOG, CONTROL_MODE};
use crate::files::LARGEST_CONFIG;
use crate::os::{self, Interest, Os, Token, Wake, Worker};
use crate::plan::Blueprint;
use crate::sockets::{Batch, FileTask, Inherited, Listener, READ_ONLY, Sockets, ToBind};
use crate::stderr::complain;

/// A wait that takes longer than this is reported.
const LONG: Duration = Duration::from_secs(10);

/// How long sockets may still take to be bound when a signal asks us to end: then
/// it is known which files to remove.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The only descriptor that is waited for; the event loop counts from 1.
const ONLY: Token = 0;

/// What the first byte of the reader's answer says of the rest.
const TEXT: u8 = b't';
const PROBLEM: u8 = b'p';

/// The text of the configuration, which may be of any kind of file; none when
/// we are to end before it is there.
pub(super) fn read_config(os: &mut dyn Os, path: &Path) -> Result<Option<String>, Failure> {
    let failed = |error| Failure {
        message: format!("cannot start a process that reads {}: {error}", path.display()),
        code: exit::FAILED,
    };
    let work = |output: &mut File| {
        let (kind, answer) = match read(path) {
            Ok(text) => (TEXT, text),
            Err(error) => (PROBLEM, Diagnostics::unreadable(path, &error).to_string()),
        };
        // Without santa-supervise nobody reads it.
        let _ = output.write_all(&[&[kind], answer.as_bytes()].concat());
    };
    let reader = os::fork_reader(&work).map_err(failed)?;
    let what = format!("reading {}", path.display());
    let Answer { bytes, ended } = answer_of(os, reader, &what, Duration::ZERO).map_err(failed)?;
    if ended {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(bytes.get(1..).unwrap_or_default()).into_owned();
    match bytes.first() {
        Some(&TEXT) => Ok(Some(text)),
        Some(_) => Err(Failure { message: text, code: exit::CONFIG }),
        None => Err(failed(io::Error::other("it was killed"))),
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST_CONFIG + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_CONFIG {
        return Err(io::Error::other(format!("it has more than {LARGEST_CONFIG} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))
}

/// The control socket and those of the services, `inherited` ones among them; none when we are to end before
/// they are bound. On a read-only file system there is no control socket, which is
/// no reason not to run.
pub(super) fn bind_sockets(
    os: &mut dyn Os,
    config: &Config,
    blueprints: &[Blueprint],
    control: &Path,
    inherited: Inherited,
) -> Result<Option<(Option<Listener>, Sockets)>, Failure> {
    let failed = |message| Failure { message, code: exit::FAILED };
    let refused = |error| failed(format!("cannot start a process that binds sockets: {error}"));
    let mut sockets = Sockets::inheriting(inherited, config, blueprints)
        .map_err(|problems| failed(problems.join("\n")))?;
    let own = ToBind { path: control.to_owned(), mode: CONTROL_MODE, backlog: CONTROL_BACKLOG };
    let mut wanted = sockets.to_bind(config, blueprints);
    wanted.push(own);
    let batch = Batch::new(wanted).map_err(refused)?;
    let (fds, binder) = (batch.fds(), batch.binder());
    let worker = os::fork_worker(&fds, &|output, fds| binder.bind(fds, output)).map_err(refused)?;
    let what = "binding sockets";
    let Answer { bytes, ended } = answer_of(os, worker, what, TIMEOUT).map_err(refused)?;
    let mut bound = batch.listeners(&bytes);
    if ended {
        sockets.give_up(bound);
        remove(os, sockets.take_file_tasks());
        return Ok(None);
    }
    let name = control.display();
    let control = match bound.remove(&Address::Unix(control.to_owned())) {
        Some(Ok(listener)) => Ok(Some(listener)),
        Some(Err(problem)) if problem == READ_ONLY => {
            let directory = control.parent().unwrap_or(Path::new("/")).display();
            complain(&format!(
                "warning: {directory} is read-only, so there is no control socket; mount a tmpfs there to use status and restart"
            ));
            Ok(None)
        }
        Some(Err(problem)) => {
            Err(format!("supervisor.control_socket: cannot listen on {name}: {problem}"))
        }
        None => Ok(None),
    };
    let adapted = match &control {
        Ok(_) => sockets.adapt(config, blueprints, bound).map_err(|problems| problems.join("\n")),
        Err(_) => {
            sockets.give_up(bound);
            Ok(())
        }
    };
    match (control, adapted) {
        (Ok(control), Ok(())) => {
            sockets.examine(config, blueprints);
            Ok(Some((control, sockets)))
        }
        (Err(problem), _) | (Ok(None), Err(problem)) => {
            remove(os, sockets.take_file_tasks());
            Err(failed(problem))
        }
        (Ok(Some(control)), Err(problem)) => {
            let mut file_tasks = sockets.take_file_tasks();
            file_tasks.extend(control.file().cloned().map(FileTask::Remove));
            remove(os, file_tasks);
            Err(failed(problem))
        }
    }
}

/// Removes sockets that will not be used.
fn remove(os: &mut dyn Os, file_tasks: Vec<FileTask>) {
    let work = |_: &mut File, _: &[RawFd]| file_tasks.iter().for_each(FileTask::perform);
    // What cannot be removed is taken over by the next start.
    let worker = os::fork_worker(&[], &work);
    let _ = worker.and_then(|worker| answer_of(os, worker, "removing sockets", Duration::ZERO));
}

/// How a worker ended.
struct Answer {
    bytes: Vec<u8>,
    /// Whether a signal has asked us to end.
    ended: bool,
}

/// Waits until a worker has ended; once a signal asks us to end, for no longer than
/// `timeout`. `what` it does is reported when it takes long.
fn answer_of(os: &mut dyn Os, worker: Worker, what: &str, timeout: Duration) -> io::Result<Answer> {
    os.watch(worker.output.as_fd(), ONLY, Interest::Read)?;
    let mut long = Some(Instant::now() + LONG);
    let mut end = None;
    let (mut bytes, mut wakes) = (Vec::new(), Vec::new());
    let mut done = false;
    while !done || !worker.has_ended() {
        wakes.clear();
        let due = end.or(long).map(|due: Instant| due.saturating_duration_since(Instant::now()));
        os.wait(due, &mut wakes)?;
        let now = Instant::now();
        if let (None, Some(signal)) = (end, wakes.iter().find_map(asks_to_end)) {
            complain(&format!("{} received while {what}", signal::name(signal)));
            end = Some(now + timeout);
        }
        if !done && wakes.contains(&Wake::Io(ONLY)) {
            done = !read_more(&worker, &mut bytes);
            if done {
                os.forget(worker.output.as_fd(), ONLY);
            }
        }
        if end.is_some_and(|end| end <= now) {
            worker.kill();
            break;
        }
        if long.take_if(|due| *due <= now).is_some() {
            complain(&format!(
                "{what} takes long; is a mount hanging, or nobody writing to a pipe?"
            ));
        }
    }
    if !done {
        os.forget(worker.output.as_fd(), ONLY);
    }
    Ok(Answer { bytes, ended: end.is_some() })
}

fn asks_to_end(wake: &Wake) -> Option<i32> {
    match wake {
        Wake::Signal(signal) if os::ENDING.contains(signal) => Some(*signal),
        _ => None,
    }
}

/// Takes what a worker has written; whether there may be more.
fn read_more(worker: &Worker, bytes: &mut Vec<u8>) -> bool {
    let mut buffer = [0u8; 16 * 1024];
    match rustix::io::read(&worker.output, &mut buffer) {
        Ok(read @ 1..) => bytes.extend_from_slice(&buffer[..read]),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
        Ok(0) | Err(_) => return false,
    }
    true
}
