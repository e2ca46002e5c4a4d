//! What is measured of one supervisor in one round.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::peer::Peer;
use super::process;
use super::site::{Site, own_start};
use crate::table::median;

/// Children of the first part.
const CHILDREN: usize = 5;
/// Time for everything to settle before memory and idleness are looked at; a
/// second is what peers wait before a child counts as running.
const SETTLE: Duration = Duration::from_millis(1_500);
/// How long idleness is watched.
const IDLE: Duration = Duration::from_secs(5);
const KILLS: usize = 3;
const STATUS_CALLS: usize = 5;
/// Lines of 100 bytes, written ten times: 200 MB.
const LINES: usize = 200_000;
const TIMES: u64 = 10;

/// One figure of the table.
pub(super) struct Figure {
    /// Its name, with the unit.
    pub(super) name: &'static str,
    /// What santa-supervise promises; whether more is better.
    pub(super) promise: Option<(f64, bool)>,
}

const fn at_most(name: &'static str, most: f64) -> Figure {
    Figure { name, promise: Some((most, false)) }
}

const fn reported(name: &'static str) -> Figure {
    Figure { name, promise: None }
}

/// All figures, in the order of the table and of [`Values`].
pub(super) const FIGURES: [Figure; 13] = [
    at_most("5 children spawned, s", 0.1),
    reported("RSS, MB"),
    at_most("PSS, MB", 3.0),
    at_most("context switches a second, idle", 0.2),
    reported("CPU, ms a minute, idle"),
    at_most("kill -9 to started again, ms above the child's own start", 15.0),
    reported("status command, ms"),
    at_most("stop of 5 willing children, s", 0.1),
    Figure { name: "200 MB of a child's output, MB/s", promise: Some((250.0, true)) },
    at_most("peak RSS meanwhile, MB", 12.0),
    reported("output lost, %"),
    reported("CPU for it, s"),
    reported("stop with 1 child, s"),
];

/// One value for each figure; none where a supervisor does not do that.
pub(super) type Values = [Option<f64>; FIGURES.len()];

const MB: f64 = 1_000_000.0;

/// Measures everything once.
pub(super) fn measure(peer: &Peer, folders: &[PathBuf]) -> Result<Values> {
    let quiet = with_quiet_children(peer, folders)?;
    let loud = with_a_chatty_child(peer, folders)?;
    let mut values = [None; FIGURES.len()];
    for (value, measured) in values.iter_mut().zip(quiet.into_iter().chain(loud)) {
        *value = measured;
    }
    Ok(values)
}

fn with_quiet_children(peer: &Peer, folders: &[PathBuf]) -> Result<[Option<f64>; 8]> {
    let (mut site, command) = Site::new(peer, CHILDREN, folders)?;
    site.start(&command, Stdio::null())?;
    let spawned = site.all_spawned()?;
    std::thread::sleep(SETTLE);
    let own = site.own_processes()?;
    let memory = process::memory(&own);
    let (before, begun) = (process::activity(&own), Instant::now());
    std::thread::sleep(IDLE);
    let (after, watched) = (process::activity(&own), begun.elapsed().as_secs_f64());
    let switches = after.context_switches.saturating_sub(before.context_switches) as f64;
    let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    let mut kills = Vec::new();
    for _ in 0..KILLS {
        let restarted = site.kill_first()?.as_secs_f64();
        kills.push((restarted - own_start(&site.dir)?.as_secs_f64()) * 1_000.0);
        // Children that die young are treated worse, and not by accident.
        std::thread::sleep(SETTLE);
    }
    let mut calls = Vec::new();
    for _ in 0..STATUS_CALLS {
        calls.extend(site.ask_status()?.map(|taken| taken.as_secs_f64() * 1_000.0));
    }
    let stopped = site.stop()?;
    Ok([
        Some(spawned.as_secs_f64()),
        Some(memory.rss as f64 / MB),
        Some(memory.pss as f64 / MB),
        Some(switches / watched),
        Some(cpu / watched * 60_000.0),
        median(&kills),
        median(&calls),
        stopped.map(|taken| taken.as_secs_f64()),
    ])
}

fn with_a_chatty_child(peer: &Peer, folders: &[PathBuf]) -> Result<[Option<f64>; 5]> {
    let (mut site, command) = Site::new(peer, 1, folders)?;
    write_lines(&site.dir.join("lines"))?;
    site.make_chatty()?;
    // A quick reader, so that the supervisor is what is measured.
    let mut reader =
        Command::new("wc").arg("-l").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let pipe = reader.stdin.take().context("no pipe to wc")?;
    site.start(&command, Stdio::from(pipe))?;
    site.all_spawned()?;
    std::thread::sleep(Duration::from_millis(500));
    let own = site.own_processes()?;
    let before = process::activity(&own).cpu;
    fs::write(site.dir.join("go"), "")?;
    let appears = |name: &'static str| {
        let path = site.dir.join(name);
        site.until(name, Instant::now(), || path.exists())
    };
    appears("began")?;
    let written = appears("done")?;
    // What is still on its way.
    std::thread::sleep(SETTLE);
    let peak = process::peak(&own);
    let cpu = process::activity(&own).cpu.saturating_sub(before);
    let stopped = site.stop()?;
    // The last holder of the pipe has to be gone.
    let all = LINES as u64 * TIMES;
    let read: u64 = String::from_utf8(reader.wait_with_output()?.stdout)?.trim().parse()?;
    let lost = 100.0 * all.saturating_sub(read) as f64 / all as f64;
    let bytes = all as f64 * 100.0;
    let carries = |value: f64| Some(value).filter(|_| peer.carries_output);
    Ok([
        Some(bytes / MB / written.as_secs_f64()),
        Some(peak as f64 / MB),
        carries(lost),
        carries(cpu.as_secs_f64()),
        stopped.map(|taken| taken.as_secs_f64()),
    ])
}

/// Lines as a web server writes them, 100 bytes each.
fn write_lines(path: &Path) -> Result<()> {
    let mut file = std::io::BufWriter::new(fs::File::create(path)?);
    for number in 0..LINES {
        let text = format!(
            "INFO:     127.0.0.1:{} - \"GET /api/v1/machines?cursor={number:08} HTTP/1.1\" 200 OK",
            50_000 + number % 9_999
        );
        writeln!(file, "{text:<99.99}")?;
    }
    Ok(file.flush()?)
}
