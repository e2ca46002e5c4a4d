//! An upgraded connection: bytes in both directions, untouched, until both ends
//! have finished or nothing has moved for too long. Holds no buffer while idle.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::connection::Connection;
use super::record::Record;
use super::worker::Worker;
use crate::io::buffer::Buffer;
use crate::io::deadline::{Deadline, Phase};
use crate::io::stream::{Reader, Writer};
use crate::upstream::pool::Lease;

/// A tunnel about to begin.
#[derive(Debug)]
pub(crate) struct Tunnel {
    /// The backend's end.
    pub(crate) lease: Lease,
    /// What the backend sent behind its head.
    pub(crate) left: Buffer,
    /// Its place in the log, finished when the tunnel ends.
    pub(crate) record: Record,
}

/// Counts a tunnel for as long as it lives.
struct Counted(Rc<Worker>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.metrics.tunnels.sub(1);
    }
}

/// Runs a tunnel to its end.
pub(crate) async fn run(connection: &mut Connection, mut tunnel: Box<Tunnel>) {
    if connection.worker.is_draining() {
        // Those that were open before have been ended.
        return;
    }
    let Tunnel { lease, left, record } = &mut *tunnel;
    record.shrink();
    let _counted = Counted(Rc::clone(&connection.worker));
    connection.worker.metrics.tunnels.add(1);
    let patience = connection.worker.local().shared.timeouts.tunnel_idle;
    let Connection { stream, buffer, deadline, .. } = connection;
    let (mut client_reader, mut client_writer) = stream.split();
    let (mut backend_reader, mut backend_writer) = lease.stream.split();
    let mut up = Flow { buffer: std::mem::take(buffer), ended: false, moved: 0 };
    let mut down = Flow { buffer: std::mem::take(left), ended: false, moved: 0 };
    let extend = |deadline: &Deadline| deadline.set(Phase::Tunnel, patience);
    extend(deadline);
    let both = poll_fn(|context| {
        let before = up.moved + down.moved;
        let upward = up.poll(context, &mut client_reader, &mut backend_writer);
        let downward = down.poll(context, &mut backend_reader, &mut client_writer);
        if up.moved + down.moved != before {
            extend(deadline);
        }
        match (upward, downward) {
            (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => Poll::Ready(Err(error)),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    });
    // A reset or silence ends a tunnel just as a proper close does.
    let _ = deadline.limit(both).await;
    record.bytes = down.moved;
}

/// One direction.
struct Flow {
    buffer: Buffer,
    ended: bool,
    moved: u64,
}

impl Flow {
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
                        self.buffer.consume(count);
                        self.moved += count as u64;
                    }
                }
            }
            ready!(writer.poll_flush(context))?;
            if ready!(reader.poll_fill(context, &mut self.buffer))? == 0 {
                ready!(writer.poll_shutdown(context))?;
                self.ended = true;
                self.buffer.release();
            }
        }
        Poll::Ready(Ok(()))
    }
}
