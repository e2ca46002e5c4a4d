//! The state machine with its queues of events and actions. The only caller of
//! [`machine::step`].

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::clock::{self, Millis};
use crate::machine::{self, Action, Event, SlotId, State, Time};
use crate::plan::Blueprint;

/// The state machine with its clock, its configuration and its queues.
pub(super) struct Core {
    state: State,
    /// Zero of the core's time.
    begun: Instant,
    begun_at: Millis,
    blueprints: BTreeMap<SlotId, Rc<Blueprint>>,
    /// The number of the last slot ever made.
    last_slot: SlotId,
    /// Events that the core has not taken yet.
    events: VecDeque<Event>,
    /// What the core has decided and is not done yet.
    actions: VecDeque<Action>,
}

impl Core {
    pub(super) fn new(blueprints: Vec<Blueprint>, shutdown_timeout: Duration, seed: u64) -> Self {
        let specs = blueprints.iter().map(|blueprint| blueprint.spec.clone()).collect();
        let blueprints: BTreeMap<SlotId, Rc<Blueprint>> =
            (0..).map(SlotId).zip(blueprints.into_iter().map(Rc::new)).collect();
        Self {
            state: State::new(specs, shutdown_timeout, seed),
            begun: Instant::now(),
            begun_at: clock::now(),
            last_slot: blueprints.keys().next_back().copied().unwrap_or(SlotId(0)),
            blueprints,
            events: VecDeque::new(),
            actions: VecDeque::new(),
        }
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// The core's time.
    pub(super) fn now(&self) -> Time {
        self.begun.elapsed()
    }

    /// When it began.
    pub(super) fn begun_at(&self) -> Millis {
        self.begun_at
    }

    /// When the core has to be told that time has passed.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.state.next_deadline().map(|deadline| self.begun + deadline)
    }

    /// What is configured for a slot now; nothing for one that is forgotten.
    pub(super) fn blueprint(&self, slot: SlotId) -> Option<&Rc<Blueprint>> {
        self.blueprints.get(&slot)
    }

    pub(super) fn blueprints(&self) -> impl Iterator<Item = (SlotId, &Rc<Blueprint>)> {
        self.blueprints.iter().map(|(slot, blueprint)| (*slot, blueprint))
    }

    /// The name of a slot in logs and answers.
    pub(super) fn label(&self, slot: SlotId) -> String {
        self.blueprint(slot).map_or_else(|| "a service".to_owned(), |known| known.spec.label())
    }

    /// The number for the next new slot.
    pub(super) fn next_slot(&self) -> SlotId {
        SlotId(self.last_slot.0 + 1)
    }

    /// Configures a slot, which may be new.
    pub(super) fn configure(&mut self, slot: SlotId, blueprint: Blueprint) {
        self.last_slot = self.last_slot.max(slot);
        self.blueprints.insert(slot, Rc::new(blueprint));
    }

    /// Drops the configuration of slots that are gone.
    pub(super) fn forget_gone(&mut self) {
        self.blueprints.retain(|slot, _| self.state.slot(*slot).is_some());
    }

    /// Queues an event.
    pub(super) fn push(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Queues events.
    pub(super) fn extend(&mut self, events: impl IntoIterator<Item = Event>) {
        self.events.extend(events);
    }

    /// Queues the event that a deadline of the core has passed, if one has. What it
    /// has decided comes first.
    pub(super) fn tick(&mut self) {
        let is_late = |deadline| self.actions.is_empty() && deadline <= self.now();
        if self.state.next_deadline().is_some_and(is_late) {
            self.events.push_back(Event::Tick);
        }
    }

    /// Lets the core take the next event; whether there was one.
    pub(super) fn step(&mut self) -> bool {
        let Some(event) = self.events.pop_front() else { return false };
        let now = self.now();
        self.actions.extend(machine::step(&mut self.state, now, event));
        true
    }

    pub(super) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(super) fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }
}
