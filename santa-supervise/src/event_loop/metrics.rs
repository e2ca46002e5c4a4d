//! All numbers as Prometheus text for the admin listener.

use std::fmt::Write as _;

use crate::protocol::{ServiceUsage, Status};

use super::turn::Turn;

/// The text exposition format; `now` in seconds since 1970.
pub(super) fn prometheus(
    status: &Status,
    services: &[ServiceUsage],
    turn: &Turn,
    now: u64,
) -> String {
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
    let turns = [
        ("longest_turn", "Longest turn of the event loop.", turn.longest()),
        ("longest_turn_cpu", "Most CPU time used by one turn.", turn.most_work()),
    ];
    for (name, help, value) in turns {
        family(
            &format!("{name}_seconds"),
            "gauge",
            help,
            vec![(String::new(), value.as_secs_f64())],
        );
    }
    text
}

fn labels(one: &ServiceUsage, more: &str) -> String {
    // Names hold nothing that would have to be escaped: the configuration sees to it.
    format!("{{service=\"{}\",instance=\"{}\"{more}}}", one.status.name, one.status.instance)
}
