//! Spawns, signals and exits of processes.

use std::fs::File;
use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::machine::{Event, Exit, Generation, Signal, SlotId};
use crate::os::{self, Allowance, Orphans, Pid, Token};
use crate::plan::Blueprint;
use crate::record::Stream;
use crate::spawning::Spawned;

use super::EventLoop;
use super::children::{Child, Ended};
use super::helpers::Purpose;
use super::hooks::Failed;
use super::jobs::Job;
use super::output::Writer;

/// Most exits handled before other events get their turn, and the time after
/// which they get it anyway: among thousands of children each takes longer.
const EXITS_A_TURN: usize = 256;
const REAP_FOR: Duration = Duration::from_millis(5);

/// After this time the next sweep goes on with the trees that are left.
const SWEEP_FOR: Duration = Duration::from_millis(5);

impl EventLoop {
    pub(super) fn spawn(&mut self, slot: SlotId, generation: Generation) {
        let Some(blueprint) = self.core.blueprint(slot).cloned() else { return };
        if let Err(error) = self.monitors.notify.open(&mut self.io, &blueprint, generation) {
            let label = blueprint.spec.label();
            self.warn(&format!("cannot create the NOTIFY_SOCKET of {label}: {error}"));
        }
        let notify = self.monitors.notify.socket_of(generation);
        let spawned = self.processes.spawner.spawn(&blueprint, &self.sockets, generation, notify);
        match spawned {
            Err(failure) => {
                self.close_notify_socket(generation);
                self.core.push(Event::SpawnFailed(slot, generation, failure));
            }
            Ok(spawned) => self.spawned(slot, generation, blueprint, spawned),
        }
    }

    fn spawned(
        &mut self,
        slot: SlotId,
        generation: Generation,
        blueprint: Rc<Blueprint>,
        Spawned { started, tag, output: [out, err] }: Spawned,
    ) {
        self.io.os_mut().adopt(started.pid);
        let label = blueprint.spec.label();
        let service: Arc<str> = Arc::from(label.as_str());
        let ready_line = blueprint.ready_line().map(str::to_owned);
        let writer = Writer { slot, generation, service, ready_line };
        for (stream, fd) in [(Stream::Stdout, out), (Stream::Stderr, err)] {
            if let Err(error) = self.output.open(&mut self.io, writer.clone(), stream, fd) {
                self.warn(&format!("output of {label} is lost: {error}"));
            }
        }
        self.processes.children.add(generation, Child::new(slot, blueprint, started.pid, tag));
        if self.processes.starts.add(&mut self.io, generation, started.progress).is_err() {
            // Without memory for this it will not get far; its exit is reported.
            self.signal_main(generation, libc::SIGKILL);
        }
    }

    fn close_notify_socket(&mut self, generation: Generation) {
        if let Some(path) = self.monitors.notify.close(&mut self.io, generation) {
            self.sockets.remove_path(path);
        }
    }

    /// Signals a main process; one that has just ended needs none.
    fn signal_main(&mut self, generation: Generation, signal: i32) {
        let signalled = self.processes.children.signal_main(self.io.os(), generation, signal);
        if let Err(problem) = signalled {
            self.warn(&problem);
        }
    }

    /// Sends the signal of this number of the stop sequence that the process
    /// was started with.
    pub(super) fn ask_to_stop(&mut self, generation: Generation, step: usize) {
        if self.processes.starts.is_on_its_way(generation) {
            // Nobody is there yet who could do anything in an orderly way.
            return self.abandon_start(generation);
        }
        let Some(child) = self.processes.children.get(generation) else { return };
        let now = self.core.blueprint(child.slot()).unwrap_or(child.blueprint());
        if let Some(signal) = child.stop_signal(step, now) {
            self.signal_main(generation, signal);
            self.processes.children.wake(self.io.os(), generation);
        }
    }

    pub(super) fn send_signal(&mut self, generation: Generation, signal: Signal) {
        let child = self.processes.children.get(generation);
        let number = match signal {
            Signal::Number(number) => Some(number),
            Signal::Reload => child.and_then(|child| child.blueprint().reload_signal),
        };
        if let Some(number) = number {
            self.signal_main(generation, number);
        }
    }

    pub(super) fn kill_tree(&mut self, generation: Generation) {
        if self.processes.starts.is_on_its_way(generation) {
            return self.abandon_start(generation);
        }
        self.processes.children.kill(self.io.os(), generation);
    }

    /// Ends a child that does not run its program yet. After SIGKILL it never will,
    /// however long a mount holds it: nothing waits for its exit.
    fn abandon_start(&mut self, generation: Generation) {
        self.signal_main(generation, libc::SIGKILL);
        // It may have begun to run, and to start others, before it was killed; or
        // it has ended already. Then its exit is reported, as always.
        if !self.processes.starts.is_on_its_way(generation) {
            return;
        }
        let Some(child) = self.processes.children.get(generation) else { return };
        let (slot, exit) = (child.slot(), Exit::Signal(libc::SIGKILL));
        let blueprint = Some(&**child.blueprint());
        let event = match self.processes.starts.failure(&mut self.io, generation, blueprint) {
            Some(failure) => Event::SpawnFailed(slot, generation, failure),
            None => Event::Exited { slot, generation, exit, alone: true },
        };
        self.forget_tree(generation);
        self.core.push(event);
    }

