//! The probes of one service, one after the other: what each has found, when the
//! next is due, and what follows. Starting one is in `begin.rs`.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use santa_config::Address;

use crate::machine::{Event, Generation, Phase, SlotId, State};
use crate::os::{Pid, Token};
use crate::plan::{Blueprint, Liveness, ProbeKind};
use crate::readiness::Probe;
use crate::spawning::Problem;

use super::super::connecting::Connecting;
use super::Context;

/// Pause between probes of a starting service: short at first, because most
/// services start quickly.
const QUICK: Duration = Duration::from_millis(5);
const STEADY: Duration = Duration::from_millis(50);
const QUICK_FOR: Duration = Duration::from_secs(3);

/// Pause between programs that probe a starting service.
const PROGRAM_EVERY: Duration = Duration::from_millis(200);

/// Pause between probes that need a process of our own.
const PROCESS_EVERY: Duration = Duration::from_millis(25);

/// A probe that is under way.
#[derive(Debug)]
pub(super) enum InFlight {
    Connecting(Connecting, Probe),
    Connection(Token, Probe),
    Program(Pid),
}

/// What a probe has found.
#[derive(Debug)]
pub(super) enum Finding {
    Passed,
    Failed(String),
    /// Something has run out here, which says nothing about the service.
    Inconclusive(String),
    /// The service did not send its watchdog notification in time.
    Silent(String),
}

impl Finding {
    pub(super) fn of_program(outcome: Result<(), Problem>) -> Self {
        match outcome {
            Ok(()) => Self::Passed,
            Err(problem) if problem.passes() => Self::Inconclusive(problem.into_message()),
            Err(problem) => Self::Failed(problem.into_message()),
        }
    }

    /// That of a probe that could not begin.
    pub(super) fn refused(error: &io::Error) -> Self {
        let problem = Problem::of(error);
        // It would block: the service does not accept what waits for it.
        if problem.passes() && error.kind() != io::ErrorKind::WouldBlock {
            Self::Inconclusive(problem.into_message())
        } else {
            Self::Failed(problem.into_message())
        }
    }
}

/// What the probes of a service are for.
#[derive(Debug)]
pub(super) enum Target {
    /// To see that it is ready.
    Readiness,
    /// To see that it still works; so many probes in a row have failed.
    Liveness { failures: u32 },
}

/// The probes of one service.
#[derive(Debug)]
pub(super) struct Watch {
    slot: SlotId,
    pub(super) blueprint: Rc<Blueprint>,
    target: Target,
    begun: Instant,
    pub(super) in_flight: Option<InFlight>,
    /// The next probe, or the end of the one under way.
    due: Instant,
    pub(super) problem: String,
}

impl Watch {
    pub(super) fn new(
        slot: SlotId,
        blueprint: &Rc<Blueprint>,
        target: Target,
        due: Instant,
    ) -> Self {
        let (blueprint, begun) = (Rc::clone(blueprint), Instant::now());
        Self { slot, blueprint, target, begun, in_flight: None, due, problem: String::new() }
    }

    /// The probes of a service that is ready.
    pub(super) fn of_living(slot: SlotId, blueprint: &Rc<Blueprint>, now: Instant) -> Self {
        let due = now + due_in(blueprint.liveness.as_ref());
        Self::new(slot, blueprint, Target::Liveness { failures: 0 }, due)
    }

