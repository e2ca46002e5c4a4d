//! What goes into [`crate::machine::step`] and what comes out: specs, events and
//! actions. Plain values only; what is remembered in between is in `state.rs`,
//! the rules are in the other modules.

use std::fmt;
use std::time::Duration;

use santa_config::{Backoff, Dependency, Restart};

use super::table::Phase;

/// Time since santa-supervise started, by the monotonic clock.
pub type Time = Duration;

/// One instance of one service; stays the same over restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub u32);

/// One spawned process tree. Numbers are never reused, so events of older
/// trees can be recognized and ignored.
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
    /// What other services must have reached before this one starts.
    pub depends_on: Vec<Dependency>,
    /// Services that must have stopped, in a stop of everything, before this one.
    pub stop_after: Vec<String>,
    /// How it becomes ready.
    pub readiness: Readiness,
    /// Longest way to readiness (a task: to completion).
    pub start_timeout: Duration,
    /// From each step of a stop to the next, and from the last to the kill;
    /// never empty.
    pub stop: Vec<Duration>,
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
    /// Whether its readiness tells a new process from an old one beside it.
    pub rolls: bool,
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

    /// Whether it depends on `service`.
    #[must_use]
    pub fn needs(&self, service: &str) -> bool {
        self.depends_on.iter().any(|dependency| dependency.service == service)
    }

    /// The time until the second step of a stop, or the kill.
    pub(super) fn first_wait(&self) -> Duration {
        self.stop.first().copied().unwrap_or_default()
    }

    /// How long what an ended main process left behind may take.
    pub(super) fn leftover_grace(&self) -> Duration {
        super::LEFTOVER_GRACE.min(self.stop.iter().sum())
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
    /// The code a shell would report: 128 plus the number of a signal.
    #[must_use]
    pub fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

impl Event {
    /// The slot that it concerns, if it is about a single one.
    pub(super) fn slot(&self) -> Option<SlotId> {
        match self {
            Self::Spawned(slot, _)
            | Self::SpawnFailed(slot, ..)
            | Self::Ready(slot, _)
            | Self::Unhealthy(slot, ..)
            | Self::Exited { slot, .. }
            | Self::Left { slot, .. }
            | Self::Gone(slot, _) => Some(*slot),
            Self::Start
            | Self::Tick
            | Self::Reconfigured(_)
            | Self::Terminate { .. }
            | Self::Withdrawn(_)
            | Self::Command { .. } => None,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "ended by {}", santa_config::signal::name(*signal)),
        }
    }
}

/// Whether to try a start again that did not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// It would fail again.
    Never,
    /// It may work; it counts as a failed start.
    Counted,
    /// The machine has no descriptors, processes or memory left for a while,
    /// which is no fault of the service.
    Always,
}

/// Why a process could not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpawnFailure {
    /// What was attempted, what went wrong, what to do about it.
    pub message: String,
    /// Whether trying again may help.
    pub retry: Retry,
    /// The exit code that stands for it, as in a shell: 126 or 127.
    pub code: i32,
}

/// The difference between two configurations.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    /// New slots; their numbers were never used before.
    pub added: Vec<(SlotId, Spec)>,
    /// Slots with another spec; `true` where it takes a new process.
    pub changed: Vec<(SlotId, Spec, bool)>,
    /// Slots that are no longer configured.
    pub removed: Vec<SlotId>,
    /// Longest orderly stop, if that is another one.
    pub shutdown_timeout: Option<Duration>,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Bring everything up.
    Start,
    /// Time has passed: see [`super::State::next_deadline`].
    Tick,
    /// The program of this generation runs.
    Spawned(SlotId, Generation),
    /// The program of this generation could not be run.
    SpawnFailed(SlotId, Generation, SpawnFailure),
    /// This generation answers its readiness probe.
    Ready(SlotId, Generation),
    /// This generation was ready and does not work any more, for this reason.
    Unhealthy(SlotId, Generation, String),
    /// The configuration has changed.
    Reconfigured(Changes),
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
    /// How many processes of a tree that is being killed are left.
    Left {
        /// Whose.
        slot: SlotId,
        /// Of which spawn.
        generation: Generation,
        /// How many.
        processes: usize,
    },
    /// After [`Event::Exited`]: now nothing of the tree is left.
    Gone(SlotId, Generation),
    /// A request to stop everything: the second and third hurry.
    Terminate {
        /// What asked for it.
        why: String,
    },
    /// The client of this command does not wait for its answer any more.
    Withdrawn(CommandId),
    /// Someone wants something of a service.
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
    /// Like a restart, but the next generation is ready before the old one is
    /// asked to stop.
    Roll,
    /// Answered when ready, however that comes about.
    AwaitUp,
    /// Answered when stopped, however that comes about.
    AwaitDown,
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
    /// Send the stop signal of this number (from 0) to the main process.
    AskToStop(SlotId, Generation, usize),
    /// Send the stop signal to what the ended main process left behind.
    AskLeftovers(SlotId, Generation),
    /// Kill the whole tree, however often that takes.
    KillTree(SlotId, Generation),
    /// Send a signal that is not part of a stop.
    Signal(SlotId, Generation, Signal),
    /// Tell the log and clients that follow events.
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
    Stuck(SlotId, Generation),
    /// A step of a rolling restart.
    Roll {
        /// Which one.
        slot: SlotId,
        /// Whether it goes as it should.
        well: bool,
        /// What happened, for people.
        text: String,
    },
    /// Everything is to stop.
    Shutdown {
        /// The reason, for people.
        why: String,
        /// 1 in order, 2 all at once, 3 kill.
        level: u8,
    },
}