    /// A child runs its program, or ends without.
    pub(super) fn start_reported(&mut self, token: Token) {
        let Some(generation) = self.processes.starts.reported(&mut self.io, token) else { return };
        let Some(child) = self.processes.children.get(generation) else { return };
        self.monitors.probes.begin(child.slot(), generation, child.blueprint());
        self.core.push(Event::Spawned(child.slot(), generation));
    }

    /// Takes ended processes off the process table.
    pub(super) fn reap(&mut self) {
        self.io.turn_mut().set_reaped();
        let allowance = Allowance::of(REAP_FOR);
        let mut taken = 0;
        let mut more = false;
        while let Some((pid, exit)) = self.io.os_mut().next_exit() {
            taken += 1;
            self.process_ended(pid, exit);
            if taken >= EXITS_A_TURN || allowance.is_spent() {
                more = true;
                break;
            }
        }
        self.sweep_after_exits();
        if more {
            self.processes.children.sweep_soon();
        }
    }

    fn process_ended(&mut self, pid: Pid, exit: Exit) {
        if self.processes.children.main_ended(pid, exit) {
            return;
        }
        if let Some(ended) = self.processes.helpers.ended(&self.io, pid, exit) {
            self.processes.children.add_leftovers(ended.leftovers);
            match ended.answer {
                Some((Purpose::Probe(generation), outcome)) => {
                    let (probes, mut context) = self.probing();
                    let event = probes.program_ended(&mut context, generation, outcome);
                    self.core.extend(event);
                }
                Some((Purpose::Hook(hook), Err(problem))) => {
                    let problem = problem.into_message();
                    self.hooks_failed([Failed { hook, problem }]);
                }
                // Workers report through their pipes.
                Some(_) | None => {}
            }
        } else if self.processes.guarding.ended(pid) {
            self.warn(&format!("the guard process has ended ({exit}) and is restarted"));
        } else {
            self.processes.children.orphan_reaped();
        }
    }

    /// Looks for leftovers when it is time to.
    pub(super) fn run_sweep_timer(&mut self, now: Instant) {
        let is_due = self.processes.children.next_sweep().is_some_and(|due| due <= now);
        if is_due && !self.io.turn().has_reaped() {
            self.reap();
        }
    }

    /// Reports main processes that have ended to the core, and sweeps if it is time to.
    fn sweep_after_exits(&mut self) {
        let worked = os::processor_time();
        if !self.processes.children.is_time_to_sweep(Instant::now()) {
            return;
        }
        let ended = self.processes.children.ended();
        // Only now: what died together with a main process is no leftover.
        let orphans = self.orphans();
        if self.report_exits(ended, &orphans) {
            return self.processes.children.sweep_soon();
        }
        let allowance = Allowance::of(SWEEP_FOR);
        let events = self.processes.children.sweep(self.io.os(), &orphans, allowance);
        for event in events {
            if let Event::Gone(_, generation) = event {
                self.release(generation);
            }
            self.core.push(event);
        }
        let worked = os::processor_time().saturating_sub(worked);
        self.processes.children.rest_after(worked);
    }

    /// Reports exits to the core, the last output before each; returns whether some
    /// are left for the next turn.
    fn report_exits(&mut self, ended: Vec<Ended>, orphans: &Orphans) -> bool {
        let (allowance, mut left) = (Allowance::of(SWEEP_FOR), ended.len());
        for one in ended {
            self.report_exit(one, orphans);
            left -= 1;
            if allowance.is_spent() {
                break;
            }
        }
        left > 0
    }

    fn report_exit(&mut self, ended: Ended, orphans: &Orphans) {
        let Ended { generation, exit } = ended;
        self.processes.children.forget_exit(generation);
        // Its last output comes before the report of its exit.
        let last_words = self.output.drain(&mut self.io, generation, self.core.now());
        self.published(last_words);
        let Some(child) = self.processes.children.get(generation) else { return };
        let (slot, began) = (child.slot(), child.began());
        let blueprint = Rc::clone(child.blueprint());
        let failure = self.processes.starts.failure(&mut self.io, generation, Some(&blueprint));
        if let Some(failure) = failure {
            self.forget_tree(generation);
            return self.core.push(Event::SpawnFailed(slot, generation, failure));
        }
        let alone = !self.io.os().has_leftovers(child.tree(), orphans);
        let label = blueprint.spec.label();
        let mut ending = exit.to_string();
        if self.processes.children.was_out_of_memory(self.io.os(), ended) {
            self.warn(&format!("{label} was probably killed because memory ran out; raise the memory limit or find what uses it"));
            ending += ", probably out of memory";
        }
        if alone {
            self.forget_tree(generation);
        }
        self.history.remember(&self.output, slot, &label, ending, began);
        self.core.push(Event::Exited { slot, generation, exit, alone });
    }

    fn forget_tree(&mut self, generation: Generation) {
        self.processes.children.remove(generation);
        self.release(generation);
    }

    /// Closes what belonged to a tree that is gone.
    fn release(&mut self, generation: Generation) {
        self.close_notify_socket(generation);
        self.output.linger(generation);
    }

    pub(super) fn kill_all_trees(&mut self) {
        let orphans = self.orphans();
        self.processes.children.kill_all(self.io.os(), &orphans);
    }

    /// Lets a worker do `work`, which may write, on `fds`.
    pub(super) fn start_job(
        &mut self,
        job: Job,
        fds: &[RawFd],
        work: &dyn Fn(&mut File, &[RawFd]),
    ) -> io::Result<()> {
        self.processes.jobs.start(&mut self.io, &mut self.processes.helpers, job, fds, work)
    }
}
