//! What services use, for `top`, and all numbers as Prometheus text for the
//! admin listener. Read on request only: an idle supervisor stays idle.

use std::fmt::Write as _;

use crate::clock;
use crate::protocol::{ServiceUsage, Status};

use super::EventLoop;

impl EventLoop {
    /// One entry for each instance, in the order of the configuration.
    pub(super) fn usage(&mut self) -> Vec<ServiceUsage> {
        let strays = self.strays();
        let slots = self.state.slots().map(|(id, slot)| {
            let child = slot.generation().and_then(|generation| self.children.get(generation));
            let used = child.and_then(|child| self.os.usage(child.tree(), &strays));
            ServiceUsage {
                status: self.service_status(id, slot),
                processes: used.map(|used| used.processes),
                rss_bytes: used.map(|used| used.rss),
                cpu_seconds: used.map(|used| used.cpu.as_secs_f64()),
                log_bytes: self.tallies.bytes_of(&slot.spec().label()),
                dropped_lines: self.dropped_lines_of(&slot.spec().label()),
            }
        });
        slots.collect()
    }

    /// All numbers as Prometheus text.
    pub(super) fn metrics(&mut self) -> String {
        let usage = self.usage();
        let mut text = prometheus(&self.status(), &usage, clock::now() / 1_000);
        let (name, longest) = ("santa_supervise_longest_turn_seconds", self.turn.longest());
        let _ = writeln!(text, "# HELP {name} The longest time in which nothing new was taken.");
        let _ = writeln!(text, "# TYPE {name} gauge\n{name} {}", longest.as_secs_f64());
        text
    }
}

/// The text exposition format; `now` in seconds since 1970.
fn prometheus(status: &Status, services: &[ServiceUsage], now: u64) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, values: Vec<(String, f64)>| {
        let _ = writeln!(text, "# HELP santa_supervise_{name} {help}");
        let _ = writeln!(text, "# TYPE santa_supervise_{name} {kind}");
        for (labels, value) in values {
            let _ = writeln!(text, "santa_supervise_{name}{labels} {value}");
        }
    };
    let each = |value: &dyn Fn(&ServiceUsage) -> Option<f64>| -> Vec<(String, f64)> {
        services.iter().filter_map(|one| Some((labels(one, ""), value(one)?))).collect()
    };
    let state =
        |one: &ServiceUsage| (labels(one, &format!(",state=\"{}\"", one.status.state)), 1.0);
    let up = |one: &ServiceUsage| {
        let up = ["ready", "completed"].contains(&&*one.status.state);
        Some(f64::from(u8::from(up)))
    };
    family(
        "service_state",
        "gauge",
        "The state of a service.",
        services.iter().map(state).collect(),
    );
    family("service_up", "gauge", "1 when ready or completed.", each(&up));
    let age = |one: &ServiceUsage| Some(now.saturating_sub(one.status.since) as f64);
    family("service_state_seconds", "gauge", "Time in its state.", each(&age));
    let restarts = |one: &ServiceUsage| Some(one.status.restarts as f64);
    family("service_restarts_total", "counter", "Times it was started again.", each(&restarts));
    let rss = |one: &ServiceUsage| one.rss_bytes.map(|bytes| bytes as f64);
    family("service_resident_memory_bytes", "gauge", "Memory of its processes.", each(&rss));
    let cpu = |one: &ServiceUsage| one.cpu_seconds;
    family("service_cpu_seconds_total", "counter", "CPU of its living processes.", each(&cpu));
    let processes = |one: &ServiceUsage| one.processes.map(f64::from);
    family("service_processes", "gauge", "Its living processes.", each(&processes));
    let output = |one: &ServiceUsage| Some(one.log_bytes as f64);
    family("service_log_bytes_total", "counter", "Output read from it.", each(&output));
    let dropped = |one: &ServiceUsage| Some(one.dropped_lines as f64);
    family("service_dropped_lines_total", "counter", "Lines of it dropped.", each(&dropped));
    let own = &status.supervisor;
    let single = |value: u64| vec![(String::new(), value as f64)];
    family(
        "uptime_seconds",
        "gauge",
        "Time since the start.",
        single(now.saturating_sub(own.since)),
    );
    family("dropped_lines_total", "counter", "Lines no reader took.", single(own.dropped_lines));
    family("orphans_reaped_total", "counter", "Orphans taken in.", single(own.orphans_reaped));
    text
}

fn labels(one: &ServiceUsage, more: &str) -> String {
    // Names hold nothing that would have to be escaped: the configuration sees to it.
    format!("{{service=\"{}\",instance=\"{}\"{more}}}", one.status.name, one.status.instance)
}
