//! A pretended world around the core: it carries out actions by remembering
//! them, and checks the laws for each.

mod reconfigure;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use santa_supervise::machine::{
    Action, CommandId, Event, Exit, Generation, Note, Phase, Retry, Slot, SlotId, SpawnFailure,
    Spec, State, Time, Verb, step,
};

pub(crate) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(9);
pub(crate) const INITIAL_WAIT: Duration = Duration::from_millis(100);

/// Something that may happen; numbers pick among what there is at that moment.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    Wait(u16),
    NextDeadline,
    Ready(u8),
    Exit {
        pick: u8,
        code: u8,
        signal: bool,
        alone: bool,
    },
    Gone(u8),
    /// So many processes are left of what is being killed.
    Left(u8, u8),
    Terminate,
    Command(u8, u8),
    Unhealthy(u8),
    /// Remove, add or change a service, or give it 1 to 3 instances.
    Reconfigure {
        what: u8,
        target: u8,
        renewed: bool,
    },
}

/// What a process tree looks like from outside.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Tree {
    slot: SlotId,
    main_alive: bool,
}

/// The core together with a pretended world that checks every action.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) now: Time,
    /// Whether the n-th spawn works; afterward all do.
    spawns_work: Vec<bool>,
    pub(crate) spawns: usize,
    live: BTreeMap<Generation, Tree>,
    dead: Vec<(SlotId, Generation)>,
    /// Spawns that failed; the core may act on them until it is told.
    never_ran: BTreeSet<Generation>,
    last_spawn: BTreeMap<SlotId, Time>,
    /// The last signal of its stop sequence that each generation got.
    asked_to_stop: BTreeMap<Generation, usize>,
    /// Slots for which an operator asked something since their last spawn.
    asked: BTreeSet<SlotId>,
    /// The services of rolling restarts, which ask when an instance's turn comes.
    rolls: BTreeMap<CommandId, String>,
    shutdown_level: u8,
    pub(crate) expected_code: Option<i32>,
    pub(crate) open_commands: BTreeSet<CommandId>,
    pub(crate) last_reply: Option<Result<String, String>>,
    commands: u64,
    last_slot: SlotId,
    first_spec: Spec,
    pub(crate) exit: Option<i32>,
}

impl World {
    pub(crate) fn new(specs: Vec<Spec>, seed: u64, spawns_work: Vec<bool>) -> Self {
        let first = (specs[0].clone(), u32::try_from(specs.len()).expect("a handful"));
        Self {
            state: State::new(specs, SHUTDOWN_TIMEOUT, seed),
            now: Duration::ZERO,
            spawns_work,
            spawns: 0,
            live: BTreeMap::new(),
            dead: Vec::new(),
            never_ran: BTreeSet::new(),
            last_spawn: BTreeMap::new(),
            asked_to_stop: BTreeMap::new(),
            asked: BTreeSet::new(),
            rolls: BTreeMap::new(),
            shutdown_level: 0,
            expected_code: None,
            open_commands: BTreeSet::new(),
            last_reply: None,
            commands: 0,
            last_slot: SlotId(first.1),
            first_spec: first.0,
            exit: None,
        }
    }

    /// How many trees live.
    pub(crate) fn trees(&self) -> u8 {
        u8::try_from(self.live.len()).expect("a handful")
    }

    /// What lives, without generations: of each tree its slot and whether its
    /// main process does; and the level of a shutdown.
    pub(crate) fn kinds_of_trees(&self) -> Vec<u8> {
        let trees = self.live.values();
        let kinds = trees.map(|tree| (tree.slot.0 as u8) << 1 | u8::from(tree.main_alive));
        kinds.chain([255, self.shutdown_level]).collect()
    }

    pub(crate) fn feed(&mut self, event: Event) {
        let mut events = vec![event];
        while !events.is_empty() {
            let event = events.remove(0);
            for action in step(&mut self.state, self.now, event) {
                events.extend(self.perform(action));
            }
        }
    }

