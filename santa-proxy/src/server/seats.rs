//! The open connections of a worker and what each is doing, so that a drain can
//! ask the idle ones to leave and let the busy ones finish, and a full table can
//! make room for those who have a request.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::streams::Streams;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Accepted; no whole head has arrived yet.
    Fresh,
    /// Between two requests.
    Idle,
    /// In the head of a further request.
    Head,
    /// In a body that has to arrive before the backend gets the request.
    Body,
    /// In a request.
    Busy,
    /// A tunnel.
    Tunnel,
}

#[derive(Debug)]
struct Entry {
    state: Rc<State>,
    task: Option<AbortHandle>,
}

/// What the worker and the connection share.
#[derive(Debug)]
struct State {
    activity: Cell<Activity>,
    /// Which of the worker's waits for a request this is, while it is one.
    wait: Cell<u64>,
    /// It shall make room for another connection, unless a request has come.
    leaves: Cell<bool>,
    /// Wakes the connection while it waits for a request.
    waiting: RefCell<Option<Waker>>,
}

/// A connection's index and which wait it is in; stale once it waits no longer.
type Wait = (usize, u64);

/// All connections of a worker.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    entries: RefCell<Vec<Option<Entry>>>,
    free: RefCell<Vec<usize>>,
    /// Connections between two requests, the latest last.
    idle: RefCell<VecDeque<Wait>>,
    /// Connections whose head is incomplete, the oldest first.
    heads: RefCell<VecDeque<Wait>>,
    /// Connections whose body is incomplete, the oldest first.
    bodies: RefCell<VecDeque<Wait>>,
    waits: Cell<u64>,
    /// Told when no connection is left.
    last_left: Notify,
}

/// One connection's place among them; leaving it is dropping it.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Rc<Seats>,
    index: usize,
    /// Its end would leave room for another connection.
    makes_room: bool,
    state: Rc<State>,
    /// Those it is one of, when it is that of a stream.
    streams: Option<Rc<Streams>>,
}

impl Seats {
    /// A place for a new connection.
    pub(crate) fn take(self: &Rc<Self>) -> Seat {
        let mut seat = self.take_place();
        seat.makes_room = true;
        seat.set(Activity::Fresh);
        seat
    }

    /// A place for a stream of a connection, which makes no room by itself.
    pub(crate) fn take_for_stream(self: &Rc<Self>, streams: &Rc<Streams>) -> Seat {
        let mut seat = self.take_place();
        streams.opened(seat.index);
        seat.streams = Some(Rc::clone(streams));
        seat
    }

    fn take_place(self: &Rc<Self>) -> Seat {
        let state = Rc::new(State {
            activity: Cell::new(Activity::Busy),
            wait: Cell::new(0),
            leaves: Cell::new(false),
            waiting: RefCell::default(),
        });
        let entry = Some(Entry { state: Rc::clone(&state), task: None });
        let mut entries = self.entries.borrow_mut();
        let index = match self.free.borrow_mut().pop() {
            Some(index) => {
                entries[index] = entry;
                index
            }
            None => {
                entries.push(entry);
                entries.len() - 1
            }
        };
        Seat { seats: Rc::clone(self), index, makes_room: false, state, streams: None }
    }

    /// Remembers the task that serves the connection at `index`.
    pub(crate) fn assign(&self, index: usize, task: AbortHandle) {
        if let Some(Some(entry)) = self.entries.borrow_mut().get_mut(index) {
            entry.task = Some(task);
        }
    }

    /// Ends every connection whose activity is one of `these`.
    pub(crate) fn end(&self, these: impl Fn(Activity) -> bool) {
        for entry in self.entries.borrow().iter().flatten() {
            if these(entry.state.activity.get())
                && let Some(task) = &entry.task
            {
                task.abort();
            }
        }
    }

    /// Wakes the connections that wait for a request, to look around: a drain
    /// has begun. They leave by themselves, so that none goes with a request
    /// unread.
    pub(crate) fn wake(&self) {
        for entry in self.entries.borrow().iter().flatten() {
            if let Some(waiting) = entry.state.waiting.take() {
                waiting.wake();
            }
        }
    }

    /// Has a connection leave to make room: first the one whose head has been
    /// incomplete for longest, since those who have a request send it at once;
    /// then the one that became idle last, so that a flood sends itself away and
    /// not those who were there before; then the oldest of the slow bodies.
    pub(crate) fn make_room(&self) -> bool {
        self.dismiss(&self.heads, VecDeque::pop_front)
            || self.dismiss(&self.idle, VecDeque::pop_back)
            || self.dismiss(&self.bodies, VecDeque::pop_front)
    }

    /// Has the next connection of `waits` leave that still waits.
    fn dismiss(
        &self,
        waits: &RefCell<VecDeque<Wait>>,
        next: impl Fn(&mut VecDeque<Wait>) -> Option<Wait>,
    ) -> bool {
        let entries = self.entries.borrow();
        let mut waits = waits.borrow_mut();
        while let Some((index, wait)) = next(&mut waits) {
            if let Some(Some(entry)) = entries.get(index)
                && entry.state.wait.get() == wait
            {
                entry.state.wait.set(0);
                entry.state.leave();
                return true;
            }
        }
        false
    }

    /// Has what is at `index` leave, unless it has what it waits for.
    pub(super) fn tell_to_leave(&self, index: usize) {
        if let Some(Some(entry)) = self.entries.borrow().get(index) {
            entry.state.leave();
        }
    }

