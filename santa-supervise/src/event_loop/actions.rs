//! Spawns and signals, as the core asks for them.

use crate::machine::{Event, Generation, Signal, SlotId};
use crate::record::Stream;
use crate::spawning::Spawned;

use super::EventLoop;
use super::children::Child;

impl EventLoop {
    pub(super) fn spawn(&mut self, slot: SlotId, generation: Generation) {
        let Some(blueprint) = self.blueprint(slot).cloned() else { return };
        self.open_notify_socket(&blueprint, generation);
        let notify = self.monitors.notify.socket_of(generation);
        let spawned = self.processes.spawner.spawn(&blueprint, &self.sockets, generation, notify);
        match spawned {
            Err(failure) => {
                self.close_notify_socket(generation);
                self.core.events.push_back(Event::SpawnFailed(slot, generation, failure));
            }
            Ok(Spawned { started, tag, output: [out, err] }) => {
                self.io.os.adopt(started.pid);
                self.open_output(slot, generation, Stream::Stdout, out);
                self.open_output(slot, generation, Stream::Stderr, err);
                self.processes
                    .children
                    .add(generation, Child::new(slot, blueprint, started.pid, tag));
                self.await_program(generation, started.progress);
            }
        }
    }

    /// Signals a main process; one that has just ended needs none.
    pub(super) fn signal_main(&mut self, generation: Generation, signal: i32) {
        let Some(child) = self.processes.children.get(generation).filter(|child| child.main_alive)
        else {
            return;
        };
        if let Err(error) = self.io.os.signal_child(child.pid, signal) {
            let (label, name) = (child.blueprint.spec.label(), santa_config::signal::name(signal));
            self.warn(&format!("cannot send {name} to {label}: {error}"));
        }
    }

    /// Sends the signal of this number of the stop sequence that the process
    /// was started with.
    pub(super) fn ask_to_stop(&mut self, generation: Generation, step: usize) {
        if self.is_on_its_way(generation) {
            // Nobody is there yet who could do anything in an orderly way.
            return self.abandon_start(generation);
        }
        let Some(child) = self.processes.children.get(generation) else { return };
        let now = self.blueprint(child.slot).unwrap_or(&child.blueprint);
        if let Some(signal) = child.stop_signal(step, now) {
            self.signal_main(generation, signal);
            self.wake(generation);
        }
    }

    /// Lets a stopped process (SIGSTOP) go on, which could not react otherwise.
    fn wake(&mut self, generation: Generation) {
        if let Some(child) =
            self.processes.children.get(generation).filter(|child| child.main_alive)
        {
            // Of one that has just ended nothing is left to wake.
            let _ = self.io.os.signal_child(child.pid, libc::SIGCONT);
            self.io.os.signal_group(child.tree(), libc::SIGCONT);
        }
    }

    pub(super) fn send_signal(&mut self, generation: Generation, signal: Signal) {
        let number = match signal {
            Signal::Number(number) => Some(number),
            Signal::Reload => self
                .processes
                .children
                .get(generation)
                .and_then(|child| child.blueprint.reload_signal),
        };
        if let Some(number) = number {
            self.signal_main(generation, number);
        }
    }

    pub(super) fn ask_leftovers(&mut self, generation: Generation) {
        if let Some(child) = self.processes.children.get_mut(generation) {
            child.ask_leftovers();
            self.processes.children.sweep_soon();
        }
    }

    pub(super) fn kill_tree(&mut self, generation: Generation) {
        if self.is_on_its_way(generation) {
            return self.abandon_start(generation);
        }
        if let Some(child) = self.processes.children.get_mut(generation) {
            child.killing = true;
            self.io.os.signal_group(child.tree(), libc::SIGKILL);
            // What is outside its group.
            self.processes.children.sweep_soon();
        }
    }

    /// The name of a slot in logs and answers.
    pub(super) fn label(&self, slot: SlotId) -> String {
        self.blueprint(slot).map_or_else(|| "a service".to_owned(), |known| known.spec.label())
    }
}
