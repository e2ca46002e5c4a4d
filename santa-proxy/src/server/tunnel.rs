//! A WebSocket: bytes in both directions, unchanged, until both ends have finished or no
//! bytes have moved for too long. Holds no buffer while idle. A client whose WebSocket is
//! closed by this proxy gets a close frame between two frames of the backend, so that it
//! knows that it may reconnect.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::access_log::AccessLogEntry;
use super::client_connection::ClientConnection;
use super::websocket_frames::{Frames, close_frame};
use super::worker::Worker;
use crate::io::buffer::Buffer;
use crate::io::deadline::{Deadline, Phase};
use crate::io::stream::{Reader, Writer};
use crate::upstream::pool::Lease;

/// A tunnel that is about to start.
#[derive(Debug)]
pub(crate) struct Tunnel {
    /// The backend's end.
    pub(crate) lease: Lease,
    /// What the backend sent after its head.
    pub(crate) left: Buffer,
    /// Its line in the access log, finished when the tunnel ends.
    pub(crate) entry: AccessLogEntry,
}

/// Counts a tunnel for as long as it lives.
struct Counted(Rc<Worker>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.metrics.tunnels.sub(1);
    }
}

/// Runs a tunnel to its end.
pub(crate) async fn run(connection: &mut ClientConnection, mut tunnel: Box<Tunnel>) {
    let Tunnel { lease, left, entry } = &mut *tunnel;
    entry.shrink();
    let _counted = Counted(Rc::clone(&connection.worker));
    connection.worker.metrics.tunnels.add(1);
    let timeout = connection.worker.snapshot().shared.timeouts.tunnel_idle;
    let ClientConnection { stream, buffer, deadline, worker, guard, .. } = connection;
    let (mut client_reader, mut client_writer) = stream.split();
    let (mut backend_reader, mut backend_writer) = lease.stream.split();
    let mut up = Flow::new(std::mem::take(buffer));
    let mut down = Flow::new(std::mem::take(left));
    // The backend may close without a close frame; what the client then gets is decided below.
    down.holds_end = true;
    let extend = |deadline: &Deadline| deadline.set(Phase::Tunnel, timeout);
    extend(deadline);
    let both = poll_fn(|context| {
        let before = up.moved + down.moved;
        let upward = up.poll(context, &mut client_reader, &mut backend_writer);
        let downstream_headers = down.poll(context, &mut backend_reader, &mut client_writer);
        if up.moved + down.moved != before {
            extend(deadline);
        }
        if down.ended && !down.frames.is_closed() {
            // After the client has closed, this is expected.
            return Poll::Ready(if up.ended { End::Finished } else { End::BackendGone });
        }
        match (upward, downstream_headers) {
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => {
                return Poll::Ready(End::Finished);
            }
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(End::Finished),
            _ => {}
        }
        if worker.is_draining() && down.is_between_frames() {
            return Poll::Ready(End::Draining);
        }
        guard.register(context);
        Poll::Pending
    });
    let end = deadline.limit(both).await.unwrap_or(End::Idle);
    if let Some((code, reason)) = end.close_reason()
        && down.is_between_frames()
        && !down.frames.is_closed()
    {
        deadline.set(Phase::Tunnel, worker.snapshot().shared.timeouts.linger);
        let frame = close_frame(code, reason);
        down.moved += frame.len() as u64;
        let closing = close(&frame, &mut up, &mut client_reader, &mut client_writer);
        // A client that does not reply is not waited for.
        let _ = deadline.limit(closing).await;
    }
    entry.bytes = down.moved;
}

/// Why a tunnel ended.
#[derive(Debug, Clone, Copy)]
enum End {
    /// Both ends have closed, or the client is gone.
    Finished,
    /// The backend closed without a close frame.
    BackendGone,
    /// No bytes have moved for too long.
    Idle,
    /// This process is stopping.
    Draining,
}

impl End {
    /// The close frame for the client, unless it already got one.
    fn close_reason(self) -> Option<(u16, &'static str)> {
        match self {
            Self::Finished => None,
            Self::BackendGone => Some((1012, "the server is restarting; please reconnect")),
            Self::Draining => Some((1012, "the proxy is restarting; please reconnect")),
            Self::Idle => Some((1001, "idle for too long")),
        }
    }
}

/// Sends a close frame and reads on until the client has replied to it: closing with unread
/// bytes would discard the frame.
async fn close(
    frame: &[u8],
    up: &mut Flow,
    reader: &mut Reader<'_>,
    writer: &mut Writer<'_>,
) -> io::Result<()> {
    let mut rest = frame;
    while !rest.is_empty() {
        match poll_fn(|context| writer.poll_write(context, &[IoSlice::new(rest)])).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => rest = &rest[count..],
        }
    }
    poll_fn(|context| writer.poll_flush(context)).await?;
    loop {
        up.frames.pass(up.buffer.filled());
        let count = up.buffer.filled().len();
        up.buffer.consume(count);
        let replied = up.frames.is_closed() && up.frames.at_boundary();
        if up.ended
            || replied
            || poll_fn(|context| reader.poll_fill(context, &mut up.buffer)).await? == 0
        {
            return Ok(());
        }
    }
}

/// One direction.
struct Flow {
    buffer: Buffer,
    frames: Frames,
    ended: bool,
    /// Whether the end of what is read is not passed on at once.
    holds_end: bool,
    moved: u64,
}

impl Flow {
    fn new(buffer: Buffer) -> Self {
        Self { buffer, frames: Frames::default(), ended: false, holds_end: false, moved: 0 }
    }

    fn is_between_frames(&self) -> bool {
        self.buffer.is_empty() && self.frames.at_boundary()
    }

    fn poll(
        &mut self,
        context: &mut Context<'_>,
        reader: &mut Reader<'_>,
        writer: &mut Writer<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.ended {
            while !self.buffer.is_empty() {
                let slice = [IoSlice::new(self.buffer.filled())];
                match ready!(writer.poll_write(context, &slice))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    count => {
                        self.frames.pass(&self.buffer.filled()[..count]);
                        self.buffer.consume(count);
                        self.moved += count as u64;
                    }
                }
            }
            ready!(writer.poll_flush(context))?;
            let read = ready!(reader.poll_fill(context, &mut self.buffer));
            if matches!(read, Ok(0)) || (read.is_err() && self.holds_end) {
                if !self.holds_end || !self.is_between_frames() || self.frames.is_closed() {
                    ready!(writer.poll_shutdown(context))?;
                }
                self.ended = true;
                self.buffer.release();
            } else {
                read?;
            }
        }
        Poll::Ready(Ok(()))
    }
}
