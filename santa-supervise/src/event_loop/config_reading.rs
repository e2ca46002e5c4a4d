//! The changed configuration, read by a worker: a mount that hangs holds up the
//! reload and nothing else.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::files::{LARGEST_CONFIG, Unusable, read_regular};
use crate::os::Token;

use super::helpers::{Helpers, OwnWorker, Purpose};
use super::io::{Io, Source};

/// How long reading it may take; less than a client waits.
const LONGEST: Duration = Duration::from_secs(8);

/// What the first byte of the reader's answer says of the rest.
const TEXT: u8 = b't';
const PROBLEM: u8 = b'p';

#[derive(Debug)]
struct Reader {
    worker: OwnWorker,
    bytes: Vec<u8>,
    deadline: Instant,
}

/// The reading under way, and who waits for it.
#[derive(Debug)]
pub(super) struct ConfigReading {
    path: PathBuf,
    reader: Option<Reader>,
    /// Clients to be answered; a signal has nobody.
    askers: Vec<Token>,
    /// Whether the sockets of what was read are bound now.
    binding: bool,
    /// Asked for since it began: the file may have changed since.
    again: Option<Vec<Token>>,
}

impl ConfigReading {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, reader: None, askers: Vec::new(), binding: false, again: None }
    }

    pub(super) fn next_end(&self) -> Option<Instant> {
        self.reader.as_ref().map(|reader| reader.deadline)
    }

    /// Notes that someone wants it read; whether reading has to begin now.
    pub(super) fn ask(&mut self, asker: Option<Token>) -> bool {
        if self.reader.is_some() || self.binding {
            self.again.get_or_insert_default().extend(asker);
            return false;
        }
        self.askers.extend(asker);
        true
    }

    /// Begins to read.
    pub(super) fn begin(&mut self, io: &mut Io, helpers: &mut Helpers) -> Result<(), String> {
        let path = self.path.clone();
        let read = move |output: &mut File, _: &[RawFd]| {
            // Without santa-supervise nobody reads it.
            let _ = output.write_all(&answer(&path));
        };
        let refused =
            |error: io::Error| format!("cannot start a process that reads the file: {error}");
        let worker = helpers
            .start_worker(io, Purpose::ReadConfig, Source::ConfigReader, &[], &read)
            .map_err(refused)?;
        let deadline = Instant::now() + LONGEST;
        self.reader = Some(Reader { worker, bytes: Vec::new(), deadline });
        Ok(())
    }

    /// The reader has written something; or has ended, then its text is returned.
    pub(super) fn read(
        &mut self,
        io: &mut Io,
        helpers: &mut Helpers,
    ) -> Option<Result<String, String>> {
        let reader = self.reader.as_mut()?;
        let mut buffer = [0u8; 16 * 1024];
        let read = reader.worker.read(&mut buffer)?;
        if read > 0 {
            reader.bytes.extend_from_slice(&buffer[..read]);
            return None;
        }
        let bytes = std::mem::take(&mut reader.bytes);
        self.end(io, helpers);
        let text = String::from_utf8(bytes.get(1..).unwrap_or_default().to_vec());
        let name = self.path.display();
        Some(match (bytes.first(), text) {
            (Some(&TEXT), Ok(text)) => Ok(text),
            (Some(&TEXT), Err(_)) => Err(format!("{name} is not UTF-8")),
            (Some(_), text) => Err(format!("{name} {}", text.unwrap_or_default())),
            (None, _) => Err(format!("{name}: the process that read it was killed")),
        })
    }

    /// Gives up a reading that takes too long; returns the problem.
    pub(super) fn end_slow(
        &mut self,
        io: &mut Io,
        helpers: &mut Helpers,
        now: Instant,
    ) -> Option<String> {
        if self.next_end().is_none_or(|deadline| deadline > now) {
            return None;
        }
        self.end(io, helpers);
        let name = self.path.display();
        Some(format!("{name} could not be read within {LONGEST:?}; is a mount hanging?"))
    }

    fn end(&mut self, io: &mut Io, helpers: &mut Helpers) {
        if let Some(reader) = self.reader.take() {
            helpers.end(io, &reader.worker);
        }
    }

    /// Until the reload is done no other one begins.
    pub(super) fn await_binding(&mut self) {
        self.binding = true;
    }

    /// The reload is done; who has asked for it.
    pub(super) fn done(&mut self) -> Vec<Token> {
        self.binding = false;
        std::mem::take(&mut self.askers)
    }

    /// Whether it was asked for again meanwhile.
    pub(super) fn take_again(&mut self) -> bool {
        let again = self.again.take();
        let is_wanted = again.is_some();
        self.askers.extend(again.unwrap_or_default());
        is_wanted
    }
}

/// In the reader: its answer.
fn answer(path: &Path) -> Vec<u8> {
    let problem = match read_regular(path, LARGEST_CONFIG) {
        Ok(bytes) => return [&[TEXT], &bytes[..]].concat(),
        Err(Unusable::Refused(error)) => {
            format!("cannot be read: {error}; check the path given to --config")
        }
        Err(Unusable::NotRegular) => "is not a regular file, so it cannot be read again".to_owned(),
        Err(Unusable::TooLarge(most)) => format!("has more than {most} bytes"),
    };
    [&[PROBLEM], problem.as_bytes()].concat()
}
