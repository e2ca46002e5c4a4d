//! santa-proxy beside nginx, HAProxy and Caddy: files, answers of a canned
//! backend, connections, WebSockets, memory. Every server has one core to
//! itself; load and backend share the other.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::contestant::Contestant;
use super::load::{self, Held, Load};
use super::peers::{FOR_BACKENDS, FOR_FILES, Job, Running, Server};
use super::scenario::{Bench, Outcome};
use super::table::{CPU, Case, EACH, MEMORY, P50, P99, RATE, RESIDENT, Sample};
use crate::{run, stamp};

/// Requests a second of the paced load: far from what one core can do.
const PACE: f64 = 8000.0;
/// Idle and active WebSockets, and idle connections.
const MANY: u32 = 500;
/// Messages a second that the active WebSockets exchange together.
const MESSAGES: f64 = 5000.0;
const FILES: [Content; 3] = [
    Content { name: "1 KiB", path: "/1k.txt", file: "www/1k.txt" },
    // Its compressed forms are all the same to those who count.
    Content { name: "30 KiB precompressed", path: "/30k.js", file: "www/30k.js.br" },
    Content { name: "1 MiB", path: "/1m.bin", file: "www/1m.bin" },
];
const ANSWERS: [Content; 2] = [
    Content { name: "200 B proxied", path: "/api/v1/bytes/200", file: "200" },
    Content { name: "16 KiB proxied", path: "/api/v1/bytes/16384", file: "16384" },
];
const WEBSOCKET: &str = "/api/v1/live";

/// What is asked for, and what must come.
#[derive(Clone, Copy)]
struct Content {
    name: &'static str,
    path: &'static str,
    /// In the folder of the benchmarks.
    file: &'static str,
}

/// What all servers of one scenario share.
struct Stage {
    folder: PathBuf,
    _backend: Held,
}

impl Stage {
    /// Files, certificates and the backend.
    fn set(bench: &Bench) -> Result<Self> {
        let folder = bench.folder.clone();
        let www = folder.join("www");
        stamp::remove(&www)?;
        fs::create_dir_all(&www).context("cannot create the folder of files")?;
        let text =
            |length: usize| -> Vec<u8> { (0..length).map(|at| b'a' + (at % 23) as u8).collect() };
        let write = |name: &str, bytes: Vec<u8>| {
            fs::write(www.join(name), bytes).with_context(|| format!("cannot write {name}"))
        };
        write("index.html", b"<!doctype html><title>bench</title>\n".to_vec())?;
        write("1k.txt", text(1024))?;
        write("1m.bin", noise(1024 * 1024))?;
        // What browsers get is the compressed form; each server picks the one it prefers.
        write("30k.js", text(100 * 1024))?;
        for ending in ["gz", "br", "zst"] {
            write(&format!("30k.js.{ending}"), noise(30 * 1024))?;
        }
        for (name, length) in [("200", 200), ("16384", 16384)] {
            fs::write(folder.join(name), "x".repeat(length)).context("cannot write an answer")?;
        }
        let tls = folder.join("tls");
        fs::create_dir_all(&tls).context("cannot create the folder of certificates")?;
        bench.load.certificate(&tls)?;
        let socket = folder.join("backend.sock");
        // One is left over from the scenario before.
        let _ = fs::remove_file(&socket);
        let backend = bench.load.backend(&socket)?;
        Ok(Self { folder, _backend: backend })
    }

    fn start(&self, bench: &mut Bench, servers: &[Server], log: bool) -> Result<Vec<Running>> {
        let [www, backend, tls] = ["www", "backend.sock", "tls"].map(|name| self.folder.join(name));
        let job = Job { www: &www, backend: &backend, tls: &tls, log };
        let mut running = Vec::new();
        for server in servers {
            running.extend(server.start(bench, &job)?);
        }
        Ok(running)
    }

    /// Requests for `content`.
    fn load(&self, to: &str, content: Content, seconds: f64) -> Load {
        Load::http(to, content.path, self.folder.join(content.file), seconds)
    }

    fn authority(&self) -> PathBuf {
        self.folder.join("tls/ca.pem")
    }
}

