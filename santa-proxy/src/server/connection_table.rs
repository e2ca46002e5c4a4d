//! The open connections of a worker and what each is doing, so that a drain can close
//! the idle ones and let the busy ones finish, and a full table can make room for
//! clients that have a request.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Waker};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Accepted; no complete head has arrived yet.
    Fresh,
    /// Between two requests.
    Idle,
    /// Receiving the head of a further request.
    Head,
    /// Receiving a body that has to arrive before the backend gets the request.
    Body,
    /// Serving a request.
    Busy,
    /// A tunnel.
    Tunnel,
}

#[derive(Debug)]
struct Entry {
    state: Rc<State>,
    task: Option<AbortHandle>,
}

/// What the table and the connection share.
#[derive(Debug)]
struct State {
    activity: Cell<Activity>,
    /// Which wait for a request this is, of all in this table; 0 while it is none.
    wait: Cell<u64>,
    /// It has to make room for another connection, unless a request has come.
    should_close: Cell<bool>,
    /// Wakes the connection while it waits for a request.
    waker: RefCell<Option<Waker>>,
}

/// A connection's index and which wait it is in; stale once it no longer waits.
type Wait = (usize, u64);

/// All connections of a worker.
#[derive(Debug, Default)]
pub(crate) struct ConnectionTable {
    entries: RefCell<Vec<Option<Entry>>>,
    free: RefCell<Vec<usize>>,
    /// Connections between two requests, the latest last.
    idle: RefCell<VecDeque<Wait>>,
    /// Connections whose head is incomplete, the oldest first.
    heads: RefCell<VecDeque<Wait>>,
    /// Connections whose body is incomplete, the oldest first.
    bodies: RefCell<VecDeque<Wait>>,
    waits: Cell<u64>,
    /// Notified when no connection is left.
    emptied: Notify,
}

/// One entry of the table, removed when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    table: Rc<ConnectionTable>,
    index: usize,
    /// Whether closing it makes room for another connection.
    makes_room: bool,
    state: Rc<State>,
}

impl ConnectionTable {
    /// Adds a connection.
    pub(super) fn add_connection(self: &Rc<Self>) -> Slot {
        let mut slot = self.add_stream();
        slot.makes_room = true;
        slot.set(Activity::Fresh);
        slot
    }

    /// Adds a stream of a connection; closing it makes no room.
    pub(super) fn add_stream(self: &Rc<Self>) -> Slot {
        let state = Rc::new(State {
            activity: Cell::new(Activity::Busy),
            wait: Cell::new(0),
            should_close: Cell::new(false),
            waker: RefCell::default(),
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
        Slot { table: Rc::clone(self), index, makes_room: false, state }
    }

    /// Remembers the task that serves the connection at `index`.
    pub(crate) fn set_task(&self, index: usize, task: AbortHandle) {
        if let Some(Some(entry)) = self.entries.borrow_mut().get_mut(index) {
            entry.task = Some(task);
        }
    }

    /// Aborts the tasks of all connections.
    pub(crate) fn abort_all(&self) {
        for entry in self.entries.borrow().iter().flatten() {
            if let Some(task) = &entry.task {
                task.abort();
            }
        }
    }

    /// Wakes the connections that wait for a request because a drain has begun. They
    /// close themselves, so that none is closed with an unread request.
    pub(crate) fn wake_all(&self) {
        for entry in self.entries.borrow().iter().flatten() {
            if let Some(waker) = entry.state.waker.take() {
                waker.wake();
            }
        }
    }

    /// Asks one connection to close to make room: first the one whose head has been
    /// incomplete for longest, since a client with a request sends it at once; then the
    /// one that became idle last, so that a flood closes its own connections and not
    /// those that were there before; then the oldest of the slow bodies.
    pub(crate) fn make_room(&self) -> bool {
        self.close_next(&self.heads, VecDeque::pop_front)
            || self.close_next(&self.idle, VecDeque::pop_back)
            || self.close_next(&self.bodies, VecDeque::pop_front)
    }

    /// Asks the next connection of `waits` that still waits to close.
    fn close_next(
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
                entry.state.ask_to_close();
                return true;
            }
        }
        false
    }

    /// Asks the connection at `index` to close, unless what it waits for has arrived.
    pub(super) fn ask_to_close(&self, index: usize) {
        if let Some(Some(entry)) = self.entries.borrow().get(index) {
            entry.state.ask_to_close();
        }
    }

