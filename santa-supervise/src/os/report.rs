//! What a child reports to its parent between fork and exec, through a pipe that
//! exec closes: a byte for each step that may hang, and the reason if no program
//! can be run. The parent never waits for it.
#![expect(unsafe_code, reason = "the child's end is a mere number")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use crate::machine::{Retry, SpawnFailure};

/// What happens between fork and exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// fork.
    Process,
    /// A session of its own.
    Session,
    /// Descriptors 0 to 2.
    Output,
    /// Sockets from 3 on.
    Sockets,
    /// Its notify socket.
    Notify,
    /// Files with variables, secrets, the user, the program in `PATH`.
    Preparation,
    /// Resource limits.
    Limits,
    /// User and groups.
    User,
    /// Working directory.
    Directory,
    /// exec.
    Program,
}

impl Step {
    const ALL: [Self; 10] = [
        Self::Process,
        Self::Session,
        Self::Output,
        Self::Sockets,
        Self::Notify,
        Self::Preparation,
        Self::Limits,
        Self::User,
        Self::Directory,
        Self::Program,
    ];

    /// What is attempted, to be read after "cannot".
    #[must_use]
    pub fn attempt(self) -> &'static str {
        match self {
            Self::Process => "create a process",
            Self::Session => "create a session",
            Self::Output => "connect its output",
            Self::Sockets => "hand over its sockets",
            Self::Notify => "bind its NOTIFY_SOCKET beside the control socket",
            Self::Preparation => "read its files or look up its user and program",
            Self::Limits => "set its limits",
            Self::User => "change to its user",
            Self::Directory => "change to its directory",
            Self::Program => "run the program",
        }
    }

    fn of(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::Process)
    }
}

/// Why a program could not be started, and at which step.
#[derive(Debug)]
pub struct StartError {
    /// What was attempted.
    pub step: Step,
    /// The system's answer.
    pub error: io::Error,
}

/// Follows the number of a step and the error number.
const FAILED: u8 = 0xff;

/// Follows whether to try again, an exit code, and a text.
const REFUSED: u8 = 0xfe;

/// By number.
const RETRIES: [Retry; 3] = [Retry::Never, Retry::Counted, Retry::Always];

/// What is written in one piece; every pipe holds that much.
const LONGEST: usize = 2_048;

/// The child's end, by its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reporter(pub(super) RawFd);

impl Reporter {
    pub(super) fn at(self, step: Step) {
        self.tell(&[step as u8]);
    }

    pub(super) fn failed(self, step: Step, error: &io::Error) {
        let number = error.raw_os_error().unwrap_or(0).to_ne_bytes();
        self.tell(&[&[FAILED, step as u8], &number[..]].concat());
    }

    pub(super) fn refused(self, refusal: &SpawnFailure) {
        let code = u8::try_from(refusal.code).unwrap_or(126);
        let end = refusal.message.floor_char_boundary(LONGEST - 3);
        let text = &refusal.message.as_bytes()[..end];
        self.tell(&[&[REFUSED, refusal.retry as u8, code], text].concat());
    }

    fn tell(self, bytes: &[u8]) {
        // SAFETY: the child keeps its end open until exec. A parent that is gone
        // has ended us, too.
        let fd = unsafe { BorrowedFd::borrow_raw(self.0) };
        let _ = rustix::io::write(fd, bytes);
    }
}

/// The parent's end, and what has come so far.
#[derive(Debug)]
pub struct Progress {
    fd: OwnedFd,
    bytes: Vec<u8>,
}

/// How far a child is.
#[derive(Debug)]
pub enum Report {
    /// It is at this step.
    At(Step),
    /// Its program runs; or it was killed before.
    Running,
    /// A step did not work; the child ends.
    Failed(StartError),
    /// There is nothing to run, for a known reason; the child ends.
    Refused(SpawnFailure),
}

impl Progress {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self { fd, bytes: Vec::new() }
    }

    /// To be waited on until the other end is closed.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Reads what has come, without waiting.
    pub fn look(&mut self) -> Report {
        let mut buffer = [0u8; LONGEST];
        let closed = loop {
            match rustix::io::read(&self.fd, &mut buffer) {
                Ok(0) => break true,
                Ok(read) => self.bytes.extend_from_slice(&buffer[..read]),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => break false,
            }
        };
        parse(&self.bytes, closed)
    }
}

fn parse(bytes: &[u8], closed: bool) -> Report {
    let end = bytes.iter().position(|byte| *byte >= REFUSED);
    match end.map(|end| &bytes[end..]) {
        Some([FAILED, step, number @ ..]) if number.len() >= 4 => {
            let number = i32::from_ne_bytes([number[0], number[1], number[2], number[3]]);
            let error = io::Error::from_raw_os_error(number);
            Report::Failed(StartError { step: Step::of(*step), error })
        }
        Some([REFUSED, retry, code, text @ ..]) => Report::Refused(SpawnFailure {
            message: String::from_utf8_lossy(text).into_owned(),
            retry: RETRIES.get(usize::from(*retry)).copied().unwrap_or(Retry::Never),
            code: (*code).into(),
        }),
        _ if closed => Report::Running,
        _ => Report::At(bytes.last().map_or(Step::Session, |step| Step::of(*step))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    fn sent(tell: impl Fn(Reporter)) -> (Progress, OwnedFd) {
        let (read, write) = super::super::pipe().expect("pipe");
        super::super::set_nonblocking(&read).expect("non-blocking");
        tell(Reporter(write.as_raw_fd()));
        (Progress::new(read), write)
    }

    #[test]
    fn a_child_on_its_way_shows_its_step_and_one_that_runs_nothing() {
        let (mut progress, write) = sent(|reporter| reporter.at(Step::Preparation));
        assert!(matches!(progress.look(), Report::At(Step::Preparation)));
        Reporter(write.as_raw_fd()).at(Step::Program);
        assert!(matches!(progress.look(), Report::At(Step::Program)));
        drop(write);
        assert!(matches!(progress.look(), Report::Running));
    }

    #[test]
    fn failures_arrive_behind_the_steps_before_them() {
        let (mut progress, _write) = sent(|reporter| {
            reporter.at(Step::Directory);
            reporter.failed(Step::Directory, &io::Error::from_raw_os_error(libc::ENOENT));
        });
        let Report::Failed(found) = progress.look() else { panic!("no failure") };
        assert_eq!(found.step, Step::Directory);
        assert_eq!(found.error.raw_os_error(), Some(libc::ENOENT));
    }

    #[test]
    fn a_long_refusal_is_cut_at_a_character() {
        let refusal = SpawnFailure { message: "ü".repeat(4_000), retry: Retry::Always, code: 127 };
        let (mut progress, _write) = sent(|reporter| reporter.refused(&refusal));
        let Report::Refused(found) = progress.look() else { panic!("no refusal") };
        assert_eq!((found.retry, found.code), (Retry::Always, 127));
        assert!(found.message.len() > 2_000 && refusal.message.starts_with(&found.message));
    }
}