    pub(super) fn slot(&self) -> SlotId {
        self.slot
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// What the last probe found wrong, if anything.
    pub(super) fn problem(&self) -> Option<&str> {
        Some(self.problem.as_str()).filter(|problem| !problem.is_empty())
    }

    pub(super) fn is_readiness(&self) -> bool {
        matches!(self.target, Target::Readiness)
    }

    /// Whether its service is still in the state that the probes are for.
    pub(super) fn is_wanted(&self, generation: Generation, state: &State) -> bool {
        state.slot(self.slot).is_some_and(|slot| match self.target {
            Target::Readiness => slot.is_starting(generation),
            Target::Liveness { .. } => {
                slot.phase() == Phase::Ready && slot.generation() == Some(generation)
            }
        })
    }

    /// Why the probe under way has failed when its time is over.
    pub(super) fn timeout(&self) -> Option<String> {
        let why = match self.in_flight.as_ref()? {
            InFlight::Connecting(..) => {
                self.problem().unwrap_or("its socket cannot be found in time; is a mount hanging?")
            }
            InFlight::Connection(..) | InFlight::Program(_) => "probe timed out",
        };
        Some(why.to_owned())
    }

    pub(super) fn is_waiting_for(&self, token: Token) -> bool {
        match &self.in_flight {
            Some(InFlight::Connecting(connecting, _)) => connecting.token() == token,
            Some(InFlight::Connection(own, _)) => *own == token,
            Some(InFlight::Program(_)) | None => false,
        }
    }

    pub(super) fn under_way(&mut self, probe: InFlight, timeout: Duration) {
        self.in_flight = Some(probe);
        self.due = Instant::now() + timeout;
    }

    /// Ends the probe under way.
    pub(super) fn cancel(&mut self, context: &mut Context<'_>) {
        match self.in_flight.take() {
            Some(InFlight::Connection(token, probe)) => context.io.forget(probe.fd(), token),
            Some(InFlight::Connecting(connecting, _)) => {
                connecting.end(context.io, context.helpers);
            }
            Some(InFlight::Program(pid)) => context.helpers.kill(context.io, pid),
            None => {}
        }
    }

    /// `WATCHDOG=1`.
    pub(super) fn ping(&mut self, now: Instant) {
        if !self.is_readiness() {
            self.due = now + due_in(self.blueprint.liveness.as_ref());
        }
    }

    /// What follows from a finding; after an event nothing is left to probe.
    pub(super) fn conclude(
        &mut self,
        generation: Generation,
        finding: Finding,
        now: Instant,
    ) -> Option<Event> {
        match finding {
            Finding::Passed => self.passed(generation, now),
            Finding::Failed(problem) => self.failed(generation, problem, true, now),
            Finding::Inconclusive(problem) => self.failed(generation, problem, false, now),
            Finding::Silent(why) => Some(Event::Unhealthy(self.slot, generation, why)),
        }
    }

    fn passed(&mut self, generation: Generation, now: Instant) -> Option<Event> {
        self.problem.clear();
        match &mut self.target {
            Target::Readiness => Some(Event::Ready(self.slot, generation)),
            Target::Liveness { failures } => {
                *failures = 0;
                self.due = now + interval_of(self.blueprint.liveness.as_ref());
                None
            }
        }
    }

    fn failed(
        &mut self,
        generation: Generation,
        problem: String,
        counts: bool,
        now: Instant,
    ) -> Option<Event> {
        self.problem.clone_from(&problem);
        let liveness = self.blueprint.liveness.as_ref();
        match &mut self.target {
            Target::Readiness => {
                self.due = now + self.pause(now);
                None
            }
            Target::Liveness { failures } => {
                *failures += u32::from(counts);
                self.due = now + interval_of(liveness);
                let most = liveness.map_or(1, |liveness| liveness.failures);
                let why = || format!("{problem} ({most} times in a row)");
                (counts && *failures >= most)
                    .then(|| Event::Unhealthy(self.slot, generation, why()))
            }
        }
    }

    /// How long until a starting service is probed again.
    fn pause(&self, now: Instant) -> Duration {
        match self.blueprint.probe {
            Some(ProbeKind::Exec(_)) => PROGRAM_EVERY,
            // A process each time.
            Some(ProbeKind::Connect(Address::Unix(_)) | ProbeKind::Http(Address::Unix(_), _)) => {
                PROCESS_EVERY
            }
            _ if now - self.begun < QUICK_FOR => QUICK,
            _ => STEADY,
        }
    }
}

pub(super) fn interval_of(liveness: Option<&Liveness>) -> Duration {
    liveness.map_or(STEADY, |liveness| liveness.interval)
}

/// How long until the first probe; or until a message is late.
fn due_in(liveness: Option<&Liveness>) -> Duration {
    let late = liveness.filter(|liveness| liveness.probe == ProbeKind::Notify);
    interval_of(liveness) + late.map_or(Duration::ZERO, |liveness| liveness.timeout)
}
