//! What happens before the event loop runs and may hang, on a mount whose server
//! is gone or a pipe that nobody fills: done by a process of our own, so that a
//! signal ends us all the same.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use santa_config::{Mistakes, signal};

use crate::commands::{Failure, complain, exit};
use crate::files::LARGEST_CONFIG;
use crate::os::{self, Interest, Os, Token, Wake, Worker};

/// A wait that takes longer than this is told.
const LONG: Duration = Duration::from_secs(10);

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
            Err(error) => (PROBLEM, Mistakes::unreadable(path, &error).to_string()),
        };
        // Without us there is nobody to tell.
        let _ = output.write_all(&[&[kind], answer.as_bytes()].concat());
    };
    let reader = os::fork_reader(&work).map_err(failed)?;
    let what = format!("reading {}", path.display());
    let Some(told) = answer_of(os, reader, &what).map_err(failed)? else { return Ok(None) };
    let text = String::from_utf8_lossy(told.get(1..).unwrap_or_default()).into_owned();
    match told.first() {
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

/// What a worker has written when it has ended; none when a signal has asked us
/// to end. `what` it does is told when it takes long.
fn answer_of(os: &mut dyn Os, worker: Worker, what: &str) -> io::Result<Option<Vec<u8>>> {
    os.watch(worker.output.as_fd(), ONLY, Interest::Read)?;
    let mut long = Some(Instant::now() + LONG);
    let (mut told, mut wakes) = (Vec::new(), Vec::new());
    let mut done = false;
    while !done || !worker.has_ended() {
        wakes.clear();
        os.wait(long.map(|due| due.saturating_duration_since(Instant::now())), &mut wakes)?;
        if let Some(signal) = wakes.iter().find_map(asks_to_end) {
            worker.kill();
            complain(&format!("{} received while {what}", signal::name(signal)));
            return Ok(None);
        }
        if !done && wakes.contains(&Wake::Io(ONLY)) {
            done = !read_more(&worker, &mut told);
            if done {
                os.forget(worker.output.as_fd(), ONLY);
            }
        }
        if long.take_if(|due| *due <= Instant::now()).is_some() {
            complain(&format!(
                "{what} takes long; is a mount hanging, or nobody writing to a pipe?"
            ));
        }
    }
    Ok(Some(told))
}

fn asks_to_end(wake: &Wake) -> Option<i32> {
    match wake {
        Wake::Signal(signal) if os::ENDING.contains(signal) => Some(*signal),
        _ => None,
    }
}

/// Takes what a worker has written; whether there may be more.
fn read_more(worker: &Worker, told: &mut Vec<u8>) -> bool {
    let mut buffer = [0u8; 16 * 1024];
    match rustix::io::read(&worker.output, &mut buffer) {
        Ok(read @ 1..) => told.extend_from_slice(&buffer[..read]),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
        Ok(0) | Err(_) => return false,
    }
    true
}