    /// Checks the laws for one action and pretends to carry it out.
    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::AskToStop(_, generation, _) | Action::KillTree(_, generation)
                if self.never_ran.contains(&generation) => {}
            Action::Spawn(slot, generation) => return Some(self.spawn(slot, generation)),
            Action::AskToStop(slot, generation, step) => {
                assert!(self.live[&generation].main_alive, "stop signal for a dead main process");
                let before = self.asked_to_stop.insert(generation, step);
                assert!(before.is_none_or(|before| before < step), "the same signal twice");
                let serving = self.state.slot(slot).expect("known");
                let serves = serving.generation() == Some(generation);
                assert!(!(serves && serving.phase() == Phase::Ready), "asked the one that serves");
                if self.shutdown_level == 1 && serves && step == 0 {
                    self.check_stop_order(slot);
                }
            }
            Action::AskLeftovers(slot, generation) | Action::KillTree(slot, generation) => {
                assert_eq!(self.live[&generation].slot, slot);
            }
            Action::Signal(_, generation, _) => assert!(self.live[&generation].main_alive),
            Action::Reply(id, reply) => {
                assert!(self.open_commands.remove(&id), "{id:?} answered twice");
                self.last_reply = Some(reply);
            }
            Action::Exit(code) => {
                assert_eq!(self.exit.replace(code), None, "ended twice");
                assert!(self.live.is_empty(), "ended with live processes");
            }
            Action::Note(note) => self.note(note),
        }
        None
    }

    fn spawn(&mut self, slot: SlotId, generation: Generation) -> Event {
        assert_eq!(self.shutdown_level, 0, "spawned during shutdown");
        let own = self.state.slot(slot).expect("known");
        assert!(!own.removed(), "spawned what is no longer configured");
        // Perhaps dismissed in the same step.
        let mut beside = own.successor().into_iter().chain(own.retiring());
        let succeeds = beside.any(|one| one == generation);
        for (other, _) in self.live.iter().filter(|(_, tree)| tree.slot == slot) {
            let replaced = succeeds && own.generation() == Some(*other);
            let leaves = own.retiring().any(|retiring| retiring == *other);
            assert!(replaced || leaves, "two live trees in one slot");
        }
        for need in &own.spec().depends_on {
            let meant = |other: &&(SlotId, &Slot)| {
                other.1.spec().service == need.service && !other.1.removed()
            };
            for (_, other) in self.state.slots().filter(|other| meant(&other)) {
                assert!(
                    succeeds || other.phase().meets(need.condition),
                    "spawned before its dependency"
                );
            }
        }
        let mut rolls = self.rolls.iter();
        let is_rolled =
            rolls.any(|(id, name)| self.open_commands.contains(id) && *name == own.spec().service);
        // A successor is always asked for, and what it replaces has its own waits.
        if !(succeeds || is_rolled)
            && let (Some(last), false) =
                (self.last_spawn.insert(slot, self.now), self.asked.remove(&slot))
        {
            assert!(self.now - last >= INITIAL_WAIT.mul_f64(0.79), "spawned again without a wait");
        }
        self.spawns += 1;
        if self.spawns_work.get(self.spawns - 1).copied().unwrap_or(true) {
            self.live.insert(generation, Tree { slot, main_alive: true });
            return Event::Spawned(slot, generation);
        }
        self.dead.push((slot, generation));
        self.never_ran.insert(generation);
        let retry = [Retry::Never, Retry::Counted, Retry::Always][self.spawns % 3];
        Event::SpawnFailed(
            slot,
            generation,
            SpawnFailure { message: "refused".into(), retry, code: 127 },
        )
    }

    fn check_stop_order(&self, slot: SlotId) {
        let own = self.state.slot(slot).expect("known").spec();
        for tree in self.live.values() {
            let other = self.state.slot(tree.slot).expect("known").spec();
            assert!(!other.needs(&own.service), "stopped before its dependent");
            assert!(!own.stop_after.contains(&other.service), "stopped before its stop_after");
        }
    }

    fn note(&mut self, note: Note) {
        match note {
            // One that is no longer configured may be forgotten by now.
            Note::Changed { slot, .. } if self.state.slot(slot).is_none() => {}
            Note::Changed { slot, to, .. } => {
                let slot = self.state.slot(slot).expect("known");
                let gives_up = matches!(to, Phase::Failed | Phase::Skipped);
                if slot.spec().critical
                    && !slot.removed()
                    && gives_up
                    && self.shutdown_level == 0
                    && self.expected_code.is_none()
                {
                    self.expected_code = Some(1);
                }
            }
            Note::Stuck(_, generation) => drop(self.live.remove(&generation)),
            Note::Roll { .. } => {}
            Note::Shutdown { level, .. } => {
                self.shutdown_level = level;
                self.expected_code.get_or_insert(0);
            }
        }
    }

    pub(crate) fn take(&mut self, input: &Input) {
        match *input {
            Input::Wait(ms) => {
                self.now += Duration::from_millis(ms.into());
                self.feed(Event::Tick);
            }
            Input::NextDeadline => self.pass_deadline(),
            Input::Ready(pick) => {
                if let Some((slot, generation)) = self.pick(pick) {
                    self.feed(Event::Ready(slot, generation));
                }
            }
            Input::Exit { pick, code, signal, alone } => self.end_main(pick, code, signal, alone),
            Input::Gone(pick) => {
                if let Some((slot, generation)) = self.pick(pick) {
                    if self.live.get(&generation).is_some_and(|tree| !tree.main_alive) {
                        self.bury(slot, generation);
                    }
                    self.feed(Event::Gone(slot, generation));
                }
            }
            Input::Left(pick, left) => {
                if let Some((slot, generation)) = self.pick(pick) {
                    self.feed(Event::Left { slot, generation, processes: left.into() });
                }
            }
            Input::Terminate => self.feed(Event::Terminate { why: "asked".into() }),
            Input::Command(verb, target) => self.command(verb, target),
            Input::Unhealthy(pick) => {
                if let Some((slot, generation)) = self.pick(pick) {
                    self.feed(Event::Unhealthy(slot, generation, "no pulse".into()));
                }
            }
            Input::Reconfigure { what, target, renewed } => self.reconfigure(what, target, renewed),
        }
    }

    fn pass_deadline(&mut self) {
        if let Some(deadline) = self.state.next_deadline() {
            self.now = self.now.max(deadline);
        }
        self.feed(Event::Tick);
    }

    /// A live generation, or one that has long been dead.
    fn pick(&self, pick: u8) -> Option<(SlotId, Generation)> {
        let live = self.live.iter().map(|(generation, tree)| (tree.slot, *generation));
        let all: Vec<_> = live.chain(self.dead.iter().copied().rev().take(2)).collect();
        (!all.is_empty()).then(|| all[usize::from(pick) % all.len()])
    }

    fn end_main(&mut self, pick: u8, code: u8, signal: bool, alone: bool) {
        let Some((slot, generation)) = self.pick(pick) else { return };
        if let Some(tree) = self.live.get_mut(&generation) {
            if !tree.main_alive {
                return;
            }
            tree.main_alive = false;
            if alone {
                self.bury(slot, generation);
            }
        }
        let exit = if signal { Exit::Signal(9) } else { Exit::Code(code.into()) };
        self.feed(Event::Exited { slot, generation, exit, alone });
    }

    fn bury(&mut self, slot: SlotId, generation: Generation) {
        self.live.remove(&generation);
        self.dead.push((slot, generation));
    }

    fn command(&mut self, verb: u8, target: u8) {
        self.commands += 1;
        let id = CommandId(self.commands);
        self.open_commands.insert(id);
        let verb = match verb % 8 {
            0 => Verb::Start,
            1 => Verb::Stop,
            2 => Verb::Restart,
            3 => Verb::Reload,
            4 => Verb::Roll,
            5 => Verb::AwaitUp,
            6 => Verb::AwaitDown,
            _ => Verb::Signal(10),
        };
        let service = format!("s{}", target % 4);
        let meant = self.state.slots().filter(|(_, slot)| slot.spec().service == service);
        self.asked.extend(meant.map(|(id, _)| id));
        if verb == Verb::Roll {
            self.rolls.insert(id, service.clone());
        }
        // All instances; or one of them, which may not exist.
        let target = match target / 4 % 8 {
            instance @ 4.. => format!("{service}:{}", instance - 4),
            _ => service,
        };
        self.feed(Event::Command { id, verb, target });
    }

    /// Ends everything with children that never react; `killable` ones at least
    /// die of SIGKILL. Returns how long it took.
    pub(crate) fn end(&mut self, killable: bool) -> Duration {
        let begun = self.now;
        self.feed(Event::Terminate { why: "end of test".into() });
        while self.exit.is_none() {
            assert!(self.state.next_deadline().is_some(), "nothing left to wait for, and no end");
            self.pass_deadline();
            let all: Vec<_> =
                self.live.iter().map(|(generation, tree)| (*generation, *tree)).collect();
            for (generation, tree) in all {
                let slot = self.state.slot(tree.slot).expect("known");
                let leaves = slot.retiring().any(|retiring| retiring == generation);
                if !killable || !(leaves || slot.phase() == Phase::Stopping) {
                    continue;
                }
                self.bury(tree.slot, generation);
                let (slot, exit) = (tree.slot, Exit::Signal(9));
                self.feed(Event::Exited { slot, generation, exit, alone: true });
                self.feed(Event::Gone(slot, generation));
            }
        }
        self.now - begun
    }
}

/// The same service with `count` instances.
pub(crate) fn instances(spec: &Spec, count: u32) -> impl Iterator<Item = Spec> {
    (0..count).map(move |instance| Spec { instance, instances: count, ..spec.clone() })
}
