//! Carries out what [`crate::machine`] decides: one thread, one event at a time.
//! It fetches an event (signal, child exit, output, readiness, command, passed
//! deadline), gives it to `step` and performs the actions. No rule about
//! services lives here; each kind of event has its file below.

mod actions;
mod children;
mod config_reading;
mod connecting;
mod control;
mod environments;
mod explain;
mod guarding;
mod helpers;
mod hooks;
mod jobs;
mod leftovers;
mod notes;
mod notify;
mod output;
mod output_stats;
mod parent;
mod probes;
mod reload;
mod report;
mod socket_files;
mod starting;
mod sweep;
mod turn;
mod usage;
mod watched;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use santa_config::{Config, signal};

use crate::clock::{self, Millis};
use crate::log_writer::Log;
use crate::machine::{self, Action, Event, SlotId, State, Time};
use crate::os::{self, Guard, Os, Token};
use crate::plan::Blueprint;
use crate::sockets::{Listener, Sockets};
use crate::spawning::Spawner;

use children::Children;
use config_reading::ConfigReading;
use control::Control;
pub(crate) use control::{CONTROL_BACKLOG, CONTROL_MODE};
use explain::History;
use guarding::Guarding;
use helpers::Helpers;
use hooks::Hooks;
use jobs::Jobs;
use notify::NotifySockets;
use output::Outputs;
use output_stats::OutputStats;
use probes::Probes;
use starting::Starts;
use turn::Turn;
use usage::Usages;
use watched::Watched;

/// A reader of the log that takes nothing for this long at the end is stuck and
/// must not hold up the exit.
const STUCK_READER: Duration = Duration::from_millis(500);

/// How long hooks that are under way at the end may still take: the news of a
/// failed critical service must get out.
const LAST_HOOKS: Duration = Duration::from_secs(2);

/// The longest that the last records may take.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Reads the configuration again, or returns all its errors.
pub type Load = Box<dyn Fn(&str) -> Result<(Config, Vec<Blueprint>), String>>;

/// What a run is made of.
pub struct Components {
    /// The seam to the system.
    pub os: Box<dyn Os>,
    /// The configuration.
    pub config: Config,
    /// What to run, in the order of the configuration.
    pub blueprints: Vec<Blueprint>,
    /// For a reload.
    pub load: Load,
    /// Where the configuration is read again.
    pub config_path: PathBuf,
    /// Bound for the services.
    pub sockets: Sockets,
    /// Path of the control socket; that of a service for its notices lies
    /// beside it.
    pub control_path: PathBuf,
    /// Bound there for commands, where the file system allows it.
    pub control: Option<Listener>,
    /// Starts processes.
    pub spawner: Spawner,
    /// Kills what is left when we are killed; none where that is not needed.
    pub guard: Option<Guard>,
    /// Where output goes.
    pub log: Log,
    /// Decides the jitter of all waits.
    pub seed: u64,
}

/// Everything that the one thread owns. It collects what has happened, lets the core
/// take it, and carries out what the core decides.
pub struct EventLoop {
    io: Io,
    core: Core,
    configuration: Configuration,
    sockets: Sockets,
    processes: Processes,
    output: Output,
    monitors: Monitors,
    control: Control,
}

/// The seam to the system, and what is waited for there.
struct Io {
    os: Box<dyn Os>,
    sources: Sources,
    turn: Turn,
}

/// What decides, what it has to be told, and what it wants done.
struct Core {
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
    /// The exit code, and until when hooks are waited for.
    exit: Option<(i32, Instant)>,
}

/// The configuration, and its next reading.
struct Configuration {
    config: Config,
    load: Load,
    config_path: PathBuf,
    config_reading: ConfigReading,
}

/// What was started, and what starts it.
struct Processes {
    spawner: Spawner,
    guarding: Guarding,
    children: Children,
    starts: Starts,
    helpers: Helpers,
    jobs: Jobs,
}

