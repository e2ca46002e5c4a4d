//! From the pipes of the services to the log and the memory of recent lines. Who
//! follows the lines, and who became ready by one, is returned to the loop.

mod pipes;
mod recent;
mod stats;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::clock::{self, Millis};
use crate::log_writer::Log;
use crate::machine::{Generation, SlotId, Time};
use crate::os::Token;
use crate::plan::Blueprint;
use crate::record::{Chunk, OWN_NAME, Stream};

use super::io::Io;
use pipes::{BUFFER, Batch, Pipes};
use recent::Recent;
use stats::OutputStats;

pub(super) use pipes::Writer;

/// Most reads of a pipe whose process has ended: what a pipe can hold.
const READS_AT_END: usize = 16;

/// The output of all services, and our own.
pub(super) struct Output {
    log: Log,
    pipes: Pipes,
    recent: Recent,
    stats: OutputStats,
    /// The number of the last event.
    sequence: u64,
}

/// What went to the log, for those who follow it.
#[derive(Debug, Default)]
pub(super) struct Published {
    pub(super) chunks: Vec<Arc<Chunk>>,
    /// Who has written its ready line.
    pub(super) ready: Vec<(SlotId, Generation)>,
}

impl Output {
    pub(super) fn new(log: Log, longest_line: usize) -> Self {
        Self {
            log,
            pipes: Pipes::new(longest_line),
            recent: Recent::default(),
            stats: OutputStats::default(),
            sequence: 0,
        }
    }

    /// When something is due.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.pipes.next_deadline().into_iter().chain(self.stats.next_report()).min()
    }

    /// Reads from a pipe of a service from now on.
    ///
    /// # Errors
    /// It cannot be waited on.
    pub(super) fn open(
        &mut self,
        io: &mut Io,
        writer: Writer,
        stream: Stream,
        fd: OwnedFd,
    ) -> io::Result<()> {
        self.pipes.open(io, writer, stream, fd)
    }

    /// Reads one buffer from a pipe, if the log keeps up; whether there may be more.
    pub(super) fn read(&mut self, io: &mut Io, token: Token, now: Time) -> (bool, Published) {
        let mut published = Published::default();
        if self.log.holds() {
            self.pipes.hold(io, token);
            return (false, published);
        }
        let (size, batch) = self.pipes.read(io, token);
        self.publish_batch(batch, now, &mut published);
        (size == BUFFER, published)
    }

    /// Reads what a process that has ended left in its pipes.
    pub(super) fn drain(&mut self, io: &mut Io, generation: Generation, now: Time) -> Published {
        let mut published = Published::default();
        for token in self.pipes.of(generation) {
            self.read_rest(io, token, now, &mut published);
        }
        published
    }

    /// Reads what is left in all pipes, and closes them: the end.
    pub(super) fn drain_all(&mut self, io: &mut Io, now: Time) -> Published {
        let mut published = Published::default();
        for token in self.pipes.all() {
            self.read_rest(io, token, now, &mut published);
            let batch = self.pipes.close(io, token);
            self.publish_batch(batch, now, &mut published);
        }
        published
    }

    fn read_rest(&mut self, io: &mut Io, token: Token, now: Time, published: &mut Published) {
        for _ in 0..READS_AT_END {
            let (size, batch) = self.pipes.read(io, token);
            self.publish_batch(batch, now, published);
            if size == 0 {
                return;
            }
        }
    }

    /// The tree is gone: its pipes end now or soon.
    pub(super) fn linger(&mut self, generation: Generation) {
        self.pipes.linger(generation);
    }

    /// Closes pipes that something unknown holds open for too long, and reads those
    /// again that waited for the log.
    pub(super) fn run_timers(&mut self, io: &mut Io, at: Instant, now: Time) -> Published {
        let mut closed = self.pipes.expired(at);
        if self.pipes.is_time_to_release(at) {
            match self.log.holds() {
                true => self.pipes.look_again_later(at),
                false => closed.extend(self.pipes.release(io)),
            }
        }
        let mut published = Published::default();
        for token in closed {
            let batch = self.pipes.close(io, token);
            self.publish_batch(batch, now, &mut published);
        }
        published
    }

    fn publish_batch(&mut self, batch: Option<Batch>, now: Time, published: &mut Published) {
        let Some(Batch { service, stream, pieces, ready }) = batch else { return };
        published.ready.extend(ready);
        let at = clock::now();
        for piece in pieces {
            let text = self.stats.admit(&service, piece.text, now);
            if !text.is_empty() {
                let (service, unfinished) = (Arc::clone(&service), piece.unfinished);
                let chunk = Chunk { service, stream, at, text, unfinished };
                published.chunks.push(self.publish(chunk));
            }
        }
    }

    /// Gives output to the log and to memory.
    fn publish(&mut self, chunk: Chunk) -> Arc<Chunk> {
        let chunk = Arc::new(chunk);
        self.log.push(Arc::clone(&chunk));
        self.recent.add(Arc::clone(&chunk));
        chunk
    }

    /// Puts a record of our own into the log.
    pub(super) fn event(
        &mut self,
        level: &str,
        message: &str,
        details: Value,
    ) -> (Value, Arc<Chunk>) {
        self.sequence += 1;
        let at = clock::now();
        let mut record = json!({ "level": level, "message": message, "seq": self.sequence });
        if let (Value::Object(record), Value::Object(details)) = (&mut record, details) {
            record.extend(details);
        }
        let chunk = self.publish(Chunk {
            service: OWN_NAME.into(),
            stream: Stream::Event,
            at,
            text: format!("{record}\n").into_bytes(),
            unfinished: false,
        });
        (record, chunk)
    }

    /// Lets a service write at the rate of its blueprint from now on.
    pub(super) fn limit(&mut self, blueprint: &Blueprint, now: Time) {
        self.stats.limit(blueprint, now);
    }

    /// Services with lines over their rate that have to be reported now, and how many.
    pub(super) fn take_reports(&mut self, now: Instant) -> Vec<(Arc<str>, u64)> {
        self.stats.take_reports(now)
    }

    /// How much a service has written, in bytes.
    pub(super) fn bytes_of(&self, service: &str) -> u64 {
        self.stats.bytes_of(service)
    }

    /// Lines of a service that were dropped for either reason.
    pub(super) fn dropped_of(&self, service: &str) -> u64 {
        self.stats.over_of(service) + self.log.dropped_of(service)
    }

    /// Lines of all services that were dropped because nobody read the log.
    pub(super) fn dropped(&self) -> u64 {
        self.log.dropped()
    }

    /// The last `lines` records of the services that `wanted` names.
    pub(super) fn last_records(&self, lines: usize, wanted: impl Fn(&str) -> bool) -> Vec<u8> {
        self.recent.last_records(lines, wanted)
    }

    /// The last `count` lines that `label` wrote since `began`, each cut after
    /// `longest` bytes.
    pub(super) fn last_lines(
        &self,
        label: &str,
        began: Millis,
        count: usize,
        longest: usize,
    ) -> Vec<String> {
        self.recent.last_lines(label, began, count, longest)
    }

    /// Waits until the log is written, or nobody takes it.
    pub(super) fn flush(&self, timeout: Duration, longest: Duration) {
        self.log.flush(timeout, longest);
    }
}
