//! A changed configuration gives some services a new process. What differs is found
//! by [`crate::reload`]; here the old configuration is kept when the new one is wrong.

use std::collections::BTreeMap;
use std::io;

use santa_config::{Address, Config};
use serde_json::json;

use crate::machine::{Changes, Event, SlotId};
use crate::os::Token;
use crate::plan::Blueprint;
use crate::reload::difference;
use crate::sockets::{Batch, Bound, ToBind};

use super::EventLoop;
use super::jobs::Job;

impl EventLoop {
    /// Reads the configuration and applies it; then `asker` is answered.
    pub(super) fn begin_reload(&mut self, asker: Option<Token>) {
        if !self.configuration.reading.ask(asker) {
            return;
        }
        let begun = if self.core.state().is_shutting_down() {
            Err("santa-supervise is shutting down".to_owned())
        } else {
            self.configuration.reading.begin(&mut self.io, &mut self.processes.helpers)
        };
        if let Err(problem) = begun {
            self.reload_config(Err(problem));
        }
    }

    /// Applies what differs in the text of the configuration that was `read`, when
    /// its sockets are bound; or reports why not.
    pub(super) fn reload_config(&mut self, read: Result<String, String>) {
        let loaded = read.and_then(|text| (self.configuration.load)(&text)).and_then(
            |(config, blueprints)| {
                self.check_reload(&config)?;
                Ok((config, blueprints))
            },
        );
        let (config, blueprints) = match loaded {
            Ok(loaded) => loaded,
            Err(problem) => return self.reload_done(Err(problem)),
        };
        let wanted = self.sockets.to_bind(&config, &blueprints);
        if wanted.is_empty() {
            return self.sockets_bound(config, blueprints, Bound::new());
        }
        if let Err(error) = self.bind_new(config, blueprints, wanted) {
            let problem = format!("cannot start a process that binds its sockets: {error}");
            self.reload_done(Err(problem));
        }
    }

    fn check_reload(&self, config: &Config) -> Result<(), String> {
        if self.core.state().is_shutting_down() {
            return Err("santa-supervise is shutting down".to_owned());
        }
        if self.configuration.config.supervisor.control_socket != config.supervisor.control_socket {
            return Err("supervisor.control_socket cannot change while santa-supervise runs; leave it or restart the container".to_owned());
        }
        Ok(())
    }

    fn bind_new(
        &mut self,
        config: Config,
        blueprints: Vec<Blueprint>,
        wanted: Vec<ToBind>,
    ) -> io::Result<()> {
        let batch = Batch::new(wanted)?;
        let (fds, binder) = (batch.fds(), batch.binder());
        let job = Job::BindNew(Box::new(config), blueprints, batch);
        self.start_job(job, &fds, &|output, fds| binder.bind(fds, output))?;
        self.configuration.reading.await_binding();
        Ok(())
    }

    /// Goes on with a reload whose sockets are bound, or not.
    pub(super) fn sockets_bound(
        &mut self,
        config: Config,
        blueprints: Vec<Blueprint>,
        bound: Bound,
    ) {
        let applied = match self.check_reload(&config) {
            Ok(()) => self.apply(config, blueprints, bound),
            Err(problem) => {
                self.sockets.give_up(bound);
                Err(problem)
            }
        };
        self.run_file_tasks();
        self.sockets.look_soon();
        self.reload_done(applied);
    }

    fn reload_done(&mut self, applied: Result<String, String>) {
        match &applied {
            Ok(summary) => {
                self.event(
                    "info",
                    &format!("configuration reloaded: {summary}"),
                    json!({ "event": "reload", "ok": true }),
                );
            }
            Err(problem) => {
                let message =
                    format!("the new configuration is rejected and the old one kept: {problem}");
                self.event("error", &message, json!({ "event": "reload", "ok": false }));
            }
        }
        self.answer_reload(&applied);
    }

    /// Answers the clients that have asked for the reload.
    fn answer_reload(&mut self, outcome: &Result<String, String>) {
        let (Ok(message) | Err(message)) = outcome;
        for asker in self.configuration.reading.done() {
            self.control.answer(&mut self.io, asker, outcome.is_ok(), message.clone());
        }
        if self.configuration.reading.take_again() {
            self.begin_reload(None);
        }
    }

    fn apply(
        &mut self,
        config: Config,
        blueprints: Vec<Blueprint>,
        bound: Bound,
    ) -> Result<String, String> {
        let (old, new) = (&self.configuration.config.supervisor, &config.supervisor);
        let mut notes = Vec::new();
        if old.log != new.log {
            notes.push("supervisor.log changes with the next start of santa-supervise".to_owned());
        }
        self.sockets.adapt(&config, &blueprints, bound).map_err(|problems| problems.join("\n"))?;
        let known: BTreeMap<SlotId, (&Blueprint, bool)> = self
            .core
            .blueprints()
            .filter_map(|(id, blueprint)| {
                Some((id, (&**blueprint, self.core.state().slot(id)?.removed())))
            })
            .collect();
        let found = difference(&known, blueprints, self.core.next_slot());
        notes.insert(0, found.summary.to_string());
        for (id, blueprint) in found.blueprints {
            self.output.limit(&blueprint, self.core.now());
            self.core.configure(id, blueprint);
        }
        let changes = Changes { shutdown_timeout: Some(new.shutdown_timeout), ..found.changes };
        self.monitors.hooks.configure(config.hooks.clone());
        self.configuration.config = config;
        self.core.push(Event::Reconfigured(changes));
        Ok(notes.join("; "))
    }

    pub(super) fn replace_servers(&mut self, address: &Address) {
        let serves =
            |blueprint: &Blueprint| blueprint.sockets.iter().any(|(_, one)| one == address);
        let changed = self.core.blueprints().filter(|(_, blueprint)| serves(blueprint));
        let changed = changed.map(|(id, blueprint)| (id, blueprint.spec.clone(), true)).collect();
        self.warn(&format!("{address} was removed by another process; it is bound again and the services that use it are restarted"));
        self.core.push(Event::Reconfigured(Changes { changed, ..Changes::default() }));
    }
}
