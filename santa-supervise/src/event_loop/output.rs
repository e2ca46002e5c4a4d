//! From the pipes of the services to the log, the memory of recent lines, and
//! whoever follows them.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock;
use crate::lines::{Lines, Piece};
use crate::machine::{Generation, SlotId};
use crate::os::{Interest, Token};
use crate::record::{Chunk, Stream};

use super::{EventLoop, Source};

/// Read at a time.
const BUFFER: usize = 64 * 1024;

/// Most reads of one pipe before others get their turn.
const READS_A_TURN: usize = 4;

/// Most reads of a pipe whose process has ended: what a pipe can hold.
const READS_AT_END: usize = 16;

/// How long a pipe that something unknown still holds open is read after the
/// tree is gone.
const LINGER: Duration = Duration::from_secs(1);

/// How much recent output is kept for each service, in bytes.
const REMEMBERED: usize = 128 * 1024;

/// How soon a log that was behind is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// One pipe.
#[derive(Debug)]
struct Output {
    fd: OwnedFd,
    slot: SlotId,
    generation: Generation,
    service: Arc<str>,
    stream: Stream,
    lines: Lines,
    /// When it is closed, whoever still holds the other end.
    close_at: Option<Instant>,
    /// Whether it is not read because the log is behind.
    held: bool,
}

/// All pipes, and what came out of them lately.
#[derive(Debug)]
pub(super) struct Outputs {
    open: BTreeMap<Token, Output>,
    recent: BTreeMap<Arc<str>, Recent>,
    longest_line: usize,
    buffer: Vec<u8>,
    /// When to look whether the log has caught up.
    look_again: Option<Instant>,
}

/// The last output of one service.
#[derive(Debug, Default)]
struct Recent {
    chunks: VecDeque<Arc<Chunk>>,
    bytes: usize,
}

impl Recent {
    fn add(&mut self, chunk: Arc<Chunk>) {
        self.bytes += chunk.weight();
        self.chunks.push_back(chunk);
        while self.bytes > REMEMBERED && self.chunks.len() > 1 {
            self.bytes -= self.chunks.pop_front().map_or(0, |chunk| chunk.weight());
        }
    }
}

impl Outputs {
    pub(super) fn new(longest_line: usize) -> Self {
        Self {
            open: BTreeMap::new(),
            recent: BTreeMap::new(),
            longest_line,
            buffer: vec![0; BUFFER],
            look_again: None,
        }
    }

    pub(super) fn next_close(&self) -> Option<Instant> {
        self.open.values().filter_map(|output| output.close_at).chain(self.look_again).min()
    }

    /// Recent chunks of the services that `wanted` names, oldest first.
    pub(super) fn recent(&self, wanted: impl Fn(&str) -> bool) -> Vec<Arc<Chunk>> {
        let services = self.recent.iter().filter(|(service, _)| wanted(service));
        let mut chunks: Vec<_> =
            services.flat_map(|(_, recent)| recent.chunks.iter().cloned()).collect();
        chunks.sort_by_key(|chunk| chunk.at);
        chunks
    }

    fn of(&self, generation: Generation) -> Vec<Token> {
        let own = self.open.iter().filter(|(_, output)| output.generation == generation);
        own.map(|(token, _)| *token).collect()
    }
}

impl EventLoop {
    pub(super) fn open_output(
        &mut self,
        slot: SlotId,
        generation: Generation,
        stream: Stream,
        fd: OwnedFd,
    ) {
        let token = self.io.sources.add(Source::Output);
        if let Err(error) = self.io.os.watch(fd.as_fd(), token, Interest::Read) {
            self.io.sources.remove(token);
            return self.warn(&format!("output of {} is lost: {error}", self.label(slot)));
        }
        let service = Arc::from(self.label(slot));
        let lines = Lines::new(self.output.outputs.longest_line);
        let output =
            Output { fd, slot, generation, service, stream, lines, close_at: None, held: false };
        self.output.outputs.open.insert(token, output);
    }

    pub(super) fn read_output(&mut self, token: Token) {
        for _ in 0..READS_A_TURN {
            if self.output.log.holds() {
                return self.hold_output(token);
            }
            // What is left wakes the next turn.
            if self.read_once(token) < BUFFER || self.io.turn.is_over() {
                return;
            }
        }
    }

