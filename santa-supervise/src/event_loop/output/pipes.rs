//! The pipes of the services: which are read, which are left alone while the log is
//! behind, and when they are closed.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use memchr::memmem;

use crate::lines::{Lines, Piece};
use crate::machine::{Generation, SlotId};
use crate::os::{Interest, Token};
use crate::record::Stream;

use super::super::io::{Io, Source};

/// Read at a time.
pub(super) const BUFFER: usize = 64 * 1024;

/// How long a pipe that something unknown still holds open is read after the
/// tree is gone.
const LINGER: Duration = Duration::from_secs(1);

/// How soon a log that was behind is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Who writes into a pipe.
#[derive(Debug, Clone)]
pub(in super::super) struct Writer {
    pub(in super::super) slot: SlotId,
    pub(in super::super) generation: Generation,
    pub(in super::super) service: Arc<str>,
    /// The line that means that it is ready, if one does.
    pub(in super::super) ready_line: Option<String>,
}

/// One pipe.
#[derive(Debug)]
struct Pipe {
    fd: OwnedFd,
    writer: Writer,
    stream: Stream,
    lines: Lines,
    /// When it is closed, whoever still holds the other end.
    close_at: Option<Instant>,
    /// Whether it is not read because the log is behind.
    held: bool,
}

/// What was read from one pipe.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) service: Arc<str>,
    pub(super) stream: Stream,
    pub(super) pieces: Vec<Piece>,
    /// Who has written its ready line.
    pub(super) ready: Option<(SlotId, Generation)>,
}

impl Pipe {
    fn batch(&mut self, pieces: Vec<Piece>) -> Batch {
        let is_ready_line = |line: &mut String| {
            pieces.iter().any(|piece| memmem::find(&piece.text, line.as_bytes()).is_some())
        };
        let found = self.writer.ready_line.take_if(is_ready_line);
        let ready = found.map(|_| (self.writer.slot, self.writer.generation));
        Batch { service: Arc::clone(&self.writer.service), stream: self.stream, pieces, ready }
    }
}

/// All pipes.
#[derive(Debug)]
pub(super) struct Pipes {
    open: BTreeMap<Token, Pipe>,
    longest_line: usize,
    buffer: Vec<u8>,
    /// When to look whether the log has caught up.
    look_again: Option<Instant>,
}

impl Pipes {
    pub(super) fn new(longest_line: usize) -> Self {
        Self { open: BTreeMap::new(), longest_line, buffer: vec![0; BUFFER], look_again: None }
    }

    /// When a pipe has to be closed, or read again.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.open.values().filter_map(|pipe| pipe.close_at).chain(self.look_again).min()
    }

    pub(super) fn open(
        &mut self,
        io: &mut Io,
        writer: Writer,
        stream: Stream,
        fd: OwnedFd,
    ) -> io::Result<()> {
        let token = io.watch(fd.as_fd(), Interest::Read, Source::Output)?;
        let lines = Lines::new(self.longest_line);
        let pipe = Pipe { fd, writer, stream, lines, close_at: None, held: false };
        self.open.insert(token, pipe);
        Ok(())
    }

    /// Reads one buffer; how much there was, and what it makes. At the end of the
    /// file the pipe is closed, which a last line without an end waits for.
    pub(super) fn read(&mut self, io: &mut Io, token: Token) -> (usize, Option<Batch>) {
        let Some(pipe) = self.open.get_mut(&token) else { return (0, None) };
        match rustix::io::read(&pipe.fd, &mut self.buffer[..]) {
            Ok(read @ 1..) => {
                let mut pieces = Vec::new();
                pipe.lines.push(&self.buffer[..read], |piece| pieces.push(piece));
                (read, Some(pipe.batch(pieces)))
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => (0, None),
            Ok(0) | Err(_) => (0, self.close(io, token)),
        }
    }

    /// Closes a pipe; what it held of a last line.
    pub(super) fn close(&mut self, io: &mut Io, token: Token) -> Option<Batch> {
        let mut pipe = self.open.remove(&token)?;
        io.forget(pipe.fd.as_fd(), token);
        let rest = pipe.lines.finish();
        Some(pipe.batch(rest.into_iter().collect()))
    }

    /// Leaves a pipe unread for a moment.
    pub(super) fn hold(&mut self, io: &mut Io, token: Token) {
        let Some(pipe) = self.open.get_mut(&token) else { return };
        io.pause(pipe.fd.as_fd(), token);
        pipe.held = true;
        self.look_again = Some(Instant::now() + LOOK_AGAIN);
    }

    /// Whether to look if held pipes can be read again.
    pub(super) fn is_time_to_release(&self, now: Instant) -> bool {
        self.look_again.is_some_and(|due| due <= now)
    }

    pub(super) fn look_again_later(&mut self, now: Instant) {
        self.look_again = Some(now + LOOK_AGAIN);
    }

    /// Reads held pipes again; those that cannot be are to be closed.
    pub(super) fn release(&mut self, io: &mut Io) -> Vec<Token> {
        self.look_again = None;
        let mut lost = Vec::new();
        for (token, pipe) in self.open.iter_mut().filter(|(_, pipe)| pipe.held) {
            pipe.held = false;
            if io.resume(pipe.fd.as_fd(), *token).is_err() {
                lost.push(*token);
            }
        }
        lost
    }

    /// The tree is gone: its pipes end now or soon.
    pub(super) fn linger(&mut self, generation: Generation) {
        let own = self.open.values_mut().filter(|pipe| pipe.writer.generation == generation);
        own.for_each(|pipe| pipe.close_at = Some(Instant::now() + LINGER));
    }

    /// Pipes that are to be closed whoever still holds them.
    pub(super) fn expired(&self, now: Instant) -> Vec<Token> {
        let due = |pipe: &Pipe| pipe.close_at.is_some_and(|at| at <= now);
        self.open.iter().filter(|(_, pipe)| due(pipe)).map(|(token, _)| *token).collect()
    }

    pub(super) fn of(&self, generation: Generation) -> Vec<Token> {
        let own = self.open.iter().filter(|(_, pipe)| pipe.writer.generation == generation);
        own.map(|(token, _)| *token).collect()
    }

    pub(super) fn all(&self) -> Vec<Token> {
        self.open.keys().copied().collect()
    }
}
