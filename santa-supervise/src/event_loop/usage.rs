//! What services use, for `top`, and all numbers as Prometheus text for the
//! admin listener. Read on request only: an idle supervisor stays idle.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::clock;
use crate::machine::{Slot, SlotId};
use crate::os::{Strays, Token};
use crate::protocol::{ServiceUsage, Status};

use super::EventLoop;

/// How long services are looked at in one turn.
const LOOK_FOR: Duration = Duration::from_millis(3);

/// What a client wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    Usage,
    Metrics,
}

/// The look at all services under way, a portion each turn: reading /proc takes its
/// time. Whoever asks meanwhile gets the next one.
#[derive(Debug, Default)]
pub(super) struct Usages {
    askers: Vec<(Token, Question)>,
    next_askers: Vec<(Token, Question)>,
    left: VecDeque<SlotId>,
    found: Vec<ServiceUsage>,
}

impl Usages {
    /// Whether a turn has something to do.
    pub(super) fn is_under_way(&self) -> bool {
        !self.askers.is_empty()
    }

    /// Whether a client still waits for an answer.
    pub(super) fn is_waited_for(&self, token: Token) -> bool {
        self.askers.iter().chain(&self.next_askers).any(|(asker, _)| *asker == token)
    }
}

impl EventLoop {
    /// Answers when all services have been looked at.
    pub(super) fn ask_usage(&mut self, asker: Token, question: Question) {
        if self.monitors.usages.is_under_way() {
            return self.monitors.usages.next_askers.push((asker, question));
        }
        self.monitors.usages.askers.push((asker, question));
        self.monitors.usages.left = self.core.state.slots().map(|(id, _)| id).collect();
        self.look_at_usage();
    }

    /// Looks at some more services; at the end tells whoever has asked.
    pub(super) fn look_at_usage(&mut self) {
        let end = Instant::now() + LOOK_FOR;
        let strays = match self.monitors.usages.left.is_empty() {
            true => Strays::default(),
            false => self.strays(),
        };
        while let Some(id) = self.monitors.usages.left.pop_front() {
            // Services that a reload has taken away meanwhile are left out.
            let found = self.core.state.slot(id).map(|slot| self.usage_of(id, slot, &strays));
            self.monitors.usages.found.extend(found);
            if end <= Instant::now() {
                break;
            }
        }
        if self.monitors.usages.left.is_empty() {
            self.tell_usage();
        }
    }

    fn usage_of(&self, id: SlotId, slot: &Slot, strays: &Strays) -> ServiceUsage {
        let child =
            slot.generation().and_then(|generation| self.processes.children.get(generation));
        let used = child.and_then(|child| self.io.os.usage(child.tree(), strays));
        ServiceUsage {
            status: self.service_status(id, slot),
            processes: used.map(|used| used.processes),
            rss_bytes: used.map(|used| used.rss),
            cpu_seconds: used.map(|used| used.cpu.as_secs_f64()),
            log_bytes: self.output.output_stats.bytes_of(&slot.spec().label()),
            dropped_lines: self.dropped_lines_of(&slot.spec().label()),
        }
    }

    fn tell_usage(&mut self) {
        let usage = std::mem::take(&mut self.monitors.usages.found);
        let askers = std::mem::take(&mut self.monitors.usages.askers);
        let metrics = askers.iter().find(|(_, question)| *question == Question::Metrics);
        let metrics = metrics.map(|_| self.metrics(&usage));
        for (asker, question) in askers {
            match (question, &metrics) {
                (Question::Metrics, Some(metrics)) => self.answer(asker, true, metrics.clone()),
                _ => self.give_json(asker, &usage),
            }
            // It may have asked more.
            self.io.turn.leave(asker);
        }
        let next = std::mem::take(&mut self.monitors.usages.next_askers);
        if !next.is_empty() {
            self.monitors.usages.askers = next;
            self.monitors.usages.left = self.core.state.slots().map(|(id, _)| id).collect();
        }
    }

    /// All numbers as Prometheus text.
    fn metrics(&self, usage: &[ServiceUsage]) -> String {
        let mut text = prometheus(&self.status(), usage, clock::now() / 1_000);
        let own = [
            ("longest_turn", "Longest turn of the event loop.", self.io.turn.longest()),
            ("longest_turn_cpu", "Most CPU time used by one turn.", self.io.turn.most_work()),
        ];
        for (name, help, value) in own {
            let name = format!("santa_supervise_{name}_seconds");
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
            let _ = writeln!(text, "{name} {}", value.as_secs_f64());
        }
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
    family("service_state_seconds", "gauge", "Time in the current state.", each(&age));
    let restarts = |one: &ServiceUsage| Some(one.status.restarts as f64);
    family("service_restarts_total", "counter", "Restarts of the service.", each(&restarts));
    let rss = |one: &ServiceUsage| one.rss_bytes.map(|bytes| bytes as f64);
    family(
        "service_resident_memory_bytes",
        "gauge",
        "Resident memory of its processes.",
        each(&rss),
    );
    let cpu = |one: &ServiceUsage| one.cpu_seconds;
    family("service_cpu_seconds_total", "counter", "CPU time of running processes.", each(&cpu));
    let processes = |one: &ServiceUsage| one.processes.map(f64::from);
    family("service_processes", "gauge", "Running processes.", each(&processes));
    let output = |one: &ServiceUsage| Some(one.log_bytes as f64);
    family("service_log_bytes_total", "counter", "Output read from the service.", each(&output));
    let dropped = |one: &ServiceUsage| Some(one.dropped_lines as f64);
    family(
        "service_dropped_lines_total",
        "counter",
        "Log lines of the service dropped.",
        each(&dropped),
    );
    let own = &status.supervisor;
    let single = |value: u64| vec![(String::new(), value as f64)];
    family(
        "uptime_seconds",
        "gauge",
        "Time since santa-supervise started.",
        single(now.saturating_sub(own.since)),
    );
    family(
        "dropped_lines_total",
        "counter",
        "Log lines dropped because nobody read them.",
        single(own.dropped_lines),
    );
    family(
        "orphans_reaped_total",
        "counter",
        "Orphaned processes reaped.",
        single(own.orphans_reaped),
    );
    text
}

fn labels(one: &ServiceUsage, more: &str) -> String {
    // Names hold nothing that would have to be escaped: the configuration sees to it.
    format!("{{service=\"{}\",instance=\"{}\"{more}}}", one.status.name, one.status.instance)
}