    /// Leaves a pipe unread for a moment.
    fn hold_output(&mut self, token: Token) {
        let Some(output) = self.output.outputs.open.get_mut(&token) else { return };
        self.io.os.forget(output.fd.as_fd(), token);
        output.held = true;
        self.output.outputs.look_again = Some(Instant::now() + LOOK_AGAIN);
    }

    /// Reads held pipes again once the log has caught up.
    pub(super) fn release_output(&mut self, now: Instant) {
        if self.output.outputs.look_again.is_none_or(|due| due > now) {
            return;
        }
        if self.output.log.holds() {
            self.output.outputs.look_again = Some(now + LOOK_AGAIN);
            return;
        }
        self.output.outputs.look_again = None;
        let mut lost = Vec::new();
        for (token, output) in self.output.outputs.open.iter_mut().filter(|(_, output)| output.held)
        {
            output.held = false;
            if self.io.os.watch(output.fd.as_fd(), *token, Interest::Read).is_err() {
                lost.push(*token);
            }
        }
        for token in lost {
            self.close_output(token);
        }
    }

    /// Reads what there is, at most `reads` times; closes at the end of file, which
    /// a last line without an end waits for.
    fn read_some(&mut self, token: Token, reads: usize) {
        for _ in 0..reads {
            if self.read_once(token) == 0 {
                return;
            }
        }
    }

    /// Reads one buffer; how much there was.
    fn read_once(&mut self, token: Token) -> usize {
        let Some(output) = self.output.outputs.open.get_mut(&token) else { return 0 };
        match rustix::io::read(&output.fd, &mut self.output.outputs.buffer[..]) {
            Ok(read @ 1..) => {
                let mut pieces = Vec::new();
                output.lines.push(&self.output.outputs.buffer[..read], |piece| pieces.push(piece));
                self.publish_output(token, pieces);
                read
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => 0,
            Ok(0) | Err(_) => {
                self.close_output(token);
                0
            }
        }
    }

    fn publish_output(&mut self, token: Token, pieces: Vec<Piece>) {
        let Some(output) = self.output.outputs.open.get(&token) else { return };
        let (slot, generation) = (output.slot, output.generation);
        let (service, stream, at) = (Arc::clone(&output.service), output.stream, clock::now());
        let now = self.now();
        for piece in pieces {
            self.match_ready_line(slot, generation, &piece.text);
            let text = self.output.output_stats.of(&service).admit(piece.text, now);
            if !text.is_empty() {
                let (service, unfinished) = (Arc::clone(&service), piece.unfinished);
                self.publish(Chunk { service, stream, at, text, unfinished });
            }
        }
    }

    /// Gives output to the log, to memory and to followers.
    pub(super) fn publish(&mut self, chunk: Chunk) {
        let chunk = Arc::new(chunk);
        self.output.log.push(Arc::clone(&chunk));
        self.show_to_followers(&chunk);
        self.output.outputs.recent.entry(Arc::clone(&chunk.service)).or_default().add(chunk);
    }

    fn close_output(&mut self, token: Token) {
        let Some(output) = self.output.outputs.open.get_mut(&token) else { return };
        let rest = output.lines.finish();
        self.publish_output(token, rest.into_iter().collect());
        if let Some(output) = self.output.outputs.open.remove(&token) {
            self.io.os.forget(output.fd.as_fd(), token);
        }
        self.io.sources.remove(token);
    }

    /// Reads what a process that has ended left in its pipes.
    pub(super) fn drain_output(&mut self, generation: Generation) {
        for token in self.output.outputs.of(generation) {
            self.read_some(token, READS_AT_END);
        }
    }

    /// The tree is gone: its pipes end now or soon.
    pub(super) fn let_output_linger(&mut self, generation: Generation) {
        for token in self.output.outputs.of(generation) {
            if let Some(output) = self.output.outputs.open.get_mut(&token) {
                output.close_at = Some(Instant::now() + LINGER);
            }
        }
    }

    pub(super) fn close_lingering_output(&mut self, now: Instant) {
        let due = |output: &Output| output.close_at.is_some_and(|at| at <= now);
        let due: Vec<Token> = self
            .output
            .outputs
            .open
            .iter()
            .filter(|(_, output)| due(output))
            .map(|(token, _)| *token)
            .collect();
        for token in due {
            self.close_output(token);
        }
    }

    pub(super) fn drain_all_output(&mut self) {
        let all: Vec<Token> = self.output.outputs.open.keys().copied().collect();
        for token in all {
            self.read_some(token, READS_AT_END);
            self.close_output(token);
        }
    }
}
