//! What the core remembers from one event to the next. Plain values only; the
//! rules that change them are in the sibling modules.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::kill::Kill;
use super::model::{CommandId, Exit, Generation, SlotId, Spec, Time};
use super::table::Phase;

/// What ended the stay in `starting` or `ready`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// An operator or the shutdown.
    Request,
    /// The main process ended by itself.
    OwnExit,
    /// It was not ready in time.
    StartTimeout,
    /// It was ready and does not work any more.
    Unhealthy,
}

/// The live process tree of a slot.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) generation: Generation,
    pub(super) started_at: Time,
    pub(super) ready_at: Option<Time>,
    /// From [`Spawned`](super::Event::Spawned) on: its program runs.
    pub(super) runs: bool,
    /// Until [`Exited`](super::Event::Exited).
    pub(super) main_alive: bool,
    pub(super) exit: Option<Exit>,
    pub(super) cause: Cause,
    /// How many signals of its stop sequence came before the last one sent.
    pub(super) stop_step: usize,
    pub(super) kill: Option<Kill>,
}

/// A tree that starts beside the one that serves.
#[derive(Debug, Clone)]
pub(super) struct Successor {
    pub(super) run: Run,
    /// When it must be ready; or is, where time alone makes it so.
    pub(super) deadline: Option<Time>,
}

/// A tree that ends while its slot goes on without it.
#[derive(Debug, Clone)]
pub(super) struct RetiringProcess {
    pub(super) generation: Generation,
    pub(super) main_alive: bool,
    pub(super) stop_step: usize,
    pub(super) kill: Option<Kill>,
    /// When it is asked again or killed; or, then, given up.
    pub(super) deadline: Time,
}

/// The state of one slot.
#[derive(Debug, Clone)]
pub struct Slot {
    pub(super) spec: Spec,
    pub(super) phase: Phase,
    /// The phase began then.
    pub(super) since: Time,
    /// Why it is in this phase.
    pub(super) why: String,
    /// Whether it ought to be up.
    pub(super) wanted: bool,
    /// No longer configured: forgotten as soon as nothing of it is left.
    pub(super) removed: bool,
    /// Some exactly in the phases that [`Phase::is_live`] names.
    pub(super) run: Option<Run>,
    /// Only beside a run that is ready.
    pub(super) successor: Option<Successor>,
    pub(super) retiring: Vec<RetiringProcess>,
    /// Why the last rolling restart did not work.
    pub(super) roll_problem: String,
    /// What it means depends on the phase: see `deadlines.rs`.
    pub(super) deadline: Option<Time>,
    /// Failures since it was last ready for `reset_after`.
    pub(super) failures: u32,
    /// Failed starts in a row.
    pub(super) failed_starts: u32,
    pub(super) spawns: u64,
    pub(super) last_exit: Option<Exit>,
    /// Exit code that stands for its failure.
    pub(super) failure_code: i32,
}

impl Slot {
    pub(super) fn new(spec: Spec, now: Time) -> Self {
        Self {
            spec,
            phase: Phase::Stopped,
            since: now,
            why: "not started yet".to_owned(),
            wanted: false,
            removed: false,
            run: None,
            successor: None,
            retiring: Vec::new(),
            roll_problem: String::new(),
            deadline: None,
            failures: 0,
            failed_starts: 0,
            spawns: 0,
            last_exit: None,
            failure_code: 1,
        }
    }

    /// What it was made from.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Where it is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// When the phase began.
    #[must_use]
    pub fn since(&self) -> Time {
        self.since
    }

    /// Why it is in this phase, for people.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }

    /// Whether it is on its way out: no longer configured, not yet gone.
    #[must_use]
    pub fn removed(&self) -> bool {
        self.removed
    }

    /// Whether it ought to be up.
    #[must_use]
    pub fn wanted(&self) -> bool {
        self.wanted
    }

    /// The live generation, if any.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        self.run.as_ref().map(|run| run.generation)
    }

    /// When its phase ends at the latest; what then happens depends on it.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// How often it was started again.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.spawns.saturating_sub(1)
    }

    /// How its last main process ended.
    #[must_use]
    pub fn last_exit(&self) -> Option<Exit> {
        self.last_exit
    }
}

/// A stop of everything.
#[derive(Debug, Clone)]
pub(super) struct Shutdown {
    pub(super) code: i32,
    /// 1 in order, 2 all at once, 3 kill.
    pub(super) level: u8,
    /// When an operator or the system last asked for it; never, where a critical
    /// service began it.
    pub(super) asked_at: Option<Time>,
    pub(super) deadline: Time,
}

/// What a command waits for.
#[derive(Debug, Clone)]
pub(super) enum Goal {
    /// Ready, by this command.
    Up,
    /// Stopped, by this command.
    Down,
    /// Ready, however that comes about.
    SeenUp,
    /// Stopped, however that comes about.
    SeenDown,
    /// One slot after the other has a new generation; the newest is `target`.
    Rolled { left: VecDeque<SlotId>, target: (SlotId, Generation) },
}

/// A command that waits for slots to settle.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) id: CommandId,
    pub(super) goal: Goal,
    pub(super) slots: Vec<SlotId>,
}

/// All that the core remembers.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) slots: BTreeMap<SlotId, Slot>,
    pub(super) pending: Vec<Pending>,
    pub(super) shutdown: Option<Shutdown>,
    pub(super) shutdown_timeout: Duration,
    pub(super) next_generation: u64,
    pub(super) chance: fastrand::Rng,
    pub(super) exited: bool,
}

impl State {
    /// Every slot stopped; `seed` decides the jitter of all waits.
    #[must_use]
    pub fn new(specs: Vec<Spec>, shutdown_timeout: Duration, seed: u64) -> Self {
        let slots = specs.into_iter().zip(0..);
        Self {
            slots: slots.map(|(spec, id)| (SlotId(id), Slot::new(spec, Time::ZERO))).collect(),
            pending: Vec::new(),
            shutdown: None,
            shutdown_timeout,
            next_generation: 1,
            chance: fastrand::Rng::with_seed(seed),
            exited: false,
        }
    }

    /// All slots, in the order of the configuration.
    pub fn slots(&self) -> impl Iterator<Item = (SlotId, &Slot)> {
        self.slots.iter().map(|(id, slot)| (*id, slot))
    }

    /// One slot.
    #[must_use]
    pub fn slot(&self, id: SlotId) -> Option<&Slot> {
        self.slots.get(&id)
    }

    /// Whether everything is being stopped.
    #[must_use]
    pub fn is_shutting_down(&self) -> bool {
        self.shutdown.is_some()
    }

    /// When [`Tick`](super::Event::Tick) is due at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let slots = self
            .slots
            .values()
            .flat_map(|slot| slot.deadline.into_iter().chain(slot.overlap_deadline()));
        let shutdown = self.shutdown.as_ref().filter(|shutdown| shutdown.level < 3);
        slots.chain(shutdown.map(|shutdown| shutdown.deadline)).min()
    }
}
