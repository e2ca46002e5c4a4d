//! Connections to Unix sockets: finding one walks a path, and a mount may hang. So
//! a process of our own connects the socket, which is ours as well; the loop is
//! told how it goes. TCP needs none: its connections never wait.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use santa_config::Address;

use crate::os::{self, Interest, Token, Worker};
use crate::readiness;

use super::helpers::Purpose;
use super::{EventLoop, Source};

/// Pause between attempts, where there may be several: short at first, because
/// most services start quickly.
const QUICK: Duration = Duration::from_millis(5);
const STEADY: Duration = Duration::from_millis(50);
const QUICK_FOR: Duration = Duration::from_secs(3);

/// A connection under way.
#[derive(Debug)]
pub(super) struct Connecting {
    pid: os::Pid,
    output: OwnedFd,
    pub(super) token: Token,
}

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
    /// What has been told since the last time.
    pub(super) fn look(&self) -> Attempt {
        let mut told = [0u8; 64 * size_of::<i32>()];
        match rustix::io::read(&self.output, &mut told) {
            // Each is written whole; the last one counts.
            Ok(read @ 4..) => match told[..read].rchunks_exact(4).next() {
                Some(&[a, b, c, d]) if [a, b, c, d] == [0; 4] => Attempt::Done,
                Some(&[a, b, c, d]) => {
                    Attempt::Refused(io::Error::from_raw_os_error(i32::from_ne_bytes([a, b, c, d])))
                }
                _ => Attempt::UnderWay,
            },
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Attempt::UnderWay,
            Ok(_) | Err(_) => {
                Attempt::Refused(io::Error::other("the process that connected was killed"))
            }
        }
    }
}

/// The life of such a process: tells the number of each error that is another one
/// than before, and 0 at the end.
fn connect(fd: RawFd, path: &Path, again: bool, output: &mut File) {
    let (begun, mut told) = (Instant::now(), 0);
    loop {
        let code = match readiness::connect_path(os::inherited(fd), path) {
            Ok(()) => 0,
            Err(error) => error.raw_os_error().unwrap_or(libc::EINVAL),
        };
        if (code == 0 || code != told) && output.write_all(&code.to_ne_bytes()).is_err() {
            return;
        }
        told = code;
        if code == 0 || !again {
            return;
        }
        sleep(if begun.elapsed() < QUICK_FOR { QUICK } else { STEADY });
    }
}

impl EventLoop {
    /// Connects `fd` to `address`, for a path in a process of its own, which comes
    /// back; `again` and again if that is refused.
    ///
    /// # Errors
    /// The connection is refused, or there is no room for a process.
    pub(super) fn begin_connecting(
        &mut self,
        fd: BorrowedFd<'_>,
        address: &Address,
        again: bool,
        source: Source,
    ) -> io::Result<Option<Connecting>> {
        let path = match address {
            Address::Tcp(address) => {
                return readiness::connect_tcp(fd, *address).map(|()| None);
            }
            Address::Unix(path) => path.clone(),
        };
        self.has_room_for_worker()?;
        let work = move |output: &mut File, fds: &[RawFd]| connect(fds[0], &path, again, output);
        let Worker { pid, output } = os::fork_worker(&[fd.as_raw_fd()], &work)?;
        self.adopt_worker(Purpose::Path, pid);
        let token = self.io.sources.add(source);
        if let Err(error) = self.io.os.watch(output.as_fd(), token, Interest::Read) {
            self.io.sources.remove(token);
            self.end_helper(pid);
            return Err(error);
        }
        Ok(Some(Connecting { pid, output, token }))
    }

    /// Ends the process that connects, whether it is done or not.
    pub(super) fn end_connecting(&mut self, connecting: &Connecting) {
        self.io.os.forget(connecting.output.as_fd(), connecting.token);
        self.io.sources.remove(connecting.token);
        self.end_helper(connecting.pid);
    }
}
