//! What santa-supervise itself reports: log records and the events that clients
//! follow. One JSON object serves both.

use serde_json::{Value, json};

use crate::machine::{Note, Phase, SlotId};

use super::EventLoop;
use super::children::Child;

impl EventLoop {
    pub(super) fn tell(&mut self, note: Note) {
        match note {
            Note::Changed { slot, from, to, why } => self.log_transition(slot, from, to, &why),
            Note::Roll { slot, well, text } => {
                let label = self.core.label(slot);
                let level = if well { "info" } else { "error" };
                let details = json!({ "event": "roll", "name": label, "ok": well });
                self.event(level, &format!("{label}: {text}"), details);
            }
            Note::Stuck(slot, _) => {
                let label = self.core.label(slot);
                let message = format!("{label} survives SIGKILL and is no longer waited for");
                self.event("error", &message, json!({ "event": "stuck", "name": label }));
            }
            Note::Shutdown { why, level } => {
                self.sockets.leave_shared();
                let how = match level {
                    1 => "stopping in order",
                    2 => "stopping everything at once",
                    _ => "killing the remaining processes",
                };
                let level_word = if why.starts_with("critical") { "error" } else { "info" };
                self.event(
                    level_word,
                    &format!("{how}: {why}"),
                    json!({ "event": "shutdown", "why": why }),
                );
            }
        }
    }

    fn log_transition(&mut self, slot: SlotId, from: Phase, to: Phase, why: &str) {
        let mut why = why.to_owned();
        if (from, to) == (Phase::Starting, Phase::Stopping) {
            let live = self.core.state().slot(slot).and_then(|slot| slot.generation());
            let delay = live.and_then(|generation| self.processes.starts.delay_of(generation));
            let problem = delay.or_else(|| self.monitors.probes.problem(slot).map(str::to_owned));
            why += &problem.map(|problem| format!(": {problem}")).unwrap_or_default();
        }
        let label = self.core.label(slot);
        let live = self.core.state().slot(slot).and_then(|slot| slot.generation());
        let message = match to {
            Phase::Starting => format!("{label} starts"),
            Phase::Ready => format!("{label} is ready"),
            Phase::Waiting => format!("{label} {why}"),
            Phase::Stopping => format!("{label} stops: {why}"),
            Phase::Stopped => format!("{label} has stopped ({why})"),
            Phase::Backoff => format!("{label}: {why}"),
            Phase::Failed => format!("{label} failed: {why}"),
            Phase::Completed => format!("{label} completed ({why})"),
            Phase::Skipped => format!("{label} is skipped: {why}"),
        };
        let level = match to {
            Phase::Failed | Phase::Skipped => "error",
            Phase::Backoff => "warning",
            _ => "info",
        };
        let Some(blueprint) = self.core.blueprint(slot) else { return };
        let spec = &blueprint.spec;
        let child = live.and_then(|generation| self.processes.children.get(generation));
        let details = json!({
            "event": "state",
            "name": spec.service,
            "instance": spec.instance,
            "from": from.word(),
            "to": to.word(),
            "why": why,
            "pid": child.map(Child::pid),
            "generation": live.map(|generation| generation.0),
        });
        let service = spec.service.clone();
        let record = self.event(level, &message, details);
        let failed = self.monitors.hooks.call(
            &mut self.io,
            &mut self.processes.helpers,
            &mut self.processes.spawner,
            (&service, to),
            &record,
        );
        self.hooks_failed(failed);
    }

    pub(super) fn warn(&mut self, message: &str) {
        self.event("warning", message, json!({ "event": "warning" }));
    }

    pub(super) fn log_start(&mut self) {
        let message = format!(
            "santa-supervise {} starts {} services",
            env!("CARGO_PKG_VERSION"),
            self.core.blueprints().count()
        );
        self.event("info", &message, json!({ "event": "start", "os": self.io.os().name() }));
        for (level, message) in self.sockets.take_findings() {
            self.event(level, &message, json!({ "event": "socket" }));
        }
        if let Some(shortcoming) = self.io.os().shortcoming() {
            self.warn(&shortcoming);
        }
    }

    pub(super) fn log_end(&mut self, code: i32) {
        let level = if code == 0 { "info" } else { "error" };
        self.event(
            level,
            &format!("everything has stopped, exit code {code}"),
            json!({ "event": "end", "code": code }),
        );
    }

    /// Puts one record into the log and shows it to clients that follow events.
    pub(super) fn event(&mut self, level: &str, message: &str, details: Value) -> Value {
        let (record, chunk) = self.output.event(level, message, details);
        self.control.show(&mut self.io, &chunk);
        record
    }
}
