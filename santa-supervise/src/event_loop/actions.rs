//! Spawns and signals, as the core asks for them.

use crate::machine::{Event, Generation, Signal, SlotId};
use crate::record::Stream;

use super::EventLoop;
use super::children::Child;

impl EventLoop {
    pub(super) fn spawn(&mut self, slot: SlotId, generation: Generation) {
        let Some(blueprint) = self.blueprint(slot).cloned() else { return };
        let notify = self.open_notices(&blueprint, generation);
        let spawned = self.spawner.spawn(&blueprint, &self.sockets, generation, notify.as_deref());
        let event = match spawned {
            Err(failure) => {
                self.close_notices(generation);
                Event::SpawnFailed(slot, generation, failure)
            }
            Ok(spawned) => {
                self.os.adopt(spawned.pid);
                let [out, err] = spawned.output;
                self.open_output(slot, generation, Stream::Stdout, out);
                self.open_output(slot, generation, Stream::Stderr, err);
                self.begin_probe(slot, generation, &blueprint);
                let child = Child::new(slot, blueprint, spawned.pid, spawned.tag);
                self.children.add(generation, child);
                Event::Spawned(slot, generation)
            }
        };
        self.events.push_back(event);
    }

    /// Signals a main process; one that has just ended needs none.
    pub(super) fn signal_main(&mut self, generation: Generation, signal: i32) {
        let Some(child) = self.children.get(generation).filter(|child| child.main_alive) else {
            return;
        };
        if let Err(error) = self.os.signal_child(child.pid, signal) {
            let (label, name) = (child.blueprint.spec.label(), santa_config::signal::name(signal));
            self.warn(&format!("cannot send {name} to {label}: {error}"));
        }
    }

    /// Sends the signal of this number of the stop sequence that the process
    /// was started with.
    pub(super) fn ask_to_stop(&mut self, generation: Generation, step: usize) {
        let Some(child) = self.children.get(generation) else { return };
        let now = self.blueprint(child.slot).unwrap_or(&child.blueprint);
        if let Some(signal) = child.stop_signal(step, now) {
            self.signal_main(generation, signal);
        }
    }

    pub(super) fn send_signal(&mut self, generation: Generation, signal: Signal) {
        let number = match signal {
            Signal::Number(number) => Some(number),
            Signal::Reload => {
                self.children.get(generation).and_then(|child| child.blueprint.reload_signal)
            }
        };
        if let Some(number) = number {
            self.signal_main(generation, number);
        }
    }

    pub(super) fn ask_leftovers(&mut self, generation: Generation) {
        if let Some(child) = self.children.get(generation)
            && let Some(signal) = child.first_stop_signal()
        {
            self.os.signal_tree(child.tree(), &self.children.mains(), signal);
        }
    }

    pub(super) fn kill_tree(&mut self, generation: Generation) {
        let mains = self.children.mains();
        if let Some(child) = self.children.get_mut(generation) {
            child.killing = true;
            self.os.signal_tree(child.tree(), &mains, libc::SIGKILL);
        }
    }

    /// The name of a slot in logs and answers.
    pub(super) fn label(&self, slot: SlotId) -> String {
        self.blueprint(slot).map_or_else(|| "a service".to_owned(), |known| known.spec.label())
    }
}
