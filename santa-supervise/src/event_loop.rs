//! Carries out what [`crate::machine`] decides: one thread, one event at a time.
//! It fetches an event (signal, child exit, output, readiness, command, passed
//! deadline), gives it to `step` and performs the actions. No rule about
//! services lives here; each kind of event has its file below.

mod children;
mod config_reading;
mod connecting;
mod control;
mod core;
mod dispatch;
mod environments;
mod explain;
mod guarding;
mod helpers;
mod hooks;
mod io;
mod jobs;
mod metrics;
mod notes;
mod notify;
mod output;
mod parent;
mod probes;
mod processes;
mod reload;
mod report;
mod requests;
mod socket_files;
mod starting;
mod timers;
mod turn;
mod usage;
mod watched;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use santa_config::{Config, signal};

use crate::log_writer::Log;
use crate::machine::{Action, Event};
use crate::os::{self, Guard, Os};
use crate::plan::Blueprint;
use crate::sockets::{Listener, Sockets};
use crate::spawning::Spawner;

use self::core::Core;
use self::io::Io;
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
use output::Output;
use probes::Probes;
use starting::Starts;
use usage::Usages;
use watched::Watched;

/// A reader of the log that takes nothing for this long at the end is stuck and
/// must not hold up the exit.
const STUCK_READER: Duration = Duration::from_millis(500);

/// How long hooks that are under way at the end may still take: that a critical
/// service has failed must reach someone.
const LAST_HOOKS: Duration = Duration::from_secs(2);

/// The longest that the last records may take.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Reads the configuration again, or returns all its errors.
pub type Load = Box<dyn Fn(&str) -> Result<(Config, Vec<Blueprint>), String>>;

/// What a run is made of.
pub struct Components {
    /// The interface to the operating system.
    pub os: Box<dyn Os>,
    /// The configuration.
    pub config: Config,
    /// What to run, in the order of the configuration.
    pub blueprints: Vec<Blueprint>,
    /// Reads the configuration for a reload.
    pub load: Load,
    /// Where the configuration is read again.
    pub config_path: PathBuf,
    /// Bound for the services.
    pub sockets: Sockets,
    /// Path of the control socket; the notify sockets lie beside it.
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

/// Everything that the one thread owns, in parts whose fields are private. It collects their events, lets the core take them, and carries out
/// what the core decides.
pub struct EventLoop {
    io: Io,
    core: Core,
    configuration: Configuration,
    sockets: Sockets,
    processes: Processes,
    output: Output,
    history: History,
    monitors: Monitors,
    control: Control,
    /// The exit code, and until when hooks are waited for.
    exit: Option<(i32, Instant)>,
}

/// The configuration, and its next reading.
struct Configuration {
    config: Config,
    load: Load,
    reading: ConfigReading,
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

/// What watches services, and who hears about them.
struct Monitors {
    probes: Probes,
    notify: NotifySockets,
    watched: Watched,
    usages: Usages,
    hooks: Hooks,
}

impl EventLoop {
    /// Puts the parts together; nothing runs yet.
    ///
    /// # Errors
    /// The control socket cannot be waited on.
    pub fn new(components: Components) -> std::io::Result<Self> {
        let supervisor = &components.config.supervisor;
        let children = Children::new(components.os.oom_kills());
        let mut event_loop = Self {
            io: Io::new(components.os),
            core: Core::new(components.blueprints, supervisor.shutdown_timeout, components.seed),
            sockets: components.sockets,
            processes: Processes {
                spawner: components.spawner,
                guarding: Guarding::new(components.guard),
                children,
                starts: Starts::default(),
                helpers: Helpers::default(),
                jobs: Jobs::default(),
            },
            output: Output::new(components.log, supervisor.log.max_line.bytes()),
            history: History::default(),
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
                reading: ConfigReading::new(components.config_path),
            },
            exit: None,
        };
        for (_, blueprint) in event_loop.core.blueprints() {
            event_loop.output.limit(blueprint, event_loop.core.now());
        }
        event_loop.control.open(&mut event_loop.io)?;
        Ok(event_loop)
    }

    /// Runs until everything has stopped; returns the exit code.
    ///
    /// # Errors
    /// Waiting for events has become impossible.
    pub fn run(&mut self) -> std::io::Result<i32> {
        self.log_start();
        self.core.push(Event::Start);
        self.drain();
        os::give_back_start();
        let mut wakes = Vec::new();
        loop {
            if let Some((code, until)) = self.exit
                && (!self.monitors.hooks.is_under_way(&self.processes.helpers)
                    || until <= Instant::now())
            {
                self.shut_down(code);
                return Ok(code);
            }
            wakes.clear();
            self.io.wait(self.timeout(), &mut wakes)?;
            self.take_turn(&wakes);
        }
    }

    /// Kills everything at once: the end after a defect of our own.
    pub fn abandon(&mut self) {
        self.kill_all_trees();
        self.processes.helpers.kill_all(&self.io);
        self.io.os().kill_descendants();
        self.remove_socket_files();
    }

    fn take_signal(&mut self, signal: i32) {
        if os::ENDING.contains(&signal) {
            let why = format!("{} received", signal::name(signal));
            self.core.push(Event::Terminate { why });
        } else if signal == libc::SIGHUP {
            self.begin_reload(None);
        }
        // All others must not end anything: they are blocked or ignored.
    }

    /// Lets the core take all events, and does what it says; what takes too long
    /// for one turn is left to the next: a hundred starts at once are too many.
    fn drain(&mut self) {
        let mut moved = false;
        let end = Instant::now() + turn::LONG_ENOUGH;
        loop {
            while let Some(action) = self.core.next_action() {
                self.perform(action);
                moved = true;
                if self.core.has_actions() && end <= Instant::now() {
                    return;
                }
            }
            self.core.extend(self.control.take_withdrawn());
            if !self.core.step() {
                break;
            }
            moved = true;
        }
        if moved {
            self.sync_with_state();
        }
    }

    /// Lets the rooms follow what the core has decided.
    fn sync_with_state(&mut self) {
        let (probes, mut context) = self.probing();
        probes.sync(&mut context);
        self.core.forget_gone();
        self.history.forget(|slot| self.core.state().slot(slot).is_none());
        let watched = self.core.blueprints().map(|(slot, one)| (slot, &one.service.watch));
        self.monitors.watched.sync(&mut self.io, &mut self.processes.helpers, watched);
        self.run_file_tasks();
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Spawn(slot, generation) => self.spawn(slot, generation),
            Action::AskToStop(_, generation, step) => self.ask_to_stop(generation, step),
            Action::AskLeftovers(_, generation) => {
                self.processes.children.ask_leftovers(generation);
            }
            Action::KillTree(_, generation) => self.kill_tree(generation),
            Action::Signal(_, generation, signal) => self.send_signal(generation, signal),
            Action::Note(note) => self.tell(note),
            Action::Reply(id, outcome) => self.control.reply(&mut self.io, id, outcome),
            Action::Exit(code) => self.exit = Some((code, Instant::now() + LAST_HOOKS)),
        }
    }

    fn shut_down(&mut self, code: i32) {
        self.processes.helpers.kill_all(&self.io);
        self.io.os().kill_descendants();
        self.control.close(&mut self.io);
        self.remove_socket_files();
        let last_words = self.output.drain_all(&mut self.io, self.core.now());
        self.published(last_words);
        self.log_end(code);
        self.output.flush(STUCK_READER, LAST_WORDS);
    }
}
