//! The open connections of a worker and what each is doing, so that a drain can
//! end the idle ones at once and leave the busy ones to finish.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

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
    activity: Rc<Cell<Activity>>,
    task: Option<AbortHandle>,
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
    activity: Rc<Cell<Activity>>,
}

impl Seats {
    /// A place for a new connection.
    pub(crate) fn take(self: &Rc<Self>) -> Seat {
        let activity = Rc::new(Cell::new(Activity::Fresh));
        let entry = Some(Entry { activity: Rc::clone(&activity), task: None });
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
        Seat { seats: Rc::clone(self), index, activity }
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
            if activities.contains(&entry.activity.get())
                && let Some(task) = &entry.task
            {
                task.abort();
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
        self.activity.set(activity);
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
}