    /// Notes that the connection at `index` has begun to wait.
    fn note(&self, waits: &RefCell<VecDeque<Wait>>, index: usize, state: &State) {
        let wait = self.waits.get() + 1;
        self.waits.set(wait);
        state.wait.set(wait);
        let mut waits = waits.borrow_mut();
        let entries = self.entries.borrow();
        if waits.len() > 2 * entries.len() {
            waits.retain(|(index, wait)| {
                let entry = entries.get(*index).and_then(Option::as_ref);
                entry.is_some_and(|entry| entry.state.wait.get() == *wait)
            });
        }
        waits.push_back((index, wait));
    }

    /// Waits until no connection is left.
    pub(crate) async fn emptied(&self) {
        while !self.is_empty() {
            self.last_left.notified().await;
        }
    }

    /// Whether no connection is left.
    fn is_empty(&self) -> bool {
        self.entries.borrow().len() == self.free.borrow().len()
    }
}

impl State {
    fn leave(&self) {
        self.leaves.set(true);
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }
}

impl Seat {
    /// What the connection is doing.
    pub(super) fn activity(&self) -> Activity {
        self.state.activity.get()
    }

    /// All places.
    pub(super) fn seats(&self) -> &Seats {
        &self.seats
    }

    /// Its number, for `Seats::assign`.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Says what the connection is doing now.
    pub(crate) fn set(&self, activity: Activity) {
        let before = self.state.activity.replace(activity);
        if let Some(streams) = &self.streams {
            streams.changed(before, activity);
        }
        if !self.makes_room {
            return;
        }
        let waits = match activity {
            // It does not become younger by sending something.
            Activity::Head if before == Activity::Fresh => return,
            Activity::Fresh | Activity::Head => &self.seats.heads,
            Activity::Idle => &self.seats.idle,
            Activity::Body => &self.seats.bodies,
            Activity::Busy | Activity::Tunnel => return self.state.wait.set(0),
        };
        self.seats.note(waits, self.index, &self.state);
    }

    /// Drives `future` unless the connection has to make room before it is done.
    pub(crate) async fn unless_leaving<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Pending if self.leaves() => Poll::Ready(None),
            Poll::Pending => {
                self.wait(context);
                Poll::Pending
            }
            Poll::Ready(output) => Poll::Ready(Some(output)),
        })
        .await
    }

    /// Whether it shall make room for another connection.
    pub(crate) fn leaves(&self) -> bool {
        self.state.leaves.get()
    }

    /// Has the task of `context` woken by `Seats::wake`.
    pub(crate) fn wait(&self, context: &Context<'_>) {
        let mut waiting = self.state.waiting.borrow_mut();
        if !waiting.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *waiting = Some(context.waker().clone());
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.entries.borrow_mut()[self.index] = None;
        self.seats.free.borrow_mut().push(self.index);
        if let Some(streams) = &self.streams {
            streams.ended(self.index, self.activity());
        }
        if self.seats.is_empty() {
            self.seats.last_left.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Wake;

    use super::*;

    #[test]
    fn places_are_used_again_and_the_last_one_out_leaves_none() {
        let seats = Rc::new(Seats::default());
        assert!(seats.is_empty());
        let first = seats.take();
        let second = seats.take();
        drop(first);
        assert!(!seats.is_empty());
        assert_eq!(seats.take().index(), 0);
        drop(second);
        assert!(seats.is_empty());
    }

    #[test]
    fn the_connection_that_became_idle_last_makes_room() {
        let seats = Rc::new(Seats::default());
        let all: Vec<Seat> = (0..4).map(|_| seats.take()).collect();
        for seat in &all {
            seat.set(Activity::Busy);
        }
        assert!(!seats.make_room(), "none is idle");
        for round in 0..100 {
            all[round % 3].set(Activity::Idle);
            all[round % 3].set(Activity::Busy);
        }
        assert!(seats.idle.borrow().len() <= 2 * all.len() + 1, "what is over is forgotten");
        for index in [1, 0, 2] {
            all[index].set(Activity::Idle);
        }
        all[2].set(Activity::Busy);
        assert!(seats.make_room());
        let leaving = |seat: &&Seat| seat.leaves();
        assert_eq!(all.iter().filter(leaving).map(Seat::index).collect::<Vec<_>>(), [0]);
        assert!(seats.make_room() && all[1].leaves());
        assert!(!seats.make_room(), "nobody else is idle");
    }

    #[test]
    fn incomplete_heads_make_room_before_idle_ones_and_bodies_last() {
        let seats = Rc::new(Seats::default());
        let all: Vec<Seat> = (0..6).map(|_| seats.take()).collect();
        all[1].set(Activity::Busy);
        all[2].set(Activity::Body);
        all[3].set(Activity::Idle);
        all[4].set(Activity::Idle);
        all[4].set(Activity::Head);
        all[0].set(Activity::Head);
        let next = || {
            seats.make_room().then(|| {
                let leaving = all.iter().find(|seat| seat.leaves()).expect("one");
                leaving.state.leaves.set(false);
                leaving.index()
            })
        };
        assert_eq!([(); 6].map(|()| next()), [Some(0), Some(5), Some(4), Some(3), Some(2), None]);
    }

    #[test]
    fn waiting_connections_are_woken() {
        let seats = Rc::new(Seats::default());
        let seat = seats.take();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let context = Context::from_waker(&waker);
        seat.wait(&context);
        seats.wake();
        assert!(woken.0.load(Ordering::Relaxed));
    }

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}
