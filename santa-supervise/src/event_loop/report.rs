//! The state of everything in the words of [`crate::protocol`].

use crate::clock;
use crate::machine::{Phase, Slot, SlotId};
use crate::os::Orphans;
use crate::protocol::{Answer, ServiceStatus, ServiceUsage, Status, SupervisorStatus};

use super::EventLoop;
use super::children::Child;
use super::metrics::prometheus;

impl EventLoop {
    pub(super) fn status(&self) -> Status {
        Status {
            supervisor: SupervisorStatus {
                pid: std::process::id(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                os: self.io.os().name().to_owned(),
                since: self.core.begun_at() / 1_000,
                shutting_down: self.core.state().is_shutting_down(),
                orphans_reaped: self.processes.children.orphans_reaped(),
                dropped_lines: self.output.dropped(),
            },
            services: self
                .core
                .state()
                .slots()
                .map(|(id, slot)| self.service_status(id, slot))
                .collect(),
        }
    }

    pub(super) fn service_status(&self, id: SlotId, slot: &Slot) -> ServiceStatus {
        let child =
            slot.generation().and_then(|generation| self.processes.children.get(generation));
        let since = self.core.begun_at() + u64::try_from(slot.since().as_millis()).unwrap_or(0);
        let mut why = slot.why().to_owned();
        if matches!(slot.phase(), Phase::Starting | Phase::Ready)
            && let Some(problem) = self.monitors.probes.problem(id)
        {
            why = format!("{why}; {problem}");
        }
        ServiceStatus {
            name: slot.spec().service.clone(),
            instance: slot.spec().instance,
            kind: if slot.spec().task { "task" } else { "daemon" }.to_owned(),
            state: slot.phase().word().to_owned(),
            why,
            status_text: slot
                .generation()
                .and_then(|generation| self.monitors.notify.status_of(generation))
                .map(str::to_owned),
            pid: child.and_then(Child::living_pid),
            generation: slot.generation().map(|generation| generation.0),
            restarts: slot.restarts(),
            since: since / 1_000,
            last_exit: slot.last_exit().map(|exit| exit.to_string()),
            critical: slot.spec().critical,
        }
    }

    /// Healthy: not shutting down. Ready: every service that ought to be up is,
    /// but for those that failed without being critical.
    pub(super) fn health(&self, ready: bool) -> Answer {
        if self.core.state().is_shutting_down() {
            return Answer { ok: false, message: "shutting down".to_owned() };
        }
        let behind = |(_, slot): &(SlotId, &Slot)| {
            let given_up =
                matches!(slot.phase(), Phase::Failed | Phase::Skipped) && !slot.spec().critical;
            slot.wanted() && !slot.phase().satisfies() && !given_up
        };
        let behind: Vec<String> = self
            .core
            .state()
            .slots()
            .filter(|slot| ready && behind(slot))
            .map(|(_, slot)| format!("{} is {}", slot.spec().label(), slot.phase()))
            .collect();
        match behind.is_empty() {
            true => {
                Answer { ok: true, message: if ready { "ready" } else { "healthy" }.to_owned() }
            }
            false => Answer { ok: false, message: behind.join(", ") },
        }
    }

    pub(super) fn usage_of(&self, id: SlotId, slot: &Slot, orphans: &Orphans) -> ServiceUsage {
        let child =
            slot.generation().and_then(|generation| self.processes.children.get(generation));
        let used = child.and_then(|child| self.io.os().usage(child.tree(), orphans));
        let label = slot.spec().label();
        ServiceUsage {
            status: self.service_status(id, slot),
            processes: used.map(|used| used.processes),
            rss_bytes: used.map(|used| used.rss),
            cpu_seconds: used.map(|used| used.cpu.as_secs_f64()),
            log_bytes: self.output.bytes_of(&label),
            dropped_lines: self.output.dropped_of(&label),
        }
    }

    /// All numbers as Prometheus text.
    pub(super) fn metrics(&self, usage: &[ServiceUsage]) -> String {
        prometheus(&self.status(), usage, self.io.turn(), clock::now() / 1_000)
    }
}
