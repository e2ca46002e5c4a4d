//! Laws of the core that hold for every sequence of events, however unlikely.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use santa_config::{Backoff, Restart};
use santa_supervise::machine::{
    Action, CommandId, Event, Exit, Generation, KILL_TIMEOUT, Note, Phase, Readiness, SlotId,
    SpawnFailure, Spec, State, Time, Verb, step,
};

const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(9);
const INITIAL_WAIT: Duration = Duration::from_millis(100);

/// Something that may happen; numbers pick among what there is at that moment.
#[derive(Debug, Clone)]
enum Input {
    Wait(u16),
    NextDeadline,
    Ready(u8),
    Exit { pick: u8, code: u8, signal: bool, alone: bool },
    Gone(u8),
    Terminate,
    Command(u8, u8),
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        3 => (0u16..3_000).prop_map(Input::Wait),
        5 => Just(Input::NextDeadline),
        5 => any::<u8>().prop_map(Input::Ready),
        5 => (any::<u8>(), 0u8..3, any::<bool>(), any::<bool>())
            .prop_map(|(pick, code, signal, alone)| Input::Exit { pick, code, signal, alone }),
        3 => any::<u8>().prop_map(Input::Gone),
        1 => Just(Input::Terminate),
        4 => (any::<u8>(), any::<u8>()).prop_map(|(verb, target)| Input::Command(verb, target)),
    ]
}

fn spec(index: usize) -> impl Strategy<Value = Spec> {
    let restart =
        prop_oneof![Just(Restart::Always), Just(Restart::OnFailure), Just(Restart::Never)];
    let readiness = prop_oneof![
        Just(Readiness::Probed),
        Just(Readiness::After(Duration::ZERO)),
        Just(Readiness::After(Duration::from_millis(700))),
    ];
    let needs = prop::collection::vec(any::<bool>(), index);
    (any::<bool>(), any::<bool>(), any::<bool>(), restart, readiness, needs, 0u32..3).prop_map(
        move |(task, critical, reloads, restart, readiness, needs, start_retries)| Spec {
            service: format!("s{index}"),
            instance: 0,
            instances: 1,
            task,
            depends_on: (0..index).filter(|i| needs[*i]).map(|i| format!("s{i}")).collect(),
            readiness,
            start_timeout: Duration::from_secs(4),
            stop_timeout: Duration::from_secs(2),
            restart,
            backoff: Backoff {
                initial: INITIAL_WAIT,
                factor: 2.0,
                max: Duration::from_secs(30),
                jitter: 0.2,
                reset_after: Duration::from_secs(60),
            },
            start_retries,
            critical,
            success_codes: vec![0],
            reloads,
        },
    )
}

/// What a process tree looks like from outside.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Tree {
    slot: SlotId,
    main_alive: bool,
}

/// The core together with a pretended world that checks every action.
struct World {
    state: State,
    now: Time,
    /// Whether the n-th spawn works; afterwards all do.
    spawns_work: Vec<bool>,
    spawns: usize,
    live: BTreeMap<Generation, Tree>,
    dead: Vec<(SlotId, Generation)>,
    /// Spawns that failed; the core may act on them until it is told.
    never_ran: BTreeSet<Generation>,
    last_spawn: BTreeMap<SlotId, Time>,
    /// Slots for which an operator asked something since their last spawn.
    asked: BTreeSet<SlotId>,
    shutdown_level: u8,
    expected_code: Option<i32>,
    open_commands: BTreeSet<CommandId>,
    commands: u64,
    exit: Option<i32>,
}

impl World {
    fn new(specs: Vec<Spec>, seed: u64, spawns_work: Vec<bool>) -> Self {
        Self {
            state: State::new(specs, SHUTDOWN_TIMEOUT, seed),
            now: Duration::ZERO,
            spawns_work,
            spawns: 0,
            live: BTreeMap::new(),
            dead: Vec::new(),
            never_ran: BTreeSet::new(),
            last_spawn: BTreeMap::new(),
            asked: BTreeSet::new(),
            shutdown_level: 0,
            expected_code: None,
            open_commands: BTreeSet::new(),
            commands: 0,
            exit: None,
        }
    }

