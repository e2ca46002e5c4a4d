//! Looks at services: at starting ones until they are ready, at ready ones to
//! see that they still work. How one look goes is in [`crate::readiness`], those
//! by a program in `helpers.rs`; what follows from it is for the core.

use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use memchr::memmem;
use santa_config::Address;

use crate::machine::{Event, Generation, Phase, SlotId};
use crate::os::{Interest, Pid, Token};
use crate::plan::{Blueprint, Liveness, ProbeKind};
use crate::readiness::{Outcome, Probe};
use crate::spawning::{Like, Problem};

use super::connecting::{Attempt, Connecting};
use super::helpers::Purpose;
use super::{EventLoop, Source};

/// Pause between looks at a starting service: short at first, because most
/// services start quickly.
const QUICK: Duration = Duration::from_millis(5);
const STEADY: Duration = Duration::from_millis(50);
const QUICK_FOR: Duration = Duration::from_secs(3);

/// Pause between programs that look at a starting service.
const PROGRAM_EVERY: Duration = Duration::from_millis(200);

/// Pause between looks that need a process of our own.
const PROCESS_EVERY: Duration = Duration::from_millis(25);

/// Longest a single look at a starting service may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long looks are begun in one turn: each may start a program.
const BEGIN_FOR: Duration = Duration::from_millis(5);

/// A look that is under way.
#[derive(Debug)]
enum InFlight {
    Connecting(Connecting, Probe),
    Connection(Token, Probe),
    Program(Pid),
}

/// What the looks at a service are for.
#[derive(Debug)]
enum Target {
    /// To see that it is ready.
    Readiness,
    /// To see that it still works; so many looks in a row have failed.
    Liveness { failures: u32 },
}

impl Target {
    fn is_readiness(&self) -> bool {
        matches!(self, Self::Readiness)
    }
}

/// The looks at one service.
#[derive(Debug)]
struct Watch {
    slot: SlotId,
    target: Target,
    begun: Instant,
    look: Option<InFlight>,
    /// The next look, or the end of the one under way.
    due: Instant,
    problem: String,
}

/// All services that have to be looked at, by generation.
#[derive(Debug, Default)]
pub(super) struct Probes(BTreeMap<Generation, Watch>);

impl Probes {
    pub(super) fn next_check(&self) -> Option<Instant> {
        self.0.values().map(|watch| watch.due).min()
    }

    /// What the last look at a slot found wrong, if anything.
    pub(super) fn problem(&self, slot: SlotId) -> Option<&str> {
        let watch = self.0.values().find(|watch| watch.slot == slot)?;
        Some(watch.problem.as_str()).filter(|problem| !problem.is_empty())
    }

    fn add(&mut self, generation: Generation, slot: SlotId, target: Target, due: Instant) {
        let begun = Instant::now();
        let watch = Watch { slot, target, begun, look: None, due, problem: String::new() };
        self.0.insert(generation, watch);
    }
}

impl EventLoop {
    /// Begins to look at a starting service, where that is how it becomes ready.
    pub(super) fn begin_probe(
        &mut self,
        slot: SlotId,
        generation: Generation,
        blueprint: &Blueprint,
    ) {
        if !matches!(blueprint.probe, None | Some(ProbeKind::Log(_) | ProbeKind::Notify)) {
            self.monitors.probes.add(generation, slot, Target::Readiness, Instant::now());
        }
    }

    /// Begins looks that are due, ends those that take too long.
    pub(super) fn run_probes(&mut self, now: Instant) {
        let watches = self.monitors.probes.0.iter();
        let due: Vec<Generation> = watches
            .filter(|(_, watch)| watch.due <= now)
            .map(|(generation, _)| *generation)
            .collect();
        let end = Instant::now() + BEGIN_FOR;
        for generation in due {
            match self.monitors.probes.0.get(&generation).map(|watch| watch.look.is_some()) {
                Some(true) => self.probe_timed_out(generation),
                Some(false) => self.look(generation),
                None => {}
            }
            if end <= Instant::now() {
                // The others are still due in the next turn.
                return;
            }
        }
    }

