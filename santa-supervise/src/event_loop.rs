//! Carries out what [`crate::machine`] decides: one thread, one event at a time.
//! It fetches an event (signal, child exit, output, readiness, command, passed
//! deadline), gives it to `step` and performs the actions. No rule about
//! services lives here; each kind of event has its file below.

mod actions;
mod children;
mod control;
mod explain;
mod notes;
mod output;
mod parent;
mod probes;
mod report;
mod usage;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use crate::clock::{self, Millis};
use crate::log_writer::Log;
use crate::machine::{self, Action, Event, SlotId, State, Time};
use crate::os::{Os, Token, Wake};
use crate::plan::Blueprint;
use crate::sockets::{Listener, Sockets};
use crate::spawning::Spawner;

use children::Children;
use control::Control;
use explain::History;
use output::Outputs;
use probes::Probes;

/// A reader of the log that takes nothing for this long at the end is stuck and
/// must not hold up the exit.
const STUCK_READER: Duration = Duration::from_millis(500);

/// The longest that the last records may take.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What a run is made of.
pub struct Parts {
    /// The seam to the system.
    pub os: Box<dyn Os>,
    /// What to run, in the order of the configuration.
    pub blueprints: Vec<Blueprint>,
    /// Bound for the services.
    pub sockets: Sockets,
    /// Bound for commands, where the file system allows it.
    pub control: Option<Listener>,
    /// Starts processes.
    pub spawner: Spawner,
    /// Where output goes.
    pub log: Log,
    /// Longest line of output in bytes.
    pub longest_line: usize,
    /// Longest orderly stop.
    pub shutdown_timeout: Duration,
    /// Decides the jitter of all waits.
    pub seed: u64,
}

/// Everything that the one thread owns.
pub struct EventLoop {
    os: Box<dyn Os>,
    state: State,
    /// Zero of the core's time.
    begun: Instant,
    begun_at: Millis,
    /// By number of the slot.
    blueprints: Vec<Blueprint>,
    sockets: Sockets,
    spawner: Spawner,
    log: Log,
    children: Children,
    history: History,
    outputs: Outputs,
    probes: Probes,
    control: Control,
    sources: Sources,
    /// Events for the core that have not been taken yet.
    events: VecDeque<Event>,
    sequence: u64,
    exit: Option<i32>,
}

/// What a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Output,
    Probe,
    Control,
    Client,
    Parent,
}

/// Gives out tokens; one that is gone wakes nobody any more.
#[derive(Debug, Default)]
struct Sources {
    last: Token,
    known: BTreeMap<Token, Source>,
}

impl Sources {
    fn add(&mut self, source: Source) -> Token {
        self.last += 1;
        self.known.insert(self.last, source);
        self.last
    }

    fn remove(&mut self, token: Token) {
        self.known.remove(&token);
    }
}

impl EventLoop {
    /// Puts the parts together; nothing runs yet.
    ///
    /// # Errors
    /// The control socket cannot be waited on.
    pub fn new(parts: Parts) -> io::Result<Self> {
        let specs = parts.blueprints.iter().map(|blueprint| blueprint.spec.clone()).collect();
        let mut event_loop = Self {
            os: parts.os,
            state: State::new(specs, parts.shutdown_timeout, parts.seed),
            begun: Instant::now(),
            begun_at: clock::now(),
            blueprints: parts.blueprints,
            sockets: parts.sockets,
            spawner: parts.spawner,
            log: parts.log,
            children: Children::default(),
            history: History::default(),
            outputs: Outputs::new(parts.longest_line),
            probes: Probes::default(),
            control: Control::new(parts.control),
            sources: Sources::default(),
            events: VecDeque::new(),
            sequence: 0,
            exit: None,
        };
        event_loop.open_control()?;
        Ok(event_loop)
    }

    /// Runs until everything has stopped; gives the exit code.
    ///
    /// # Errors
    /// Waiting for events has become impossible.
    pub fn run(&mut self) -> io::Result<i32> {
        self.greet();
        self.events.push_back(Event::Start);
        self.settle();
        let mut wakes = Vec::new();
        loop {
            if let Some(code) = self.exit {
                self.farewell(code);
                return Ok(code);
            }
            wakes.clear();
            self.os.wait(self.timeout(), &mut wakes)?;
            for wake in &wakes {
                self.take(*wake);
            }
            self.pass_time();
            self.settle();
        }
    }

    /// Kills everything at once: the end after a defect of our own.
    pub fn abandon(&mut self) {
        self.kill_all_trees();
        self.os.kill_descendants();
    }

    fn take(&mut self, wake: Wake) {
        match wake {
            Wake::Signal(signal) => self.take_signal(signal),
            Wake::Child => self.reap(),
            Wake::Io(token) => match self.sources.known.get(&token) {
                Some(Source::Output) => self.read_output(token),
                Some(Source::Probe) => self.look_again(token),
                Some(Source::Control) => self.accept_clients(),
                Some(Source::Client) => self.serve_client(token),
                Some(Source::Parent) => self.look_at_parent(token),
                // Closed by an earlier event of the same wait.
                None => {}
            },
        }
    }

    fn take_signal(&mut self, signal: i32) {
        if [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT].contains(&signal) {
            let why = format!("{} received", crate::signals::name(signal));
            self.events.push_back(Event::Terminate { why });
        }
        // All others must not end anything: they are blocked or ignored.
    }

    /// Whatever is due by time alone.
    fn pass_time(&mut self) {
        let now = Instant::now();
        self.sweep(now);
        self.look_at_services(now);
        self.close_lingering_output(now);
        if self.state.next_deadline().is_some_and(|deadline| deadline <= self.now()) {
            self.events.push_back(Event::Tick);
        }
    }

    /// Lets the core take all events, and does what it says.
    fn settle(&mut self) {
        while let Some(event) = self.events.pop_front() {
            let now = self.now();
            for action in machine::step(&mut self.state, now, event) {
                self.perform(action);
            }
        }
        self.drop_settled_probes();
    }

    /// The core's time.
    fn now(&self) -> Time {
        self.begun.elapsed()
    }

    /// How long nothing is due.
    fn timeout(&self) -> Option<Duration> {
        let deadline = self.state.next_deadline().map(|deadline| self.begun + deadline);
        let due = [
            deadline,
            self.children.next_sweep(),
            self.probes.next_look(),
            self.outputs.next_close(),
        ];
        due.into_iter().flatten().min().map(|due| due.saturating_duration_since(Instant::now()))
    }

    fn blueprint(&self, slot: SlotId) -> &Blueprint {
        &self.blueprints[slot.0 as usize]
    }

    fn farewell(&mut self, code: i32) {
        self.os.kill_descendants();
        self.close_control();
        self.drain_all_output();
        self.tell_end(code);
        self.log.flush(STUCK_READER, LAST_WORDS);
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Spawn(slot, generation) => self.spawn(slot, generation),
            Action::AskToStop(slot, generation) => {
                self.signal_main(generation, self.blueprint(slot).stop_signal);
            }
            Action::AskLeftovers(slot, generation) => self.ask_leftovers(slot, generation),
            Action::KillTree(_, generation) => self.kill_tree(generation),
            Action::Signal(slot, generation, signal) => self.send_signal(slot, generation, signal),
            Action::Note(note) => self.tell(note),
            Action::Reply(id, outcome) => self.reply(id, outcome),
            Action::Exit(code) => self.exit = Some(code),
        }
    }
}
