//! Limits how many requests the backend gets at a time. The others wait their turn: console
//! and sync alternate, and the clients of each take turns, so that neither a burst of syncs
//! nor one greedy client starves the others. No client has more of the permits, nor of the
//! queue, than is left for others, and requests whose body is still arriving have at most
//! half of the permits.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;

use tokio::sync::oneshot::{self, Receiver, Sender};

use super::fair_queue::{FairQueue, Lane, Position};
use super::fair_share::FairShare;

#[derive(Debug)]
struct State {
    permits: FairShare,
    /// Permits of requests whose body is still arriving.
    uploads: FairShare,
    queue: FairQueue<IpAddr, Sender<Permit>>,
    /// Room in the queue.
    slots: FairShare,
    /// Queued requests whose clients may be gone.
    doubtful: Vec<Position<IpAddr>>,
}

/// The limiter of one worker.
#[derive(Debug)]
pub(crate) struct ConcurrencyLimiter(RefCell<State>);

/// Permission to use the backend, until dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    limiter: Rc<ConcurrencyLimiter>,
    lane: Lane,
    client: IpAddr,
}

/// A slot in the queue, until dropped.
#[derive(Debug)]
pub(crate) struct QueueSlot {
    limiter: Rc<ConcurrencyLimiter>,
    position: Position<IpAddr>,
}

/// Receives the permit; fails when the slot was given to another request.
pub(crate) type Turn = Receiver<Permit>;

/// Too many requests are waiting.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct QueueFull;

impl ConcurrencyLimiter {
    /// A limiter of one permit until `adjust` says more.
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self(RefCell::new(State {
            permits: FairShare::new(1),
            uploads: FairShare::new(1),
            queue: FairQueue::new(),
            slots: FairShare::new(0),
            doubtful: Vec::new(),
        })))
    }

    /// From now on gives out `permits` at a time and lets `slots` requests wait.
    pub(crate) fn adjust(self: &Rc<Self>, permits: usize, slots: usize) {
        let permits = permits.max(1);
        let mut state = self.0.borrow_mut();
        state.permits.set_limit(permits);
        state.uploads.set_limit((permits / 2).max(1));
        state.slots.set_limit(slots);
        drop(state);
        self.call_next();
    }

    /// A permit, if there is one for this client. Waiting requests could not have it: their
    /// clients have their share.
    pub(crate) fn try_acquire(self: &Rc<Self>, lane: Lane, client: IpAddr) -> Option<Permit> {
        let mut state = self.0.borrow_mut();
        let State { permits, uploads, .. } = &mut *state;
        take(permits, uploads, lane, client).then(|| self.permit(lane, client))
    }

    /// A slot in the queue.
    pub(crate) fn enqueue(
        self: &Rc<Self>,
        lane: Lane,
        client: IpAddr,
    ) -> Result<(QueueSlot, Turn), QueueFull> {
        let mut state = self.0.borrow_mut();
        let State { queue, slots, doubtful, .. } = &mut *state;
        while !slots.take(client, 1) {
            let position = doubtful.pop().ok_or(QueueFull)?;
            if queue.remove(&position).is_some() {
                slots.release(position.key, 1);
            }
        }
        let (sender, turn) = oneshot::channel();
        let position = queue.push(lane, client, sender);
        Ok((QueueSlot { limiter: Rc::clone(self), position }, turn))
    }

    fn permit(self: &Rc<Self>, lane: Lane, client: IpAddr) -> Permit {
        Permit { limiter: Rc::clone(self), lane, client }
    }

    /// Gives free permits to the requests whose turn it is.
    fn call_next(self: &Rc<Self>) {
        loop {
            let mut state = self.0.borrow_mut();
            let State { permits, uploads, queue, slots, .. } = &mut *state;
            if permits.free() == 0 {
                return;
            }
            let mut taken = Lane::Console;
            let next = queue.pop(|lane, client| {
                taken = lane;
                take(permits, uploads, lane, client)
            });
            let Some((client, sender)) = next else { return };
            slots.release(client, 1);
            drop(state);
            // A request that has just gone returns it by dropping it.
            let _ = sender.send(self.permit(taken, client));
        }
    }
}

/// Takes a permit for `client`, if it may have one more.
fn take(permits: &mut FairShare, uploads: &mut FairShare, lane: Lane, client: IpAddr) -> bool {
    if lane != Lane::Upload {
        return permits.take(client, 1);
    }
    if !uploads.take(client, 1) {
        return false;
    }
    let taken = permits.take(client, 1);
    if !taken {
        uploads.release(client, 1);
    }
    taken
}