    /// Records that the connection at `index` has begun to wait.
    fn start_wait(&self, waits: &RefCell<VecDeque<Wait>>, index: usize, state: &State) {
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
    pub(crate) async fn wait_until_empty(&self) {
        while !self.is_empty() {
            self.emptied.notified().await;
        }
    }

    fn is_empty(&self) -> bool {
        self.entries.borrow().len() == self.free.borrow().len()
    }
}

impl State {
    fn ask_to_close(&self) {
        self.should_close.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Slot {
    /// What the connection is doing.
    pub(super) fn activity(&self) -> Activity {
        self.state.activity.get()
    }

    /// The table it is in.
    pub(super) fn table(&self) -> &ConnectionTable {
        &self.table
    }

    /// Its index, for `ConnectionTable::set_task`.
    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// Records what the connection is doing now.
    pub(super) fn set(&self, activity: Activity) {
        let before = self.state.activity.replace(activity);
        if !self.makes_room {
            return;
        }
        let waits = match activity {
            // Sending something does not make it younger.
            Activity::Head if before == Activity::Fresh => return,
            Activity::Fresh | Activity::Head => &self.table.heads,
            Activity::Idle => &self.table.idle,
            Activity::Body => &self.table.bodies,
            Activity::Busy | Activity::Tunnel => return self.state.wait.set(0),
        };
        self.table.start_wait(waits, self.index, &self.state);
    }

    /// Whether it has to make room for another connection.
    pub(super) fn should_close(&self) -> bool {
        self.state.should_close.get()
    }

    /// Wakes the task of `context` when it has to close or a drain begins.
    pub(super) fn register(&self, context: &Context<'_>) {
        let mut registered = self.state.waker.borrow_mut();
        if !registered.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *registered = Some(context.waker().clone());
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.table.entries.borrow_mut()[self.index] = None;
        self.table.free.borrow_mut().push(self.index);
        if self.table.is_empty() {
            self.table.emptied.notify_one();
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
    fn slots_are_reused_and_the_table_is_empty_after_the_last_one() {
        let table = Rc::new(ConnectionTable::default());
        assert!(table.is_empty());
        let first = table.add_connection();
        let second = table.add_connection();
        drop(first);
        assert!(!table.is_empty());
        assert_eq!(table.add_connection().index(), 0);
        drop(second);
        assert!(table.is_empty());
    }

    #[test]
    fn the_connection_that_became_idle_last_makes_room() {
        let table = Rc::new(ConnectionTable::default());
        let all: Vec<Slot> = (0..4).map(|_| table.add_connection()).collect();
        for slot in &all {
            slot.set(Activity::Busy);
        }
        assert!(!table.make_room(), "none is idle");
        for round in 0..100 {
            all[round % 3].set(Activity::Idle);
            all[round % 3].set(Activity::Busy);
        }
        assert!(table.idle.borrow().len() <= 2 * all.len() + 1, "closed connections are removed");
        for index in [1, 0, 2] {
            all[index].set(Activity::Idle);
        }
        all[2].set(Activity::Busy);
        assert!(table.make_room());
        let leaving = |slot: &&Slot| slot.should_close();
        assert_eq!(all.iter().filter(leaving).map(Slot::index).collect::<Vec<_>>(), [0]);
        assert!(table.make_room() && all[1].should_close());
        assert!(!table.make_room(), "no other connection is idle");
    }

    #[test]
    fn incomplete_heads_make_room_before_idle_ones_and_bodies_last() {
        let table = Rc::new(ConnectionTable::default());
        let all: Vec<Slot> = (0..6).map(|_| table.add_connection()).collect();
        all[1].set(Activity::Busy);
        all[2].set(Activity::Body);
        all[3].set(Activity::Idle);
        all[4].set(Activity::Idle);
        all[4].set(Activity::Head);
        all[0].set(Activity::Head);
        let next = || {
            table.make_room().then(|| {
                let leaving = all.iter().find(|slot| slot.should_close()).expect("one");
                leaving.state.should_close.set(false);
                leaving.index()
            })
        };
        assert_eq!([(); 6].map(|()| next()), [Some(0), Some(5), Some(4), Some(3), Some(2), None]);
    }

    #[test]
    fn waiting_connections_are_woken() {
        let table = Rc::new(ConnectionTable::default());
        let slot = table.add_connection();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let context = Context::from_waker(&waker);
        slot.register(&context);
        table.wake_all();
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
