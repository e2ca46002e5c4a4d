//! The open connections of a worker and what each is doing, so that a drain can
//! ask the idle ones to leave and let the busy ones finish.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};

use tokio::task::AbortHandle;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Accepted; nothing has arrived yet.
    Fresh,
    /// Between two requests.
    Idle,
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
    /// Wakes the connection while it waits for a request.
    waiting: RefCell<Option<Waker>>,
}

/// All connections of a worker.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    entries: RefCell<Vec<Option<Entry>>>,
    free: RefCell<Vec<usize>>,
}

/// One connection's place among them; leaving it is dropping it.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Rc<Seats>,
    index: usize,
    state: Rc<State>,
}

impl Seats {
    /// A place for a new connection.
    pub(crate) fn take(self: &Rc<Self>) -> Seat {
        let state =
            Rc::new(State { activity: Cell::new(Activity::Fresh), waiting: RefCell::default() });
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
        Seat { seats: Rc::clone(self), index, state }
    }

    /// Remembers the task that serves the connection at `index`.
    pub(crate) fn assign(&self, index: usize, task: AbortHandle) {
        if let Some(Some(entry)) = self.entries.borrow_mut().get_mut(index) {
            entry.task = Some(task);
        }
    }

    /// Ends every connection that is doing one of `activities`.
    pub(crate) fn end(&self, activities: &[Activity]) {
        for entry in self.entries.borrow().iter().flatten() {
            if activities.contains(&entry.state.activity.get())
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

    /// Whether no connection is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.borrow().len() == self.free.borrow().len()
    }
}

impl Seat {
    /// Its number, for `Seats::assign`.
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Says what the connection is doing now.
    pub(crate) fn set(&self, activity: Activity) {
        self.state.activity.set(activity);
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