    fn feed(&mut self, event: Event) {
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
            Action::AskToStop(_, generation) | Action::KillTree(_, generation)
                if self.never_ran.contains(&generation) => {}
            Action::Spawn(slot, generation) => return Some(self.spawn(slot, generation)),
            Action::AskToStop(slot, generation) => {
                assert!(self.live[&generation].main_alive, "stop signal for a dead main process");
                if self.shutdown_level == 1 {
                    self.check_stop_order(slot);
                }
            }
            Action::AskLeftovers(slot, generation) | Action::KillTree(slot, generation) => {
                assert_eq!(self.live[&generation].slot, slot);
            }
            Action::Signal(_, generation, _) => assert!(self.live[&generation].main_alive),
            Action::Reply(id, _) => {
                assert!(self.open_commands.remove(&id), "{id:?} answered twice")
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
        assert!(self.live.values().all(|tree| tree.slot != slot), "two live trees in one slot");
        let needs = &self.state.slot(slot).expect("known").spec().depends_on;
        for (_, other) in
            self.state.slots().filter(|(_, other)| needs.contains(&other.spec().service))
        {
            assert!(other.phase().satisfies(), "spawned before its dependency");
        }
        if let (Some(last), false) =
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
        let passing = self.spawns.is_multiple_of(2);
        Event::SpawnFailed(
            slot,
            generation,
            SpawnFailure { message: "refused".into(), passing, code: 127 },
        )
    }

    fn check_stop_order(&self, slot: SlotId) {
        let name = &self.state.slot(slot).expect("known").spec().service;
        for tree in self.live.values() {
            let dependent = self.state.slot(tree.slot).expect("known");
            assert!(!dependent.spec().depends_on.contains(name), "stopped before its dependent");
        }
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::Changed { slot, to, .. } => {
                let spec = self.state.slot(slot).expect("known").spec();
                let gives_up = matches!(to, Phase::Failed | Phase::Skipped);
                if spec.critical
                    && gives_up
                    && self.shutdown_level == 0
                    && self.expected_code.is_none()
                {
                    self.expected_code = Some(1);
                }
            }
            Note::Stuck(slot) => self.live.retain(|_, tree| tree.slot != slot),
            Note::Shutdown { level, .. } => {
                self.shutdown_level = level;
                self.expected_code.get_or_insert(0);
            }
        }
    }

    fn take(&mut self, input: &Input) {
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
            Input::Terminate => self.feed(Event::Terminate { why: "asked".into() }),
            Input::Command(verb, target) => self.command(verb, target),
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
        let verb = match verb % 5 {
            0 => Verb::Start,
            1 => Verb::Stop,
            2 => Verb::Restart,
            3 => Verb::Reload,
            _ => Verb::Signal(10),
        };
        let slot = SlotId(u32::from(target % 4));
        self.asked.insert(slot);
        self.feed(Event::Command { id, verb, target: format!("s{}", slot.0) });
    }

    /// Ends everything with children that never react; `killable` ones at least
    /// die of SIGKILL. Returns how long it took.
    fn end(&mut self, killable: bool) -> Duration {
        let begun = self.now;
        self.feed(Event::Terminate { why: "end of test".into() });
        while self.exit.is_none() {
            assert!(self.state.next_deadline().is_some(), "nothing left to wait for, and no end");
            self.pass_deadline();
            let killed = self.state.slots().filter(|(_, slot)| slot.phase() == Phase::Stopping);
            let slots: Vec<SlotId> = killed.map(|(id, _)| id).collect();
            let gone: Vec<_> =
                self.live.iter().map(|(generation, tree)| (*generation, *tree)).collect();
            for (generation, tree) in
                gone.into_iter().filter(|(_, tree)| killable && slots.contains(&tree.slot))
            {
                self.bury(tree.slot, generation);
                let (slot, exit) = (tree.slot, Exit::Signal(9));
                self.feed(Event::Exited { slot, generation, exit, alone: true });
                self.feed(Event::Gone(slot, generation));
            }
        }
        self.now - begun
    }
}

fn specs() -> impl Strategy<Value = Vec<Spec>> {
    (spec(0), spec(1), spec(2), spec(3)).prop_map(|(a, b, c, d)| vec![a, b, c, d])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_events_keeps_the_laws_and_ends_in_time(
        specs in specs(),
        seed: u64,
        spawns_work in prop::collection::vec(prop::bool::weighted(0.8), 0..12),
        inputs in prop::collection::vec(input(), 0..60),
        killable: bool,
    ) {
        let mut world = World::new(specs, seed, spawns_work);
        world.feed(Event::Start);
        for input in &inputs {
            if world.exit.is_none() {
                world.take(input);
            }
        }
        let took = if world.exit.is_none() { world.end(killable) } else { Duration::ZERO };
        prop_assert!(took <= SHUTDOWN_TIMEOUT + KILL_TIMEOUT, "the stop took {took:?}");
        prop_assert!(world.open_commands.is_empty(), "unanswered: {:?}", world.open_commands);
        match world.expected_code {
            Some(0) => prop_assert_eq!(world.exit, Some(0)),
            _ => prop_assert!(world.exit != Some(0), "a critical failure ended with 0"),
        }
    }
}

