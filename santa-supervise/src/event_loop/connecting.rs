//! Connections to Unix sockets: finding one walks a path, and a mount may hang. So
//! a worker connects the socket, which the loop has as well, and reports the
//! outcome. TCP needs no worker: its connections never block.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use santa_config::Address;

use crate::os::{self, Token};
use crate::readiness;

use super::helpers::{Helpers, OwnWorker, Purpose};
use super::io::{Io, Source};

/// Pause between attempts, where there may be several: short at first, because
/// most services start quickly.
const QUICK: Duration = Duration::from_millis(5);
const STEADY: Duration = Duration::from_millis(50);
const QUICK_FOR: Duration = Duration::from_secs(3);

/// A connection under way.
#[derive(Debug)]
pub(super) struct Connecting(OwnWorker);

/// How it goes.
#[derive(Debug)]
pub(super) enum Attempt {
    /// Nothing new.
    UnderWay,
    /// Refused for this reason, and tried again if that was asked for.
    Refused(io::Error),
    /// Connected.
    Done,
}

impl Connecting {
    /// Connects `fd` to `address`, for a path by a worker, which is returned; `again`
    /// and again if that is refused.
    ///
    /// # Errors
    /// The connection is refused, or there is no room for a process.
    pub(super) fn begin(
        io: &mut Io,
        helpers: &mut Helpers,
        fd: BorrowedFd<'_>,
        address: &Address,
        again: bool,
        source: Source,
    ) -> io::Result<Option<Self>> {
        let path = match address {
            Address::Tcp(address) => {
                return readiness::connect_tcp(fd, *address).map(|()| None);
            }
            Address::Unix(path) => path.clone(),
        };
        let work = move |output: &mut File, fds: &[RawFd]| connect(fds[0], &path, again, output);
        let worker = helpers.start_worker(io, Purpose::Path, source, &[fd.as_raw_fd()], &work)?;
        Ok(Some(Self(worker)))
    }

    pub(super) fn token(&self) -> Token {
        self.0.token()
    }

    /// What the worker has reported since the last time.
    pub(super) fn look(&self) -> Attempt {
        let mut buffer = [0u8; 64 * size_of::<i32>()];
        let Some(read) = self.0.read(&mut buffer) else { return Attempt::UnderWay };
        // Each is written whole; the last one counts.
        match buffer[..read].rchunks_exact(4).next() {
            Some([0, 0, 0, 0]) => Attempt::Done,
            Some(&[a, b, c, d]) => {
                Attempt::Refused(io::Error::from_raw_os_error(i32::from_ne_bytes([a, b, c, d])))
            }
            _ => Attempt::Refused(io::Error::other("the process that connected was killed")),
        }
    }

    /// Ends the worker, whether it is done or not.
    pub(super) fn end(&self, io: &mut Io, helpers: &mut Helpers) {
        helpers.end(io, &self.0);
    }
}

/// What such a worker does: it writes the number of each error that differs from
/// the one before, and 0 at the end.
fn connect(fd: RawFd, path: &Path, again: bool, output: &mut File) {
    let (begun, mut reported) = (Instant::now(), 0);
    loop {
        let code = match readiness::connect_path(os::inherited(fd), path) {
            Ok(()) => 0,
            Err(error) => error.raw_os_error().unwrap_or(libc::EINVAL),
        };
        if (code == 0 || code != reported) && output.write_all(&code.to_ne_bytes()).is_err() {
            return;
        }
        reported = code;
        if code == 0 || !again {
            return;
        }
        sleep(if begun.elapsed() < QUICK_FOR { QUICK } else { STEADY });
    }
}
