//! The streams of an HTTP/2 connection, as far as its place in the table goes: without one
//! it is idle, and while each of them waits for the rest of its body it is a slow body.

use std::cell::{Cell, RefCell};

use super::seats::{Activity, Seat};

/// The open streams of one connection.
#[derive(Debug)]
pub(crate) struct Streams {
    /// The place of the connection.
    pub(crate) seat: Seat,
    /// The indices of the streams' own places.
    open: RefCell<Vec<usize>>,
    /// How many of them wait for the rest of a body.
    bodies: Cell<usize>,
}

impl Streams {
    /// None yet.
    pub(crate) fn new(seat: Seat) -> Self {
        Self { seat, open: RefCell::default(), bodies: Cell::new(0) }
    }

    /// Whether none is open.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.borrow().is_empty()
    }

    /// Whether there are streams, and all of them wait for the rest of a body.
    pub(crate) fn are_slow_bodies(&self) -> bool {
        self.activity() == Activity::Body
    }

    /// Has every stream answer that there is no room for it, as far as it waits.
    pub(crate) fn leave(&self) {
        for index in self.open.borrow().iter() {
            self.seat.seats().tell_to_leave(*index);
        }
    }

    /// A stream has taken the place at `index`.
    pub(super) fn opened(&self, index: usize) {
        self.open.borrow_mut().push(index);
        self.update();
    }

    /// The stream at `index` has ended while it was doing `activity`.
    pub(super) fn ended(&self, index: usize, activity: Activity) {
        self.open.borrow_mut().retain(|open| *open != index);
        self.changed(activity, Activity::Busy);
    }

    /// A stream does something else now.
    pub(super) fn changed(&self, before: Activity, now: Activity) {
        let [before, now] = [before, now].map(|activity| usize::from(activity == Activity::Body));
        self.bodies.set(self.bodies.get() + now - before);
        self.update();
    }

    fn activity(&self) -> Activity {
        match self.open.borrow().len() {
            0 => Activity::Idle,
            open if open == self.bodies.get() => Activity::Body,
            _ => Activity::Busy,
        }
    }

    /// A connection does not become younger by going on as before.
    fn update(&self) {
        let activity = self.activity();
        if self.seat.activity() != activity {
            self.seat.set(activity);
        }
    }
}