/// Runs events and returns the phases that slot `0` went through.
fn trace(world: &World, wanted: SlotId) -> Phase {
    world.state.slot(wanted).expect("known").phase()
}

fn plain(service: &str, depends_on: &[&str]) -> Spec {
    Spec {
        service: service.into(),
        instance: 0,
        instances: 1,
        task: false,
        depends_on: depends_on.iter().map(|name| (*name).to_owned()).collect(),
        readiness: Readiness::Probed,
        start_timeout: Duration::from_secs(4),
        stop_timeout: Duration::from_secs(2),
        restart: Restart::Always,
        backoff: Backoff {
            initial: INITIAL_WAIT,
            factor: 2.0,
            max: Duration::from_secs(30),
            jitter: 0.0,
            reset_after: Duration::from_secs(60),
        },
        start_retries: 2,
        critical: false,
        success_codes: vec![0],
        reloads: false,
    }
}

#[test]
fn a_dependent_waits_until_its_dependency_is_ready() {
    let mut world = World::new(vec![plain("s0", &[]), plain("s1", &["s0"])], 1, vec![]);
    world.feed(Event::Start);
    assert_eq!(trace(&world, SlotId(1)), Phase::Waiting);
    world.take(&Input::Ready(0));
    assert_eq!(trace(&world, SlotId(0)), Phase::Ready);
    assert_eq!(trace(&world, SlotId(1)), Phase::Starting);
}

#[test]
fn a_service_that_had_been_up_comes_back_without_a_wait() {
    let mut world = World::new(vec![plain("s0", &[])], 1, vec![]);
    world.feed(Event::Start);
    world.take(&Input::Ready(0));
    world.take(&Input::Wait(500));
    world.take(&Input::Exit { pick: 0, code: 0, signal: true, alone: true });
    assert_eq!(world.state.next_deadline(), Some(world.now), "the next start is due at once");
    world.feed(Event::Tick);
    assert_eq!(trace(&world, SlotId(0)), Phase::Starting);
}

#[test]
fn a_service_that_never_gets_ready_fails_after_its_retries() {
    let mut world = World::new(vec![plain("s0", &[])], 1, vec![]);
    world.feed(Event::Start);
    for _ in 0..3 {
        assert_eq!(trace(&world, SlotId(0)), Phase::Starting);
        world.take(&Input::Exit { pick: 0, code: 2, signal: false, alone: true });
        world.take(&Input::NextDeadline);
    }
    assert_eq!(trace(&world, SlotId(0)), Phase::Failed);
    assert_eq!(world.spawns, 3, "one start and two retries");
}

#[test]
fn a_critical_failure_ends_everything_with_its_exit_code() {
    let critical = Spec { critical: true, restart: Restart::Never, ..plain("s0", &[]) };
    let mut world = World::new(vec![critical, plain("s1", &[])], 1, vec![]);
    world.feed(Event::Start);
    world.take(&Input::Exit { pick: 0, code: 2, signal: false, alone: true });
    assert_eq!(trace(&world, SlotId(1)), Phase::Stopping);
    world.take(&Input::Exit { pick: 0, code: 0, signal: false, alone: true });
    assert_eq!(world.exit, Some(2));
}

#[test]
fn dependents_of_a_failed_task_are_skipped() {
    let task = Spec { task: true, restart: Restart::Never, ..plain("s0", &[]) };
    let mut world = World::new(vec![task, plain("s1", &["s0"]), plain("s2", &["s1"])], 1, vec![]);
    world.feed(Event::Start);
    world.take(&Input::Exit { pick: 0, code: 1, signal: false, alone: true });
    assert_eq!(trace(&world, SlotId(1)), Phase::Skipped);
    assert_eq!(trace(&world, SlotId(2)), Phase::Skipped);
}

#[test]
fn leftovers_are_asked_then_killed_before_the_next_start() {
    let mut world = World::new(vec![plain("s0", &[])], 1, vec![]);
    world.feed(Event::Start);
    world.take(&Input::Ready(0));
    world.take(&Input::Exit { pick: 0, code: 1, signal: false, alone: false });
    assert_eq!(trace(&world, SlotId(0)), Phase::Stopping);
    world.take(&Input::NextDeadline);
    assert_eq!(trace(&world, SlotId(0)), Phase::Stopping, "killed, not yet gone");
    world.take(&Input::Gone(0));
    assert_eq!(trace(&world, SlotId(0)), Phase::Backoff);
}
