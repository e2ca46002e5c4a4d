//! Whatever is due by time alone, and how long nothing is.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::machine::{CommandId, Event, Phase, SlotId, Verb};

use super::EventLoop;
use super::watched::LONG_CHECK;

impl EventLoop {
    pub(super) fn run_timers(&mut self) {
        let now = Instant::now();
        self.run_sweep_timer(now);
        let (probes, mut context) = self.probing();
        let events = probes.run(&mut context, now);
        self.core.extend(events);
        self.processes.helpers.end_slow(&self.io, now);
        let helpers = &mut self.processes.helpers;
        let failed = self.monitors.hooks.end_slow(&mut self.io, helpers, now);
        self.hooks_failed(failed);
        let published = self.output.run_timers(&mut self.io, now, self.core.now());
        self.published(published);
        self.report_dropped_lines(now);
        self.look_for_lost_sockets(now);
        self.report_hanging_watchers(now);
        self.monitors.notify.resume(&mut self.io, now);
        if let Some(problem) = self.control.run_timers(&mut self.io, now) {
            self.warn(&problem);
        }
        let helpers = &mut self.processes.helpers;
        if let Some(problem) = self.configuration.reading.end_slow(&mut self.io, helpers, now) {
            self.reload_config(Err(problem));
        }
        self.end_slow_jobs(now);
        self.restart_guard(now);
        self.core.tick();
    }

    /// How long nothing is due.
    pub(super) fn timeout(&self) -> Option<Duration> {
        if self.io.turn().has_left()
            || self.core.has_actions()
            || self.monitors.usages.is_under_way()
        {
            return Some(Duration::ZERO);
        }
        let due = [
            self.core.next_deadline(),
            self.processes.children.next_sweep(),
            self.monitors.probes.next_check(),
            self.processes.helpers.next_end(),
            self.monitors.hooks.next_end(),
            self.output.next_deadline(),
            self.sockets.next_check(),
            self.monitors.watched.next_check(),
            self.monitors.notify.next_check(),
            self.control.next_deadline(),
            self.configuration.reading.next_end(),
            self.processes.jobs.next_end(),
            self.processes.guarding.next_start(),
            self.exit.map(|(_, until)| until),
        ];
        due.into_iter().flatten().min().map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// Reports lines that were dropped because a service writes too many.
    fn report_dropped_lines(&mut self, now: Instant) {
        for (service, lines) in self.output.take_reports(now) {
            let message =
                format!("dropped {lines} lines of {service}: it writes more than its log.rate");
            let details = json!({ "event": "dropped", "name": &*service, "lines": lines });
            self.event("warning", &message, details);
        }
    }

    fn report_hanging_watchers(&mut self, now: Instant) {
        let helpers = &mut self.processes.helpers;
        for slot in self.monitors.watched.run_timers(&mut self.io, helpers, now) {
            let label = self.core.label(slot);
            self.warn(&format!("the files that {label} watches could not be checked for {LONG_CHECK:?}; is a mount hanging?"));
        }
    }

    fn end_slow_jobs(&mut self, now: Instant) {
        for token in self.processes.jobs.late(now) {
            let helpers = &mut self.processes.helpers;
            let finished = self.processes.jobs.finish(&mut self.io, helpers, token);
            self.job_finished(finished);
        }
    }

    fn restart_guard(&mut self, now: Instant) {
        let family = self.processes.spawner.family();
        if let Err(error) = self.processes.guarding.restart(family, now) {
            self.warn(&format!("cannot start the guard process: {error}; if santa-supervise is killed now, what services have started keeps running"));
        }
    }

    /// Files that a service watches have changed.
    pub(super) fn files_changed(&mut self, slot: SlotId) {
        // One that does not run reads its files when it starts.
        let runs = self.core.state().slot(slot).is_some_and(|slot| slot.phase() == Phase::Ready);
        if !runs {
            return;
        }
        let label = self.core.label(slot);
        let details = json!({ "event": "watch", "name": label });
        self.event(
            "info",
            &format!("{label} reloads: a file that it watches has changed"),
            details,
        );
        // Nobody waits for the answer.
        let id = CommandId(0);
        self.core.push(Event::Command { id, verb: Verb::Reload, target: label });
    }
}
