//! Status and log records for people.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use crate::clock;
use crate::json_text::is_unsafe;
use crate::protocol::{Explanation, ServiceUsage, Status};
use crate::record::{Chunk, Stream, Style};

/// Shows the state of all services.
pub(super) fn status(output: &mut impl Write, status: &Status, json: bool) -> io::Result<()> {
    if json {
        return writeln!(output, "{}", serde_json::json!(status));
    }
    let now = clock::now() / 1_000;
    let mut instances: BTreeMap<&str, u32> = BTreeMap::new();
    for service in &status.services {
        *instances.entry(&service.name).or_default() += 1;
    }
    let mut rows = vec![["SERVICE", "STATE", "PID", "FOR", "RESTARTS", "WHY"].map(str::to_owned)];
    for service in &status.services {
        let several = instances.get(service.name.as_str()).is_some_and(|count| *count > 1);
        rows.push([
            if several {
                format!("{}:{}", service.name, service.instance)
            } else {
                service.name.clone()
            },
            service.state.clone(),
            service.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            span(now.saturating_sub(service.since)),
            service.restarts.to_string(),
            shown(&service.why),
        ]);
    }
    for row in &rows {
        writeln!(output, "{}", aligned(row, &rows))?;
    }
    if status.supervisor.dropped_lines > 0 {
        writeln!(
            output,
            "{} lines of output were dropped because they were not read in time",
            status.supervisor.dropped_lines
        )?;
    }
    Ok(())
}

/// Text from elsewhere, on one line.
fn shown(text: &str) -> String {
    text.replace(is_unsafe, "\u{fffd}")
}

/// Shows why services are in their states.
pub(super) fn explanations(
    output: &mut impl Write,
    found: &[Explanation],
    json: bool,
) -> io::Result<()> {
    if json {
        return writeln!(output, "{}", serde_json::json!(found));
    }
    let now = clock::now() / 1_000;
    for one in found {
        let status = &one.status;
        let since = span(now.saturating_sub(status.since));
        let why = shown(&status.why);
        writeln!(output, "{} is {} for {since}: {why}", status.name, status.state)?;
        if let Some(next) = &one.next {
            writeln!(output, "  next: {next}")?;
        }
        if let Some(successor) = one.successor {
            writeln!(output, "  generation {successor} starts beside it")?;
        }
        for exit in &one.exits {
            let ago = span(now.saturating_sub(exit.at));
            writeln!(output, "  {ago} ago: {} after {} ms", exit.exit, exit.lived_ms)?;
            for line in &exit.lines {
                writeln!(output, "    | {}", line.escape_debug())?;
            }
        }
    }
    Ok(())
}

/// Shows what services use; CPU as the share since `before`.
pub(super) fn usage(
    output: &mut impl Write,
    before: Option<&[ServiceUsage]>,
    now: &[ServiceUsage],
    every: Duration,
    json: bool,
) -> io::Result<()> {
    if json {
        return writeln!(output, "{}", serde_json::json!(now));
    }
    let mut rows = vec![["SERVICE", "STATE", "PID", "PROCS", "MEMORY", "CPU"].map(str::to_owned)];
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    for one in now {
        let same = |other: &&ServiceUsage| {
            (other.status.generation, &other.status.name)
                == (one.status.generation, &one.status.name)
        };
        let earlier = before.and_then(|before| before.iter().find(same)?.cpu_seconds);
        let share = one.cpu_seconds.zip(earlier).map(|(cpu, earlier)| {
            format!("{:.0} %", (cpu - earlier).max(0.0) / every.as_secs_f64().max(0.001) * 100.0)
        });
        let total = one.cpu_seconds.map(|cpu| format!("{cpu:.1} s"));
        rows.push([
            format!("{}:{}", one.status.name, one.status.instance),
            one.status.state.clone(),
            or_dash(one.status.pid.map(|pid| pid.to_string())),
            or_dash(one.processes.map(|count| count.to_string())),
            or_dash(one.rss_bytes.map(|bytes| format!("{:.1} MiB", bytes as f64 / 1_048_576.0))),
            or_dash(share.or(total)),
        ]);
    }
    for row in &rows {
        writeln!(output, "{}", aligned(row, &rows))?;
    }
    writeln!(output)
}

fn aligned<const N: usize>(row: &[String; N], rows: &[[String; N]]) -> String {
    let mut line = String::new();
    for (column, cell) in row.iter().enumerate() {
        let width = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        line += &format!("{cell:<width$}  ");
    }
    line.trim_end().to_owned()
}

/// `3d 4h`, `5m 6s`: the two largest units.
fn span(seconds: u64) -> String {
    let units = [
        ("d", seconds / 86_400),
        ("h", seconds / 3_600 % 24),
        ("m", seconds / 60 % 60),
        ("s", seconds % 60),
    ];
    let first = units.iter().position(|(_, count)| *count > 0).unwrap_or(3);
    let shown = units.iter().skip(first).take(2);
    shown.map(|(unit, count)| format!("{count}{unit}")).collect::<Vec<_>>().join(" ")
}

/// Prints a JSON log record for people.
pub(super) fn record(output: &mut impl Write, line: &str) -> io::Result<()> {
    let member = |name: &str| {
        let value: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(value.get(name)?.as_str()?.to_owned())
    };
    let chunk = Chunk {
        service: member("service").unwrap_or_default().into(),
        stream: Stream::Stdout,
        at: member("ts").and_then(|ts| clock::parse(&ts)).unwrap_or_else(clock::now),
        text: format!("{line}\n").into_bytes(),
        unfinished: false,
    };
    let mut text = Vec::new();
    chunk.write(Style::Pretty { colors: io::stdout().is_terminal() }, &mut text);
    output.write_all(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_show_their_two_largest_units() {
        for (seconds, expected) in
            [(0, "0s"), (59, "59s"), (61, "1m 1s"), (3_600, "1h 0m"), (90_061, "1d 1h")]
        {
            assert_eq!(span(seconds), expected);
        }
    }
}
