//! Status and log records for people.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};

use crate::clock;
use crate::protocol::Status;
use crate::record::{Chunk, Stream, Style};

/// Prints the state of all services.
pub(super) fn status(status: &Status, json: bool) {
    if json {
        println!("{}", serde_json::json!(status));
        return;
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
            service.why.clone(),
        ]);
    }
    for row in &rows {
        println!("{}", aligned(row, &rows));
    }
    if status.supervisor.dropped_lines > 0 {
        println!(
            "{} lines of output were dropped because nobody read them in time",
            status.supervisor.dropped_lines
        );
    }
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
    chunk.write(Style::Pretty { colours: io::stdout().is_terminal() }, &mut text);
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