/// From the services' pipes to the log.
struct Output {
    log: Log,
    outputs: Outputs,
    output_stats: OutputStats,
    history: History,
    /// The number of the last event told.
    sequence: u64,
}

/// What looks after services, and who is told about them.
struct Monitors {
    probes: Probes,
    notify: NotifySockets,
    watched: Watched,
    usages: Usages,
    hooks: Hooks,
}

/// What a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Output,
    Probe,
    Control,
    Client,
    Parent,
    Notify,
    Hook,
    Start,
    Watcher,
    ConfigReader,
    Job,
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
    pub fn new(components: Components) -> io::Result<Self> {
        let specs = components.blueprints.iter().map(|blueprint| blueprint.spec.clone()).collect();
        let supervisor = &components.config.supervisor;
        let blueprints: BTreeMap<SlotId, Rc<Blueprint>> =
            (0..).map(SlotId).zip(components.blueprints.into_iter().map(Rc::new)).collect();
        let children = Children::new(components.os.oom_kills());
        let mut event_loop = Self {
            io: Io { os: components.os, sources: Sources::default(), turn: Turn::new() },
            core: Core {
                state: State::new(specs, supervisor.shutdown_timeout, components.seed),
                begun: Instant::now(),
                begun_at: clock::now(),
                last_slot: blueprints.keys().next_back().copied().unwrap_or(SlotId(0)),
                blueprints,
                events: VecDeque::new(),
                actions: VecDeque::new(),
                exit: None,
            },
            sockets: components.sockets,
            processes: Processes {
                spawner: components.spawner,
                guarding: Guarding::new(components.guard),
                children,
                starts: Starts::default(),
                helpers: Helpers::default(),
                jobs: Jobs::default(),
            },
            output: Output {
                log: components.log,
                outputs: Outputs::new(supervisor.log.max_line.bytes()),
                output_stats: OutputStats::default(),
                history: History::default(),
                sequence: 0,
            },
            monitors: Monitors {
                probes: Probes::default(),
                notify: NotifySockets::beside(components.control_path.clone()),
                watched: Watched::default(),
                usages: Usages::default(),
                hooks: Hooks::new(components.config.hooks.clone()),
            },
            control: Control::new(components.control, components.control_path),
            configuration: Configuration {
                config: components.config,
                load: components.load,
                config_path: components.config_path,
                config_reading: ConfigReading::default(),
            },
        };
        let blueprints: Vec<_> = event_loop.core.blueprints.values().cloned().collect();
        blueprints.iter().for_each(|blueprint| event_loop.limit_output(blueprint));
        event_loop.open_control()?;
        Ok(event_loop)
    }

    /// Runs until everything has stopped; gives the exit code.
    ///
    /// # Errors
    /// Waiting for events has become impossible.
    pub fn run(&mut self) -> io::Result<i32> {
        self.log_start();
        self.core.events.push_back(Event::Start);
        self.drain();
        os::give_back_start();
        let mut wakes = Vec::new();
        loop {
            if let Some((code, until)) = self.core.exit
                && (!self.hooks_under_way() || until <= Instant::now())
            {
                self.shut_down(code);
                return Ok(code);
            }
            wakes.clear();
            self.io.os.wait(self.timeout(), &mut wakes)?;
            self.take_turn(&wakes);
        }
    }

    /// Kills everything at once: the end after a defect of our own.
    pub fn abandon(&mut self) {
        self.kill_all_trees();
        self.end_all_helpers();
        self.io.os.kill_descendants();
        self.remove_socket_files();
    }

    fn take_signal(&mut self, signal: i32) {
        if os::ENDING.contains(&signal) {
            let why = format!("{} received", signal::name(signal));
            self.core.events.push_back(Event::Terminate { why });
        } else if signal == libc::SIGHUP {
            self.begin_reload(None);
        }
        // All others must not end anything: they are blocked or ignored.
    }

    /// Whatever is due by time alone.
    fn run_timers(&mut self) {
        let now = Instant::now();
        self.sweep(now);
        self.run_probes(now);
        self.end_slow_helpers(now);
        self.end_slow_posts(now);
        self.close_lingering_output(now);
        self.release_output(now);
        self.report_dropped_lines(now);
        self.look_for_lost_sockets(now);
        self.look_after_watchers(now);
        self.resume_notify_sockets(now);
        self.end_silent_clients(now);
        self.end_slow_reload(now);
        self.end_slow_jobs(now);
        self.guard_again(now);
        // What the core has decided comes first.
        let is_late = |deadline| self.core.actions.is_empty() && deadline <= self.now();
        if self.core.state.next_deadline().is_some_and(is_late) {
            self.core.events.push_back(Event::Tick);
        }
    }

    /// Lets the core take all events, and does what it says; what takes too long
    /// for one turn is left to the next: a hundred starts at once are too many.
    fn drain(&mut self) {
        let mut moved = false;
        let end = Instant::now() + turn::LONG_ENOUGH;
        loop {
            while let Some(action) = self.core.actions.pop_front() {
                self.perform(action);
                moved = true;
                if !self.core.actions.is_empty() && end <= Instant::now() {
                    return;
                }
            }
            let Some(event) = self.core.events.pop_front() else { break };
            moved = true;
            let now = self.now();
            self.core.actions.extend(machine::step(&mut self.core.state, now, event));
        }
        if moved {
            self.sync_probes();
            self.core.blueprints.retain(|slot, _| self.core.state.slot(*slot).is_some());
            self.output.history.forget(|slot| self.core.state.slot(slot).is_none());
            self.sync_watches();
            self.run_file_tasks();
        }
    }

    /// The core's time.
    fn now(&self) -> Time {
        self.core.begun.elapsed()
    }

    /// How long nothing is due.
    fn timeout(&self) -> Option<Duration> {
        if self.io.turn.has_left()
            || !self.core.actions.is_empty()
            || self.monitors.usages.is_under_way()
        {
            return Some(Duration::ZERO);
        }
        let deadline = self.core.state.next_deadline().map(|deadline| self.core.begun + deadline);
        let due = [
            deadline,
            self.processes.children.sweeps.next,
            self.monitors.probes.next_check(),
            self.processes.helpers.next_end(),
            self.monitors.hooks.next_end(),
            self.output.outputs.next_close(),
            self.output.output_stats.next_report(),
            self.sockets.next_check(),
            self.monitors.watched.next_check(),
            self.monitors.notify.next_check(),
            self.control.next_end(),
            self.configuration.config_reading.next_end(),
            self.processes.jobs.next_end(),
            self.processes.guarding.next_start(),
            self.core.exit.map(|(_, until)| until),
        ];
        due.into_iter().flatten().min().map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// What is configured for a slot now; nothing for one that is forgotten.
    fn blueprint(&self, slot: SlotId) -> Option<&Rc<Blueprint>> {
        self.core.blueprints.get(&slot)
    }

    fn shut_down(&mut self, code: i32) {
        self.end_all_helpers();
        self.io.os.kill_descendants();
        self.close_control();
        self.remove_socket_files();
        self.drain_all_output();
        self.log_end(code);
        self.output.log.flush(STUCK_READER, LAST_WORDS);
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Spawn(slot, generation) => self.spawn(slot, generation),
            Action::AskToStop(_, generation, step) => self.ask_to_stop(generation, step),
            Action::AskLeftovers(_, generation) => self.ask_leftovers(generation),
            Action::KillTree(_, generation) => self.kill_tree(generation),
            Action::Signal(_, generation, signal) => self.send_signal(generation, signal),
            Action::Note(note) => self.tell(note),
            Action::Reply(id, outcome) => self.reply(id, outcome),
            Action::Exit(code) => self.core.exit = Some((code, Instant::now() + LAST_HOOKS)),
        }
    }
}
