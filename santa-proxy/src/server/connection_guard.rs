//! A connection's own entry in the table, as long as it lives: for a whole connection,
//! or for one stream of an HTTP/2 connection.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::connection_table::{Activity, ConnectionTable, Slot};
use super::streams::{OpenStream, Streams};

/// The entry of a connection or stream, removed when dropped.
#[derive(Debug)]
pub(crate) struct ConnectionGuard {
    slot: Slot,
    /// Set for a stream: its part in what its connection is doing.
    stream: Option<OpenStream>,
}

impl ConnectionGuard {
    /// The entry of a new connection.
    pub(crate) fn for_connection(table: &Rc<ConnectionTable>) -> Self {
        Self { slot: table.add_connection(), stream: None }
    }

    /// The entry of a new stream of a connection.
    pub(crate) fn for_stream(table: &Rc<ConnectionTable>, streams: &Rc<Streams>) -> Self {
        let slot = table.add_stream();
        let stream = Some(OpenStream::new(streams, slot.index()));
        Self { slot, stream }
    }

    /// The connection will carry streams.
    pub(crate) fn into_streams(self) -> Streams {
        Streams::new(self.slot)
    }

    /// Its index, for `ConnectionTable::set_task`.
    pub(crate) fn index(&self) -> usize {
        self.slot.index()
    }

    /// Records what the connection is doing now.
    pub(crate) fn set(&self, activity: Activity) {
        if let Some(stream) = &self.stream {
            stream.set(activity);
        }
        self.slot.set(activity);
    }

    /// Drives `future` unless the connection has to make room before it is done.
    pub(crate) async fn unless_closing<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Pending if self.should_close() => Poll::Ready(None),
            Poll::Pending => {
                self.register(context);
                Poll::Pending
            }
            Poll::Ready(output) => Poll::Ready(Some(output)),
        })
        .await
    }

    /// Whether it has to make room for another connection.
    pub(crate) fn should_close(&self) -> bool {
        self.slot.should_close()
    }

    /// Wakes the task of `context` when it has to close or a drain begins.
    pub(crate) fn register(&self, context: &Context<'_>) {
        self.slot.register(context);
    }
}
