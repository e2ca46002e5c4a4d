//! The streams of an HTTP/2 connection as its entry in the table sees them: without any
//! it is idle, and while all of them wait for the rest of a body it is a slow body.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Context;

use super::connection_table::{Activity, Slot};

/// The open streams of one connection.
#[derive(Debug)]
pub(crate) struct Streams {
    /// The entry of the connection.
    slot: Slot,
    /// The indices of the streams' own entries.
    open: RefCell<Vec<usize>>,
    /// How many of them wait for the rest of a body.
    bodies: Cell<usize>,
}

/// One of them, open until dropped.
#[derive(Debug)]
pub(super) struct OpenStream {
    streams: Rc<Streams>,
    index: usize,
    activity: Cell<Activity>,
}

impl Streams {
    /// No streams on the connection of `slot` yet.
    pub(super) fn new(slot: Slot) -> Self {
        Self { slot, open: RefCell::default(), bodies: Cell::new(0) }
    }

    /// Whether none is open.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.borrow().is_empty()
    }

    /// Whether there are streams, and all of them wait for the rest of a body.
    pub(crate) fn are_slow_bodies(&self) -> bool {
        self.activity() == Activity::Body
    }

    /// Has every stream that still waits respond that the server is busy.
    pub(crate) fn ask_to_close(&self) {
        for index in self.open.borrow().iter() {
            self.slot.table().ask_to_close(*index);
        }
    }

    /// Whether the connection has to make room for another.
    pub(crate) fn should_close(&self) -> bool {
        self.slot.should_close()
    }

    /// Wakes the task of `context` when the connection has to close or a drain begins.
    pub(crate) fn register(&self, context: &Context<'_>) {
        self.slot.register(context);
    }

    fn activity(&self) -> Activity {
        match self.open.borrow().len() {
            0 => Activity::Idle,
            open if open == self.bodies.get() => Activity::Body,
            _ => Activity::Busy,
        }
    }

    /// The age of a connection stays when its state does not change.
    fn update(&self) {
        let activity = self.activity();
        if self.slot.activity() != activity {
            self.slot.set(activity);
        }
    }
}

impl OpenStream {
    /// A stream whose own entry is at `index`.
    pub(super) fn new(streams: &Rc<Streams>, index: usize) -> Self {
        streams.open.borrow_mut().push(index);
        streams.update();
        Self { streams: Rc::clone(streams), index, activity: Cell::new(Activity::Busy) }
    }

    /// Records what the stream is doing now.
    pub(super) fn set(&self, activity: Activity) {
        let before = self.activity.replace(activity);
        let [before, now] = [before, activity].map(|one| usize::from(one == Activity::Body));
        self.streams.bodies.set(self.streams.bodies.get() + now - before);
        self.streams.update();
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.streams.open.borrow_mut().retain(|open| *open != self.index);
        self.set(Activity::Busy);
    }
}
