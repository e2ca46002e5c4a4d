//! Spawns and signals, as the core asks for them.

use crate::machine::{Event, Generation, Signal, SlotId};
use crate::record::Stream;

use super::EventLoop;
use super::children::Child;

impl EventLoop {
    pub(super) fn spawn(&mut self, slot: SlotId, generation: Generation) {
        let spawned =
            self.spawner.spawn(&self.blueprints[slot.0 as usize], &self.sockets, generation);
        let event = match spawned {
            Err(failure) => Event::SpawnFailed(slot, generation, failure),
            Ok(spawned) => {
                self.os.adopt(spawned.pid);
                let [out, err] = spawned.output;
                self.open_output(slot, generation, Stream::Stdout, out);
                self.open_output(slot, generation, Stream::Stderr, err);
                self.begin_probe(slot, generation);
                self.children.add(generation, Child::new(slot, spawned.pid, spawned.tag));
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
            let (label, name) = (self.label(child.slot), crate::signals::name(signal));
            self.warn(&format!("cannot send {name} to {label}: {error}"));
        }
    }

    pub(super) fn send_signal(&mut self, slot: SlotId, generation: Generation, signal: Signal) {
        let number = match signal {
            Signal::Number(number) => Some(number),
            Signal::Reload => self.blueprint(slot).reload_signal,
        };
        if let Some(number) = number {
            self.signal_main(generation, number);
        }
    }

    pub(super) fn ask_leftovers(&mut self, slot: SlotId, generation: Generation) {
        let signal = self.blueprint(slot).stop_signal;
        if let Some(child) = self.children.get(generation) {
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
        self.blueprint(slot).spec.label()
    }
}