    fn probe_timed_out(&mut self, generation: Generation) {
        let why = match self.monitors.probes.0.get(&generation) {
            Some(Watch { look: Some(InFlight::Connecting(..)), problem, .. })
                if problem.is_empty() =>
            {
                "its socket cannot be found in time; is a mount hanging?"
            }
            // What it was refused for.
            Some(Watch { look: Some(InFlight::Connecting(..)), problem, .. }) => problem,
            _ => "probe timed out",
        };
        self.probe_failed(generation, why.to_owned());
    }

    /// What to look at, and how long a look may take.
    fn probe_of(&self, generation: Generation) -> Option<(Rc<Blueprint>, bool)> {
        let watch = self.monitors.probes.0.get(&generation)?;
        let lives = matches!(watch.target, Target::Liveness { .. });
        Some((Rc::clone(&self.processes.children.get(generation)?.blueprint), lives))
    }

    fn look(&mut self, generation: Generation) {
        let Some((blueprint, lives)) = self.probe_of(generation) else { return };
        let liveness = blueprint.liveness.as_ref().filter(|_| lives);
        let probe = liveness.map(|liveness| &liveness.probe).or(blueprint.probe.as_ref());
        let timeout = liveness.map_or(PROBE_TIMEOUT, |liveness| liveness.timeout);
        let begun = match probe {
            Some(ProbeKind::Listen(_)) => return self.probe_listener(generation),
            Some(ProbeKind::Exec(command)) => {
                return self.probe_by_command(generation, &blueprint, command, timeout);
            }
            Some(ProbeKind::Connect(address)) => (address, Probe::connection(address)),
            Some(ProbeKind::Http(address, path)) => (address, Probe::get(address, path)),
            // Its message is late: nothing else makes such a watch due.
            Some(ProbeKind::Notify) => {
                let why = format!("no WATCHDOG=1 for {:?}", timeout + interval_of(liveness));
                return self.report_unhealthy(generation, why);
            }
            Some(ProbeKind::Log(_)) | None => return,
        };
        let (address, look) = begun;
        if let Err(error) =
            look.and_then(|look| self.connect(generation, address, look, lives, timeout))
        {
            self.probe_start_failed(generation, &error);
        }
    }

    /// Begins a look's connection; that to a starting service is tried until it
    /// listens.
    fn connect(
        &mut self,
        generation: Generation,
        address: &Address,
        look: Probe,
        lives: bool,
        timeout: Duration,
    ) -> io::Result<()> {
        let under = match self.begin_connecting(look.fd(), address, !lives, Source::Probe)? {
            Some(connecting) => InFlight::Connecting(connecting, look),
            None => self.await_answer(look)?,
        };
        self.under_way(generation, under, timeout);
        Ok(())
    }

    /// Waits for what moves on a look's connection.
    fn await_answer(&mut self, look: Probe) -> io::Result<InFlight> {
        let token = self.io.sources.add(Source::Probe);
        self.io.os.watch(look.fd(), token, Interest::Write).inspect_err(|_| {
            self.io.sources.remove(token);
        })?;
        Ok(InFlight::Connection(token, look))
    }

    fn under_way(&mut self, generation: Generation, look: InFlight, timeout: Duration) {
        if let Some(watch) = self.monitors.probes.0.get_mut(&generation) {
            watch.look = Some(look);
            watch.due = Instant::now() + timeout;
        }
    }

    fn probe_by_command(
        &mut self,
        generation: Generation,
        blueprint: &Blueprint,
        command: &[String],
        timeout: Duration,
    ) {
        let purpose = Purpose::Probe(generation);
        match self.run_helper(purpose, command, Like::Service(blueprint), Vec::new(), "", timeout) {
            // Its own deadline comes first and ends it.
            Ok(pid) => self.under_way(generation, InFlight::Program(pid), timeout + PROBE_TIMEOUT),
            Err(problem) => self.command_probe_done(generation, Err(problem)),
        }
    }

    /// The answer of a program that looked.
    pub(super) fn command_probe_done(
        &mut self,
        generation: Generation,
        outcome: Result<(), Problem>,
    ) {
        match outcome {
            Ok(()) => self.probe_succeeded(generation),
            Err(problem) if problem.passes() => self.probe_inconclusive(generation, problem),
            Err(problem) => self.probe_failed(generation, problem.into_message()),
        }
    }

    /// A look that could not begin.
    fn probe_start_failed(&mut self, generation: Generation, error: &io::Error) {
        let problem = Problem::of(error);
        // It would block: the service does not accept what waits for it.
        if problem.passes() && error.kind() != io::ErrorKind::WouldBlock {
            self.probe_inconclusive(generation, problem);
        } else {
            self.probe_failed(generation, problem.into_message());
        }
    }

