//! Waiting requests in fair order: lanes take turns, and so do the clients of a lane,
//! however much each of them has waiting. Pure.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use crate::route::is_sync;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// People using the console.
    Console,
    /// Macs that sync.
    Sync,
    /// Requests whose body is still arriving.
    Upload,
}

const LANES: [Lane; 3] = [Lane::Console, Lane::Sync, Lane::Upload];

impl Lane {
    /// The lane of a decoded path of the API.
    pub(crate) fn of(path: &str) -> Self {
        if is_sync(path) { Self::Sync } else { Self::Console }
    }
}

/// Where an item waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position<K> {
    /// In this lane.
    pub(crate) lane: Lane,
    /// For this client.
    pub(crate) key: K,
    number: u64,
}

/// The items of one lane: a queue for each key, served round robin. A key is in `turns`
/// exactly as long as it has a queue, and no queue is empty.
#[derive(Debug)]
struct RoundRobin<K, T> {
    queues: HashMap<K, VecDeque<(u64, T)>>,
    turns: VecDeque<K>,
}

/// Items of all lanes.
#[derive(Debug)]
pub(crate) struct FairQueue<K, T> {
    lanes: [RoundRobin<K, T>; LANES.len()],
    next: usize,
    numbers: u64,
}

impl<K: Copy + Eq + Hash, T> FairQueue<K, T> {
    /// An empty queue.
    pub(crate) fn new() -> Self {
        let lane = |_| RoundRobin { queues: HashMap::new(), turns: VecDeque::new() };
        Self { lanes: LANES.map(lane), next: 0, numbers: 0 }
    }

    /// Adds an item.
    pub(crate) fn push(&mut self, lane: Lane, key: K, item: T) -> Position<K> {
        self.numbers += 1;
        let RoundRobin { queues, turns } = &mut self.lanes[lane as usize];
        let queue = queues.entry(key).or_insert_with(|| {
            turns.push_back(key);
            VecDeque::new()
        });
        queue.push_back((self.numbers, item));
        Position { lane, key, number: self.numbers }
    }

    /// Takes the next item of those that `may` be taken now.
    pub(crate) fn pop(&mut self, mut may: impl FnMut(Lane, K) -> bool) -> Option<(K, T)> {
        for offset in 0..LANES.len() {
            let at = (self.next + offset) % LANES.len();
            if let Some(found) = self.lanes[at].pop(|key| may(LANES[at], key)) {
                self.next = (at + 1) % LANES.len();
                return Some(found);
            }
        }
        None
    }

    /// Takes the item at `position`, if it still waits there.
    pub(crate) fn remove(&mut self, position: &Position<K>) -> Option<T> {
        let RoundRobin { queues, turns } = &mut self.lanes[position.lane as usize];
        let queue = queues.get_mut(&position.key)?;
        let at = queue.binary_search_by_key(&position.number, |(number, _)| *number).ok()?;
        let (_, item) = queue.remove(at)?;
        if queue.is_empty() {
            queues.remove(&position.key);
            turns.retain(|key| *key != position.key);
        }
        Some(item)
    }
}

impl<K: Copy + Eq + Hash, T> RoundRobin<K, T> {
    fn pop(&mut self, mut may: impl FnMut(K) -> bool) -> Option<(K, T)> {
        for _ in 0..self.turns.len() {
            let key = self.turns.pop_front()?;
            if !may(key) {
                self.turns.push_back(key);
                continue;
            }
            let queue = self.queues.get_mut(&key)?;
            let item = queue.pop_front();
            if queue.is_empty() {
                self.queues.remove(&key);
            } else {
                self.turns.push_back(key);
            }
            return item.map(|(_, item)| (key, item));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> (FairQueue<char, String>, Vec<Position<char>>) {
        let mut fair = FairQueue::new();
        let mut positions: Vec<_> =
            (0..4).map(|number| fair.push(Lane::Sync, 'a', format!("a{number}"))).collect();
        positions.push(fair.push(Lane::Sync, 'b', "b0".into()));
        positions.push(fair.push(Lane::Console, 'c', "c0".into()));
        positions.push(fair.push(Lane::Console, 'c', "c1".into()));
        positions.push(fair.push(Lane::Upload, 'a', "u0".into()));
        (fair, positions)
    }

    fn rest(fair: &mut FairQueue<char, String>, may: impl Fn(Lane, char) -> bool) -> Vec<String> {
        std::iter::from_fn(|| fair.pop(&may).map(|(_, item)| item)).collect()
    }

    fn is_empty(fair: &FairQueue<char, String>) -> bool {
        fair.lanes.iter().all(|lane| lane.queues.is_empty() && lane.turns.is_empty())
    }

    #[test]
    fn lanes_and_the_clients_of_a_lane_take_turns() {
        let (mut fair, _) = filled();
        let order = rest(&mut fair, |_, _| true);
        assert_eq!(order, ["c0", "a0", "u0", "c1", "b0", "a1", "a2", "a3"]);
        assert!(is_empty(&fair));
    }

    #[test]
    fn items_that_may_not_run_yet_keep_their_turn() {
        let (mut fair, _) = filled();
        assert_eq!(
            rest(&mut fair, |lane, key| lane != Lane::Upload && key != 'a'),
            ["c0", "b0", "c1"]
        );
        assert_eq!(rest(&mut fair, |_, _| true), ["a0", "u0", "a1", "a2", "a3"]);
    }

    #[test]
    fn a_removed_item_leaves_nothing_behind() {
        let (mut fair, positions) = filled();
        assert_eq!(fair.remove(&positions[1]).as_deref(), Some("a1"));
        assert_eq!(fair.remove(&positions[1]), None);
        assert_eq!(fair.remove(&positions[4]).as_deref(), Some("b0"));
        assert_eq!(rest(&mut fair, |lane, _| lane == Lane::Sync), ["a0", "a2", "a3"]);
        for position in &positions {
            let _: Option<String> = fair.remove(position);
        }
        assert!(is_empty(&fair));
    }
}