/// Bytes that do not compress, the same every time (SplitMix64).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bytes.extend_from_slice(&(mixed ^ mixed >> 27).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Puts a load on a server and counts what it spent meanwhile.
fn measure(bench: &Bench, contestant: &Contestant, load: &Load) -> Result<Sample> {
    let before = contestant.cpu()?;
    let outcome = bench.load.run(load)?;
    let spent = contestant.cpu()?.saturating_sub(before);
    Ok(sample(&outcome, spent.as_secs_f64()))
}

fn sample(outcome: &load::Outcome, cpu_seconds: f64) -> Sample {
    vec![
        (CPU, cpu_seconds * 1e6 / outcome.answers),
        (P50, outcome.p50),
        (P99, outcome.p99),
        (RATE, outcome.rate),
    ]
}

/// Measures all servers under a load in turn, when this case was asked for.
fn compare(
    bench: &Bench,
    cases: &mut Vec<Case>,
    name: &str,
    running: &mut [Running],
    load: impl Fn(&Running) -> Load,
) -> Result<()> {
    if !bench.wants(name) {
        return Ok(());
    }
    let called = |running: &Running| running.contestant.name.clone();
    let case = bench.alternate(name, running, called, |running| {
        measure(bench, &running.contestant, &load(running))
    })?;
    cases.push(case);
    Ok(())
}

/// The same loads with and without an access log.
fn logged_and_not(bench: &mut Bench, servers: &[Server], contents: &[Content]) -> Result<Outcome> {
    let stage = Stage::set(bench)?;
    let mut cases = Vec::new();
    for (log, suffix) in [(true, "access log"), (false, "no log")] {
        let mut running = stage.start(bench, servers, log)?;
        for content in contents {
            let name = format!("{}, {suffix}", content.name);
            compare(bench, &mut cases, &name, &mut running, |running| {
                stage.load(&running.plain, *content, bench.seconds)
            })?;
        }
    }
    Ok(Outcome::Cases(cases))
}

/// Installs the peers.
pub(crate) fn prepare(bench: &mut Bench) -> Result<()> {
    for server in FOR_BACKENDS {
        server.bring(bench);
    }
    Ok(())
}

/// `proxy-static`
pub(crate) fn files(bench: &mut Bench) -> Result<Outcome> {
    logged_and_not(bench, FOR_FILES, &FILES)
}

/// `proxy-api`
pub(crate) fn forwarding(bench: &mut Bench) -> Result<Outcome> {
    logged_and_not(bench, FOR_BACKENDS, &ANSWERS)
}

/// `proxy-paced`
pub(crate) fn paced(bench: &mut Bench) -> Result<Outcome> {
    let stage = Stage::set(bench)?;
    let mut running = stage.start(bench, &[Server::Nginx, Server::Santa, Server::HaProxy], true)?;
    let mut cases = Vec::new();
    let name = format!("200 B proxied, {PACE} requests/s, access log");
    compare(bench, &mut cases, &name, &mut running, |running| {
        let mut load = stage.load(&running.plain, ANSWERS[0], bench.seconds);
        load.rate = Some(PACE);
        load
    })?;
    drop(running);
    let mut running = stage.start(bench, &[Server::Nginx, Server::Santa], true)?;
    let name = format!("1 KiB, {PACE} requests/s, access log");
    compare(bench, &mut cases, &name, &mut running, |running| {
        let mut load = stage.load(&running.plain, FILES[0], bench.seconds);
        load.rate = Some(PACE);
        load
    })?;
    Ok(Outcome::Cases(cases))
}

/// `proxy-connect`
pub(crate) fn connecting(bench: &mut Bench) -> Result<Outcome> {
    let stage = Stage::set(bench)?;
    let mut running = stage.start(bench, FOR_BACKENDS, true)?;
    let mut cases = Vec::new();
    for (name, secure) in [("200 B proxied, a connection each", false), ("the same, TLS", true)] {
        compare(bench, &mut cases, name, &mut running, |running| {
            let to = if secure { &running.secure } else { &running.plain };
            let mut load = stage.load(to, ANSWERS[0], bench.seconds);
            load.close = true;
            load.authority = secure.then(|| stage.authority());
            load
        })?;
    }
    Ok(Outcome::Cases(cases))
}

