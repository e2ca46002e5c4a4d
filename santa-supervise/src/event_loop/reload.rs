//! A changed configuration, and sockets that somebody has removed: both end in
//! some services getting a new process. What differs is found by
//! [`crate::reload`]; that the old configuration stays when the new one is wrong
//! is seen to here.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use santa_config::{Address, Config};
use serde_json::json;

use crate::machine::{Changes, Event, SlotId};
use crate::plan::Blueprint;
use crate::reload::difference;

use super::EventLoop;

impl EventLoop {
    /// Applies what differs in the text of the configuration that was `read`; gives
    /// a summary.
    ///
    /// # Errors
    /// Why nothing was applied.
    pub(super) fn reload_config(&mut self, read: Result<String, String>) -> Result<String, String> {
        let applied = if self.state.is_shutting_down() {
            Err("santa-supervise is shutting down".to_owned())
        } else {
            read.and_then(|text| (self.load)(&text))
                .and_then(|(config, blueprints)| self.apply(config, blueprints))
        };
        match &applied {
            Ok(summary) => {
                self.event(
                    "info",
                    &format!("configuration reloaded: {summary}"),
                    json!({ "event": "reload", "ok": true }),
                );
            }
            Err(problem) => {
                let message = format!("the configuration is refused, the old one stays: {problem}");
                self.event("error", &message, json!({ "event": "reload", "ok": false }));
            }
        }
        applied
    }

    fn apply(&mut self, config: Config, blueprints: Vec<Blueprint>) -> Result<String, String> {
        let (old, new) = (&self.config.supervisor, &config.supervisor);
        if old.control_socket != new.control_socket {
            return Err("supervisor.control_socket cannot change while santa-supervise runs; leave it or restart the container".to_owned());
        }
        let mut notes = Vec::new();
        if old.log != new.log {
            notes.push("supervisor.log changes with the next start of santa-supervise".to_owned());
        }
        self.sockets.adapt(&config, &blueprints).map_err(|problems| problems.join("\n"))?;
        let known: BTreeMap<SlotId, (&Blueprint, bool)> = self
            .blueprints
            .iter()
            .filter_map(|(id, blueprint)| {
                Some((*id, (&**blueprint, self.state.slot(*id)?.retired())))
            })
            .collect();
        let next = SlotId(self.last_slot.0 + 1);
        let found = difference(&known, blueprints, next);
        notes.insert(0, found.summary.to_string());
        for (id, blueprint) in found.blueprints {
            self.last_slot = self.last_slot.max(id);
            self.limit_output(&blueprint);
            self.blueprints.insert(id, Rc::new(blueprint));
        }
        let changes = Changes { shutdown_timeout: Some(new.shutdown_timeout), ..found.changes };
        self.hooks.configure(config.hooks.clone());
        self.config = config;
        self.events.push_back(Event::Reconfigured(changes));
        Ok(notes.join("; "))
    }

    /// Binds sockets again whose files somebody has removed. Who served them
    /// needs a new process to get the new ones.
    pub(super) fn look_for_lost_sockets(&mut self, now: Instant) {
        if !self.sockets.is_time_to_look(now) {
            return;
        }
        for (address, bound) in self.sockets.restore_lost() {
            match bound {
                Ok(()) => self.replace_servers(&address),
                Err(problem) => {
                    self.warn(&format!(
                        "{address} was removed by somebody and cannot be bound again: {problem}"
                    ));
                }
            }
        }
        self.restore_control();
    }

    fn replace_servers(&mut self, address: &Address) {
        let serves =
            |blueprint: &Blueprint| blueprint.sockets.iter().any(|(_, one)| one == address);
        let changed = self.blueprints.iter().filter(|(_, blueprint)| serves(blueprint));
        let changed = changed.map(|(id, blueprint)| (*id, blueprint.spec.clone(), true)).collect();
        self.warn(&format!("{address} was removed by somebody; it is bound again, and who serves it gets a new process"));
        self.events.push_back(Event::Reconfigured(Changes { changed, ..Changes::default() }));
    }
}
