//! How many requests the backend is given at a time. Those above wait their
//! turn: console and sync in alternation, clients of each one after the other,
//! so that neither a storm of syncs nor one greedy client keeps others out.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;
use std::rc::Rc;

use tokio::sync::oneshot::{self, Sender};

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// People at the console.
    Console,
    /// Machines that sync.
    Sync,
}

impl Lane {
    /// The lane of a decoded path of the API.
    pub(crate) fn of(path: &str) -> Self {
        if path.starts_with("/api/santa/") { Self::Sync } else { Self::Console }
    }
}

/// Items of one lane, a queue for each key, taken in rotation.
#[derive(Debug)]
struct Rotation<K, T> {
    queues: HashMap<K, VecDeque<T>>,
    turns: VecDeque<K>,
}

/// Items of both lanes.
#[derive(Debug)]
struct Fair<K, T> {
    lanes: [Rotation<K, T>; 2],
    next: usize,
    len: usize,
}

impl<K: Copy + Eq + Hash, T> Fair<K, T> {
    fn new() -> Self {
        let lane = || Rotation { queues: HashMap::new(), turns: VecDeque::new() };
        Self { lanes: [lane(), lane()], next: 0, len: 0 }
    }

    fn push(&mut self, lane: Lane, key: K, item: T) {
        let Rotation { queues, turns } = &mut self.lanes[lane as usize];
        let queue = queues.entry(key).or_insert_with(|| {
            turns.push_back(key);
            VecDeque::new()
        });
        queue.push_back(item);
        self.len += 1;
    }

    fn pop(&mut self) -> Option<T> {
        let first = self.next;
        let lane = [first, 1 - first].into_iter().find(|at| !self.lanes[*at].turns.is_empty())?;
        self.next = 1 - lane;
        let Rotation { queues, turns } = &mut self.lanes[lane];
        let key = turns.pop_front()?;
        let queue = queues.get_mut(&key)?;
        let item = queue.pop_front();
        if queue.is_empty() {
            queues.remove(&key);
        } else {
            turns.push_back(key);
        }
        self.len -= 1;
        item
    }
}

#[derive(Debug)]
struct State {
    active: usize,
    most: usize,
    waiting: Fair<IpAddr, Sender<Permit>>,
}

/// The gate of one worker.
#[derive(Debug)]
pub(crate) struct Gate(RefCell<State>);

/// Leave to use the backend, until dropped.
#[derive(Debug)]
pub(crate) struct Permit(Rc<Gate>);

/// Too many are waiting.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Gate {
    /// A gate that lets one through until `adjust` says more.
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self(RefCell::new(State { active: 0, most: 1, waiting: Fair::new() })))
    }

    /// Lets `most` through at a time from now on.
    pub(crate) fn adjust(self: &Rc<Self>, most: usize) {
        self.0.borrow_mut().most = most.max(1);
        self.call_next();
    }

    /// Waits for a turn, among at most `most` that do.
    pub(crate) async fn enter(
        self: &Rc<Self>,
        lane: Lane,
        client: IpAddr,
        most: usize,
    ) -> Result<Permit, Full> {
        let turn = {
            let mut state = self.0.borrow_mut();
            if state.active < state.most && state.waiting.len == 0 {
                state.active += 1;
                drop(state);
                return Ok(Permit(Rc::clone(self)));
            }
            if state.waiting.len >= most {
                return Err(Full);
            }
            let (sender, turn) = oneshot::channel();
            state.waiting.push(lane, client, sender);
            turn
        };
        turn.await.map_err(|_| Full)
    }

    /// Gives free places to those whose turn it is and who still wait.
    fn call_next(self: &Rc<Self>) {
        loop {
            let mut state = self.0.borrow_mut();
            if state.active >= state.most {
                return;
            }
            let Some(sender) = state.waiting.pop() else { return };
            if sender.is_closed() {
                continue;
            }
            state.active += 1;
            drop(state);
            // One that has just gone gives its place back by dropping it.
            let _ = sender.send(Permit(Rc::clone(self)));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.0.borrow_mut().active -= 1;
        self.0.call_next();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[test]
    fn lanes_alternate_and_clients_of_a_lane_take_turns() {
        let mut fair = Fair::new();
        for number in 0..4 {
            fair.push(Lane::Sync, 'a', format!("a{number}"));
        }
        fair.push(Lane::Sync, 'b', "b0".into());
        fair.push(Lane::Console, 'c', "c0".into());
        fair.push(Lane::Console, 'c', "c1".into());
        let order: Vec<String> = std::iter::from_fn(|| fair.pop()).collect();
        assert_eq!(order, ["c0", "a0", "c1", "b0", "a1", "a2", "a3"]);
        assert_eq!(fair.len, 0);
        assert!(fair.lanes.iter().all(|lane| lane.queues.is_empty() && lane.turns.is_empty()));
    }

    #[test]
    fn places_go_to_those_who_still_wait() {
        let gate = Gate::new();
        let client: IpAddr = [192, 0, 2, 1].into();
        let mut context = Context::from_waker(Waker::noop());
        let enter = || {
            Box::pin({
                let gate = Rc::clone(&gate);
                async move { gate.enter(Lane::Sync, client, 2).await }
            })
        };
        let Poll::Ready(Ok(first)) = pin!(enter()).poll(&mut context) else { panic!("free") };
        let mut gone = enter();
        let mut waits = enter();
        assert!(gone.as_mut().poll(&mut context).is_pending());
        assert!(waits.as_mut().poll(&mut context).is_pending());
        assert!(matches!(pin!(enter()).poll(&mut context), Poll::Ready(Err(Full))));
        drop(gone);
        drop(first);
        let Poll::Ready(Ok(second)) = waits.as_mut().poll(&mut context) else { panic!("its turn") };
        drop(second);
        assert_eq!(gate.0.borrow().active, 0);
    }

    #[test]
    fn more_places_are_filled_at_once() {
        let gate = Gate::new();
        let client: IpAddr = [192, 0, 2, 1].into();
        let mut context = Context::from_waker(Waker::noop());
        let mut entering: Vec<_> = (0..3)
            .map(|_| {
                let gate = Rc::clone(&gate);
                Box::pin(async move { gate.enter(Lane::Console, client, 9).await })
            })
            .collect();
        let mut ready = Vec::new();
        for one in &mut entering {
            if let Poll::Ready(Ok(permit)) = one.as_mut().poll(&mut context) {
                ready.push(permit);
            }
        }
        assert_eq!(ready.len(), 1);
        gate.adjust(3);
        assert_eq!(gate.0.borrow().active, 3);
    }
}