/// `proxy-tls`
pub(crate) fn tls(bench: &mut Bench) -> Result<Outcome> {
    let stage = Stage::set(bench)?;
    let mut cases = Vec::new();
    for (servers, contents) in [(FOR_FILES, &FILES[..]), (FOR_BACKENDS, &ANSWERS[..])] {
        let mut running = stage.start(bench, servers, true)?;
        for content in contents {
            let name = format!("{}, TLS", content.name);
            compare(bench, &mut cases, &name, &mut running, |running| {
                let mut load = stage.load(&running.secure, *content, bench.seconds);
                load.authority = Some(stage.authority());
                load
            })?;
        }
    }
    Ok(Outcome::Cases(cases))
}

/// `proxy-ws`
pub(crate) fn websockets(bench: &mut Bench) -> Result<Outcome> {
    let stage = Stage::set(bench)?;
    let mut running = stage.start(bench, FOR_BACKENDS, true)?;
    let mut cases = Vec::new();
    for (name, rate) in [
        (format!("{MANY} WebSockets, echo after echo"), None),
        (format!("{MANY} WebSockets, {MESSAGES} echoes/s"), Some(MESSAGES)),
    ] {
        compare(bench, &mut cases, &name, &mut running, |running| {
            let mut load = Load::websockets(&running.plain, WEBSOCKET, MANY, bench.seconds);
            load.rate = rate;
            load
        })?;
    }
    Ok(Outcome::Cases(cases))
}

/// `proxy-memory`: a fresh process for each measurement, since memory once
/// taken is seldom given back.
pub(crate) fn memory(bench: &mut Bench) -> Result<Outcome> {
    let stage = Stage::set(bench)?;
    let mut cases = Vec::new();
    for (name, path, websocket) in [
        (format!("{MANY} idle connections"), ANSWERS[0].path, false),
        (format!("{MANY} idle WebSockets"), WEBSOCKET, true),
    ] {
        if !bench.wants(&name) {
            continue;
        }
        let mut servers = Vec::new();
        for server in FOR_BACKENDS {
            // Those that cannot be had drop out here.
            if !stage.start(bench, &[*server], true)?.is_empty() {
                servers.push(*server);
            }
        }
        let mut case = Case::new(&name, servers.iter().map(|server| server.name().to_owned()));
        for (index, server) in servers.iter().enumerate() {
            run::check()?;
            match at_rest(bench, &stage, *server, path, websocket) {
                Ok(sample) => case.add(index, sample),
                Err(error) => case.fail(index, format!("{error:#}")),
            }
        }
        cases.push(case);
    }
    Ok(Outcome::Cases(cases))
}

/// Memory of a fresh process, and what many idle connections add to it.
fn at_rest(
    bench: &mut Bench,
    stage: &Stage,
    server: Server,
    path: &str,
    websocket: bool,
) -> Result<Sample> {
    const MIB: f64 = 1024.0 * 1024.0;
    let running = stage.start(bench, &[server], true)?;
    let running = running.first().context("it was there a moment ago")?;
    let empty = running.contestant.memory()?;
    // What is set up once, with the first request, is not a connection's.
    let first = bench.load.hold(&running.plain, path, 1, websocket)?;
    let before = running.contestant.memory()?;
    let held = bench.load.hold(&running.plain, path, MANY, websocket)?;
    let after = running.contestant.memory()?;
    drop((first, held));
    let added = after.proportional.saturating_sub(before.proportional);
    Ok(vec![
        (EACH, added as f64 / 1024.0 / f64::from(MANY)),
        (RESIDENT, empty.resident as f64 / MIB),
        (MEMORY, empty.proportional as f64 / MIB),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_shared_among_the_answers() {
        let outcome = load::Outcome { answers: 1000.0, rate: 500.0, p50: 1.0, p99: 2.0 };
        assert_eq!(sample(&outcome, 0.01)[0], (CPU, 10.0));
    }

    #[test]
    fn noise_is_as_long_as_asked_for_and_always_the_same() {
        assert_eq!(noise(1001).len(), 1001);
        assert_eq!(noise(64), noise(64));
    }
}