    /// Something has run out here, which tells nothing about the service.
    fn probe_inconclusive(&mut self, generation: Generation, problem: Problem) {
        self.record_failure(generation, problem.into_message(), false);
    }

    fn probe_listener(&mut self, generation: Generation) {
        let Some(child) = self.processes.children.get(generation) else { return };
        let Some(ProbeKind::Listen(address)) = &child.blueprint.probe else { return };
        let Some(socket) = self.sockets.get(address) else { return };
        // Where the system cannot tell, the socket itself must do: it accepts
        // from the first moment on, and connections wait for the service.
        if self.io.os.listens(socket.fd(), child.tree()).unwrap_or(true) {
            self.probe_succeeded(generation);
        } else {
            self.probe_failed(generation, format!("it does not listen on {address} yet"));
        }
    }

    /// Something moved on a look's connection, or on the way to it.
    pub(super) fn advance_probe(&mut self, token: Token) {
        let is_its = |watch: &Watch| match &watch.look {
            Some(InFlight::Connecting(connecting, _)) => connecting.token == token,
            Some(InFlight::Connection(own, _)) => *own == token,
            Some(InFlight::Program(_)) | None => false,
        };
        let Some((generation, watch)) =
            self.monitors.probes.0.iter_mut().find(|(_, one)| is_its(one))
        else {
            return;
        };
        let generation = *generation;
        match &mut watch.look {
            Some(InFlight::Connecting(connecting, _)) => {
                let attempt = connecting.look();
                self.connection_progressed(generation, attempt);
            }
            Some(InFlight::Connection(_, look)) => match look.advance() {
                Outcome::Ready => self.probe_succeeded(generation),
                Outcome::NotReady(why) => self.probe_failed(generation, why),
                // Failure would show at the look's timeout.
                Outcome::WaitToWrite => drop(self.io.os.rewatch(look.fd(), token, Interest::Write)),
                Outcome::WaitToRead => drop(self.io.os.rewatch(look.fd(), token, Interest::Read)),
            },
            Some(InFlight::Program(_)) | None => {}
        }
    }

    fn connection_progressed(&mut self, generation: Generation, attempt: Attempt) {
        let Some(watch) = self.monitors.probes.0.get_mut(&generation) else { return };
        match attempt {
            Attempt::UnderWay => {}
            Attempt::Refused(error)
                if error.raw_os_error().is_some() && watch.target.is_readiness() =>
            {
                watch.problem = error.to_string();
            }
            Attempt::Refused(error) => self.probe_start_failed(generation, &error),
            Attempt::Done => {
                let Some(InFlight::Connecting(connecting, look)) = watch.look.take() else {
                    return;
                };
                self.end_connecting(&connecting);
                match (self.await_answer(look), self.monitors.probes.0.get_mut(&generation)) {
                    (Ok(under), Some(watch)) => watch.look = Some(under),
                    (Ok(_), None) => {}
                    (Err(error), _) => self.probe_start_failed(generation, &error),
                }
            }
        }
    }

    fn probe_succeeded(&mut self, generation: Generation) {
        self.cancel_probe(generation);
        let Some((blueprint, _)) = self.probe_of(generation) else { return };
        let Some(watch) = self.monitors.probes.0.get_mut(&generation) else { return };
        watch.problem.clear();
        match &mut watch.target {
            Target::Liveness { failures } => {
                *failures = 0;
                watch.due = Instant::now() + interval_of(blueprint.liveness.as_ref());
            }
            Target::Readiness => {
                let slot = watch.slot;
                self.monitors.probes.0.remove(&generation);
                self.core.events.push_back(Event::Ready(slot, generation));
            }
        }
    }

    fn probe_failed(&mut self, generation: Generation, problem: String) {
        self.record_failure(generation, problem, true);
    }