impl Drop for Permit {
    fn drop(&mut self) {
        {
            let mut state = self.limiter.0.borrow_mut();
            state.permits.release(self.client, 1);
            if self.lane == Lane::Upload {
                state.uploads.release(self.client, 1);
            }
        }
        self.limiter.call_next();
    }
}

impl QueueSlot {
    /// The client may be gone: when the queue is full, this slot is the first that is given
    /// to another request.
    pub(crate) fn mark_doubtful(&self) {
        self.limiter.0.borrow_mut().doubtful.push(self.position);
    }
}

impl Drop for QueueSlot {
    fn drop(&mut self) {
        let mut state = self.limiter.0.borrow_mut();
        let State { queue, slots, doubtful, .. } = &mut *state;
        if queue.remove(&self.position).is_some() {
            slots.release(self.position.key, 1);
        }
        doubtful.retain(|position| *position != self.position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> IpAddr {
        [192, 0, 2, number].into()
    }

    fn limiter(permits: usize, slots: usize) -> Rc<ConcurrencyLimiter> {
        let limiter = ConcurrencyLimiter::new();
        limiter.adjust(permits, slots);
        limiter
    }

    #[test]
    fn permits_go_to_requests_that_still_wait() {
        let limiter = limiter(1, 4);
        let first = limiter.try_acquire(Lane::Sync, client(1)).expect("free");
        assert!(limiter.try_acquire(Lane::Sync, client(1)).is_none());
        let gone = limiter.enqueue(Lane::Sync, client(1)).expect("room");
        let (_place, mut turn) = limiter.enqueue(Lane::Sync, client(1)).expect("room");
        assert_eq!(
            limiter.enqueue(Lane::Sync, client(1)).err(),
            Some(QueueFull),
            "it has its share"
        );
        drop(gone);
        let again = limiter.enqueue(Lane::Sync, client(1)).expect("room again");
        drop(first);
        let second = turn.try_recv().expect("its turn");
        drop(again);
        drop(second);
        let state = limiter.0.borrow();
        assert_eq!((state.permits.free(), state.slots.free()), (1, 4));
    }

    #[test]
    fn a_permit_for_a_request_that_has_just_gone_goes_to_the_next() {
        let limiter = limiter(1, 4);
        let first = limiter.try_acquire(Lane::Sync, client(1)).expect("free");
        let (slot, turn) = limiter.enqueue(Lane::Sync, client(1)).expect("room");
        drop(turn);
        let (_next, mut turn) = limiter.enqueue(Lane::Console, client(2)).expect("room");
        drop(first);
        drop(slot);
        assert!(turn.try_recv().is_ok());
    }

    #[test]
    fn a_client_that_may_be_gone_makes_room_in_a_full_queue() {
        let limiter = limiter(1, 2);
        let _first = limiter.try_acquire(Lane::Sync, client(1)).expect("free");
        let (doubtful, mut turn) = limiter.enqueue(Lane::Sync, client(1)).expect("room");
        let (_other, mut stays) = limiter.enqueue(Lane::Sync, client(2)).expect("room");
        assert!(limiter.enqueue(Lane::Sync, client(3)).is_err());
        doubtful.mark_doubtful();
        assert!(limiter.enqueue(Lane::Sync, client(3)).is_ok());
        assert_eq!(turn.try_recv().err(), Some(oneshot::error::TryRecvError::Closed));
        assert_eq!(stays.try_recv().err(), Some(oneshot::error::TryRecvError::Empty));
        drop(doubtful);
        assert!(limiter.0.borrow().doubtful.is_empty());
    }

    #[test]
    fn uploads_have_half_and_leave_room_for_each_other() {
        let limiter = limiter(16, 100);
        let greedy = |number| -> Vec<Permit> {
            std::iter::from_fn(|| limiter.try_acquire(Lane::Upload, client(number))).collect()
        };
        let first = greedy(1);
        let others: Vec<Permit> = (2..50).flat_map(greedy).collect();
        assert_eq!((first.len(), others.len()), (4, 4));
        assert!(limiter.try_acquire(Lane::Sync, client(99)).is_some());
        let (_place, mut turn) = limiter.enqueue(Lane::Upload, client(99)).expect("room");
        drop(first);
        assert!(turn.try_recv().is_ok());
    }

    #[test]
    fn more_permits_are_given_at_once() {
        let limiter = limiter(1, 9);
        let _first = limiter.try_acquire(Lane::Sync, client(1)).expect("free");
        let mut waiting: Vec<_> = (2..5)
            .map(|number| limiter.enqueue(Lane::Console, client(number)).expect("room"))
            .collect();
        limiter.adjust(3, 9);
        let given: Vec<_> = waiting.iter_mut().map(|(_, turn)| turn.try_recv()).collect();
        assert_eq!(given.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false]);
    }
}
