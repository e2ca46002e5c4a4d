//! The data that [`crate::machine::step`] works on: slots, generations, events
//! and actions. Plain values only; the rules are in the sibling modules.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use santa_config::{Backoff, Restart};

use super::table::Phase;
use crate::backoff::Chance;

/// Time since santa-supervise started, by the monotonic clock.
pub type Time = Duration;

/// One instance of one service; stays the same over restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub u32);

/// One spawned process tree. Numbers are never used twice, so whatever is
/// reported for an older tree can be told apart and dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

/// A command that waits for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommandId(pub u64);

/// How the core learns that a slot is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// It has been running for this long; zero means as soon as started.
    After(Duration),
    /// The event loop probes and reports [`Event::Ready`].
    Probed,
}

/// What the core must know of one slot.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Name of the service.
    pub service: String,
    /// Number of this instance, from 0.
    pub instance: u32,
    /// How many instances the service has.
    pub instances: u32,
    /// Runs to its end instead of staying.
    pub task: bool,
    /// Services that must be ready or completed before this one starts.
    pub depends_on: Vec<String>,
    /// How it becomes ready.
    pub readiness: Readiness,
    /// Longest way to readiness (a task: to completion).
    pub start_timeout: Duration,
    /// From the stop signal to the kill.
    pub stop_timeout: Duration,
    /// When to start again after it ended by itself.
    pub restart: Restart,
    /// How long to wait before that.
    pub backoff: Backoff,
    /// Failed starts in a row before it counts as failed.
    pub start_retries: u32,
    /// Whether its failure ends everything.
    pub critical: bool,
    /// Exit codes that count as success.
    pub success_codes: Vec<i32>,
    /// Whether a signal makes it reload.
    pub reloads: bool,
}

impl Spec {
    /// `backend`, or `backend:1` where there are several.
    #[must_use]
    pub fn label(&self) -> String {
        match self.instances {
            1 => self.service.clone(),
            _ => format!("{}:{}", self.service, self.instance),
        }
    }
}

/// How a main process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Exit {
    /// The code a shell would report: 128 and the signal for a violent end.
    #[must_use]
    pub fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "ended by {}", crate::signals::name(*signal)),
        }
    }
}

/// Why a process could not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpawnFailure {
    /// What was attempted, what went wrong, what to do about it.
    pub message: String,
    /// Whether trying again may help (no more processes, no more memory).
    pub passing: bool,
    /// The exit code that stands for it, as in a shell: 126 or 127.
    pub code: i32,
}

/// What happens in the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Bring everything up.
    Start,
    /// Time has passed: see [`State::next_deadline`].
    Tick,
    /// The program of this generation runs.
    Spawned(SlotId, Generation),
    /// The program of this generation could not be run.
    SpawnFailed(SlotId, Generation, SpawnFailure),
    /// This generation answers its readiness probe.
    Ready(SlotId, Generation),
    /// The main process ended.
    Exited {
        /// Whose.
        slot: SlotId,
        /// Of which spawn.
        generation: Generation,
        /// In what way.
        exit: Exit,
        /// Whether nothing of its process tree is left.
        alone: bool,
    },
    /// After [`Event::Exited`]: now nothing of the tree is left.
    Gone(SlotId, Generation),
    /// A request to stop everything: the second and third hurry.
    Terminate {
        /// What asked for it.
        why: String,
    },
    /// Somebody wants something of a service.
    Command {
        /// To be repeated in the one [`Action::Reply`].
        id: CommandId,
        /// What is wanted.
        verb: Verb,
        /// `NAME` or `NAME:INSTANCE`.
        target: String,
    },
}

/// What can be asked of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Answered when ready.
    Start,
    /// Answered when stopped.
    Stop,
    /// Answered when the next generation is ready.
    Restart,
    /// Sends the reload signal, or restarts a service that has none.
    Reload,
    /// Sends this signal to the main process.
    Signal(i32),
}

/// What the event loop must do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start a process; answer with `Spawned` or `SpawnFailed`.
    Spawn(SlotId, Generation),
    /// Send the stop signal to the main process.
    AskToStop(SlotId, Generation),
    /// Send the stop signal to what the ended main process left behind.
    AskLeftovers(SlotId, Generation),
    /// Kill the whole tree, however often that takes.
    KillTree(SlotId, Generation),
    /// Send a signal that is not part of a stop.
    Signal(SlotId, Generation, Signal),
    /// Tell the log and whoever follows events.
    Note(Note),
    /// Answer a command: what was reached, or why not.
    Reply(CommandId, Result<String, String>),
    /// End with this code; everything has stopped.
    Exit(i32),
}

/// A signal outside a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The one configured for reloading.
    Reload,
    /// The one the operator named.
    Number(i32),
}

/// Something worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A slot went from one phase to another.
    Changed {
        /// Which one.
        slot: SlotId,
        /// Before.
        from: Phase,
        /// After.
        to: Phase,
        /// The reason, for people.
        why: String,
    },
    /// The tree survived SIGKILL for [`super::KILL_TIMEOUT`].
    Stuck(SlotId),
    /// Everything is to stop.
    Shutdown {
        /// The reason, for people.
        why: String,
        /// 1 in order, 2 all at once, 3 kill.
        level: u8,
    },
}

/// What ended the stay in `starting` or `ready`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// An operator or the shutdown.
    Request,
    /// The main process ended by itself.
    OwnExit,
    /// It was not ready in time.
    StartTimeout,
}

/// The live process tree of a slot.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) generation: Generation,
    pub(super) started_at: Time,
    pub(super) ready_at: Option<Time>,
    /// Until [`Event::Exited`].
    pub(super) main_alive: bool,
    pub(super) exit: Option<Exit>,
    pub(super) cause: Cause,
    pub(super) killed: bool,
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
    /// Some exactly in the phases that [`Phase::is_live`] names.
    pub(super) run: Option<Run>,
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
    pub(super) deadline: Time,
}

/// A command that waits for slots to settle.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) id: CommandId,
    /// Up or down.
    pub(super) up: bool,
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
    pub(super) chance: Chance,
    pub(super) exited: bool,
}

impl State {
    /// Every slot stopped; `seed` decides the jitter of all waits.
    #[must_use]
    pub fn new(specs: Vec<Spec>, shutdown_timeout: Duration, seed: u64) -> Self {
        let slots = specs.into_iter().zip(0..).map(|(spec, id)| {
            let slot = Slot {
                spec,
                phase: Phase::Stopped,
                since: Time::ZERO,
                why: "not started yet".to_owned(),
                wanted: false,
                run: None,
                deadline: None,
                failures: 0,
                failed_starts: 0,
                spawns: 0,
                last_exit: None,
                failure_code: 1,
            };
            (SlotId(id), slot)
        });
        Self {
            slots: slots.collect(),
            pending: Vec::new(),
            shutdown: None,
            shutdown_timeout,
            next_generation: 1,
            chance: Chance::new(seed),
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

    /// When [`Event::Tick`] is due at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let slots = self.slots.values().filter_map(|slot| slot.deadline);
        let shutdown = self.shutdown.as_ref().filter(|shutdown| shutdown.level < 3);
        slots.chain(shutdown.map(|shutdown| shutdown.deadline)).min()
    }
}