    fn record_failure(&mut self, generation: Generation, problem: String, counts: bool) {
        self.cancel_probe(generation);
        let Some((blueprint, _)) = self.probe_of(generation) else { return };
        let Some(watch) = self.monitors.probes.0.get_mut(&generation) else { return };
        let now = Instant::now();
        watch.problem.clone_from(&problem);
        match &mut watch.target {
            Target::Readiness => {
                let pause = match blueprint.probe {
                    Some(ProbeKind::Exec(_)) => PROGRAM_EVERY,
                    // A process each time.
                    Some(
                        ProbeKind::Connect(Address::Unix(_)) | ProbeKind::Http(Address::Unix(_), _),
                    ) => PROCESS_EVERY,
                    _ if now - watch.begun < QUICK_FOR => QUICK,
                    _ => STEADY,
                };
                watch.due = now + pause;
            }
            Target::Liveness { failures } => {
                *failures += u32::from(counts);
                watch.due = now + interval_of(blueprint.liveness.as_ref());
                let most = blueprint.liveness.as_ref().map_or(1, |liveness| liveness.failures);
                if counts && *failures >= most {
                    self.report_unhealthy(generation, format!("{problem} ({most} times in a row)"));
                }
            }
        }
    }

    fn report_unhealthy(&mut self, generation: Generation, why: String) {
        if let Some(watch) = self.monitors.probes.0.remove(&generation) {
            self.core.events.push_back(Event::Unhealthy(watch.slot, generation, why));
        }
    }

    /// `WATCHDOG=1`: it works for another while.
    pub(super) fn watchdog_ping(&mut self, generation: Generation) {
        let Some(child) = self.processes.children.get(generation) else { return };
        let due = Instant::now() + patience(child.blueprint.liveness.as_ref());
        if let Some(watch) = self.monitors.probes.0.get_mut(&generation)
            && matches!(watch.target, Target::Liveness { .. })
        {
            watch.due = due;
        }
    }

    fn cancel_probe(&mut self, generation: Generation) {
        match self.monitors.probes.0.get_mut(&generation).and_then(|watch| watch.look.take()) {
            Some(InFlight::Connection(token, look)) => {
                self.io.os.forget(look.fd(), token);
                self.io.sources.remove(token);
            }
            Some(InFlight::Connecting(connecting, _)) => self.end_connecting(&connecting),
            Some(InFlight::Program(pid)) => self.end_helper(pid),
            None => {}
        }
    }

    /// Ends looks at what has moved on, begins those at what has become ready.
    pub(super) fn sync_probes(&mut self) {
        let apt = |generation: Generation, watch: &Watch| {
            self.core.state.slot(watch.slot).is_some_and(|slot| match watch.target {
                Target::Readiness => slot.is_starting(generation),
                Target::Liveness { .. } => {
                    slot.phase() == Phase::Ready && slot.generation() == Some(generation)
                }
            })
        };
        let over = self.monitors.probes.0.iter().filter(|(id, watch)| !apt(**id, watch));
        for generation in over.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.cancel_probe(generation);
            self.monitors.probes.0.remove(&generation);
        }
        let ready = self.core.state.slots().filter(|(_, slot)| slot.phase() == Phase::Ready);
        let ready: Vec<_> = ready.filter_map(|(id, slot)| Some((id, slot.generation()?))).collect();
        for (slot, generation) in ready {
            let child = self.processes.children.get(generation);
            if let Some(liveness) = child.and_then(|child| child.blueprint.liveness.as_ref())
                && !self.monitors.probes.0.contains_key(&generation)
            {
                let due = Instant::now() + patience(Some(liveness));
                self.monitors.probes.add(generation, slot, Target::Liveness { failures: 0 }, due);
            }
        }
    }

    /// Looks for the line that means ready.
    pub(super) fn match_ready_line(&mut self, slot: SlotId, generation: Generation, text: &[u8]) {
        let starting = self.core.state.slot(slot).is_some_and(|slot| slot.is_starting(generation));
        if let (true, Some(child)) = (starting, self.processes.children.get(generation))
            && let Some(ProbeKind::Log(pattern)) = &child.blueprint.probe
            && memmem::find(text, pattern.as_bytes()).is_some()
        {
            self.core.events.push_back(Event::Ready(slot, generation));
        }
    }
}

fn interval_of(liveness: Option<&Liveness>) -> Duration {
    liveness.map_or(STEADY, |liveness| liveness.interval)
}

/// How long until the first look; or until a message is late.
fn patience(liveness: Option<&Liveness>) -> Duration {
    let late = liveness.filter(|liveness| liveness.probe == ProbeKind::Notify);
    interval_of(liveness) + late.map_or(Duration::ZERO, |liveness| liveness.timeout)
}
