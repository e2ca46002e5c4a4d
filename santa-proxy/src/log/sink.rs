//! The thread that writes to standard output, fed by a bounded queue of whole lines. When
//! the queue is full, lines are dropped and counted; no request waits for it. Buffers are
//! reused, so that collecting lines neither allocates nor copies.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use super::json::{push_field, push_number, push_time};

/// Batches that may wait; a batch has about 64 KiB at most.
const QUEUE: usize = 32;
/// Empty buffers kept for the batches to come.
const SPARE: usize = 8;
/// How long the writer pauses after it has written everything. Lines that arrive meanwhile
/// are written together, and no request has to wake the writer.
const REST: Duration = Duration::from_millis(5);

type Spare = Arc<Mutex<Vec<Vec<u8>>>>;

enum Message {
    Lines(Vec<u8>),
    /// Answered once everything before it has been written.
    Flush(SyncSender<()>),
}

/// How serious a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// For information.
    Info,
    /// Something to look into.
    Warning,
    /// Someone has to act.
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The handle of the log thread; clones share the queue.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    queue: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
    pending: Arc<AtomicU64>,
    spare: Spare,
    pretty: bool,
}

impl Sink {
    /// Starts the writing thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (queue, messages) = sync_channel(QUEUE);
        let spare = Spare::default();
        let reused = Arc::clone(&spare);
        let write = move || write_all(&messages, &reused);
        thread::Builder::new().name("log".into()).spawn(write)?;
        let counter = || Arc::new(AtomicU64::new(0));
        let pretty = io::stdout().is_terminal();
        Ok(Self { queue, dropped: counter(), pending: counter(), spare, pretty })
    }

    /// Lines dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// An empty buffer for lines, one used before if there is any.
    pub(crate) fn buffer(&self) -> Vec<u8> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Queues whole lines; never waits.
    pub(crate) fn send(&self, mut lines: Vec<u8>, count: u64) {
        let lost = self.pending.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let text = "log lines dropped: the reader of standard output is too slow";
            let mut warning = self.line(Level::Warning, text, &[]);
            insert_count(&mut warning, lost);
            warning.append(&mut lines);
            lines = warning;
        }
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.queue.try_send(Message::Lines(lines))
        {
            self.pending.fetch_add(lost + count, Ordering::Relaxed);
            self.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Writes one line about this process itself.
    pub(crate) fn log(&self, level: Level, message: &str, fields: &[(&str, &str)]) {
        self.send(self.line(level, message, fields), 1);
    }

    /// Waits until what was sent so far has been written, at most `limit`.
    pub(crate) fn flush(&self, limit: Duration) {
        let (done, written) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            // A reader that stalls now would only delay the end.
            let _ = written.recv_timeout(limit);
        }
    }

    fn line(&self, level: Level, message: &str, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        if self.pretty {
            let details: String =
                fields.iter().map(|(name, value)| format!("  {name}={value}")).collect();
            out.extend_from_slice(
                format!("santa-proxy {}: {message}{details}\n", level.name()).as_bytes(),
            );
            return out;
        }
        out.extend_from_slice(b"{\"ts\":\"");
        push_time(&mut out, SystemTime::now());
        out.push(b'"');
        push_field(&mut out, "level", level.name().as_bytes());
        push_field(&mut out, "service", b"proxy");
        push_field(&mut out, "logger", b"proxy");
        push_field(&mut out, "message", message.as_bytes());
        for (name, value) in fields {
            push_field(&mut out, name, value.as_bytes());
        }
        out.extend_from_slice(b"}\n");
        out
    }
}

/// Adds the number of lost lines to a finished line.
fn insert_count(line: &mut Vec<u8>, lost: u64) {
    if line.ends_with(b"}\n") {
        line.truncate(line.len() - 2);
        push_number(line, "dropped", lost);
        line.extend_from_slice(b"}\n");
    }
}

fn write_all(messages: &Receiver<Message>, spare: &Spare) {
    // After standard output is closed, lines are discarded.
    let mut gone = false;
    let mut output = io::stdout().lock();
    while let Ok(first) = messages.recv() {
        for message in std::iter::once(first).chain(messages.try_iter()) {
            match message {
                Message::Flush(done) => {
                    let _ = output.flush();
                    let _ = done.try_send(());
                }
                Message::Lines(lines) => {
                    gone = gone || write_lines(&mut output, &lines).is_err();
                    keep(lines, spare);
                }
            }
        }
        thread::sleep(REST);
    }
}

fn keep(mut buffer: Vec<u8>, spare: &Spare) {
    buffer.clear();
    let mut spare = spare.lock().unwrap_or_else(PoisonError::into_inner);
    if spare.len() < SPARE {
        spare.push(buffer);
    }
}

/// Writes all of `lines`; waits for a descriptor that another process made non-blocking.
fn write_lines(output: &mut impl Write, mut lines: &[u8]) -> io::Result<()> {
    while !lines.is_empty() {
        match output.write(lines) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => lines = &lines[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(10));
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A full disk may have room again later; a closed pipe stays closed.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    output.flush()
}
