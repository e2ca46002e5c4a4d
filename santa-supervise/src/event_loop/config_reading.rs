//! The changed configuration, read by a process of our own: a mount that hangs
//! holds up the reload and nothing else.

use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::files::{LARGEST_CONFIG, Unusable, read_regular};
use crate::os::{self, Interest, Pid, Token, Worker};

use super::helpers::Purpose;
use super::{EventLoop, Source};

/// How long reading it may take; less than a client waits.
const LONGEST: Duration = Duration::from_secs(8);

/// What the first byte of the reader's answer says of the rest.
const TEXT: u8 = b't';
const PROBLEM: u8 = b'p';

#[derive(Debug)]
struct Reader {
    pid: Pid,
    output: OwnedFd,
    token: Token,
    told: Vec<u8>,
    deadline: Instant,
}

/// The reading under way, and who waits for it.
#[derive(Debug, Default)]
pub(super) struct ConfigReading {
    reader: Option<Reader>,
    /// Clients to be answered; a signal has nobody.
    askers: Vec<Token>,
    /// Whether the sockets of what was read are bound now.
    binding: bool,
    /// Asked for since it began: the file may have changed since.
    again: Option<Vec<Token>>,
}

impl ConfigReading {
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.reader.as_ref().map(|reader| reader.deadline)
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

impl EventLoop {
    /// Reads the configuration and applies it; then `asker` is answered.
    pub(super) fn begin_reload(&mut self, asker: Option<Token>) {
        let reading = &mut self.configuration.config_reading;
        if reading.reader.is_some() || reading.binding {
            return reading.again.get_or_insert_default().extend(asker);
        }
        reading.askers.extend(asker);
        if let Err(problem) = self.begin_reading() {
            self.end_reload(Err(problem));
        }
    }

    fn begin_reading(&mut self) -> Result<(), String> {
        if self.core.state.is_shutting_down() {
            return Err("santa-supervise is shutting down".to_owned());
        }
        let path = self.configuration.config_path.clone();
        let refused = |error| format!("cannot start a process that reads the file: {error}");
        let read = move |output: &mut std::fs::File, _: &[RawFd]| {
            // Without us there is nobody to tell.
            let _ = output.write_all(&answer(&path));
        };
        let Worker { pid, output } = os::fork_worker(&[], &read).map_err(refused)?;
        self.adopt_worker(Purpose::ReadConfig, pid);
        let token = self.io.sources.add(Source::ConfigReader);
        if let Err(error) = self.io.os.watch(output.as_fd(), token, Interest::Read) {
            self.io.sources.remove(token);
            self.end_helper(pid);
            return Err(refused(error));
        }
        let deadline = Instant::now() + LONGEST;
        let reader = Reader { pid, output, token, told: Vec::new(), deadline };
        self.configuration.config_reading.reader = Some(reader);
        Ok(())
    }

    /// The reader has written something, or has ended.
    pub(super) fn read_config_reader(&mut self) {
        let Some(reader) = &mut self.configuration.config_reading.reader else { return };
        let mut buffer = [0u8; 16 * 1024];
        match rustix::io::read(&reader.output, &mut buffer) {
            Ok(read @ 1..) => reader.told.extend_from_slice(&buffer[..read]),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Ok(0) | Err(_) => {
                let told = std::mem::take(&mut reader.told);
                let text = String::from_utf8(told.get(1..).unwrap_or_default().to_vec());
                let name = self.configuration.config_path.display();
                self.end_reload(match (told.first(), text) {
                    (Some(&TEXT), Ok(text)) => Ok(text),
                    (Some(&TEXT), Err(_)) => Err(format!("{name} is not UTF-8")),
                    (Some(_), text) => Err(format!("{name} {}", text.unwrap_or_default())),
                    (None, _) => Err(format!("{name}: the process that read it was killed")),
                });
            }
        }
    }

    /// Gives up a reading that takes too long.
    pub(super) fn end_slow_reload(&mut self, now: Instant) {
        if self.configuration.config_reading.next_end().is_some_and(|deadline| deadline <= now) {
            let name = self.configuration.config_path.display();
            let problem =
                format!("{name} could not be read within {LONGEST:?}; is a mount hanging?");
            self.end_reload(Err(problem));
        }
    }

    fn end_reload(&mut self, read: Result<String, String>) {
        if let Some(reader) = self.configuration.config_reading.reader.take() {
            self.io.os.forget(reader.output.as_fd(), reader.token);
            self.io.sources.remove(reader.token);
            self.end_helper(reader.pid);
        }
        self.reload_config(read);
    }

    /// Until the reload is done no other one begins.
    pub(super) fn await_binding(&mut self) {
        self.configuration.config_reading.binding = true;
    }

    /// Answers whoever has asked for the reload.
    pub(super) fn answer_reload(&mut self, outcome: Result<String, String>) {
        self.configuration.config_reading.binding = false;
        let (ok, message) = (outcome.is_ok(), outcome.unwrap_or_else(|problem| problem));
        for asker in std::mem::take(&mut self.configuration.config_reading.askers) {
            self.answer(asker, ok, message.clone());
        }
        if let Some(askers) = self.configuration.config_reading.again.take() {
            self.configuration.config_reading.askers = askers;
            self.begin_reload(None);
        }
    }
}
