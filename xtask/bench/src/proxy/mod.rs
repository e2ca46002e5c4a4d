//! santa-proxy beside nginx, HAProxy and Caddy: files, responses of a canned and
//! of the real backend, connections, HTTP/2, WebSockets, memory. Every server has
//! one core to itself; load and backend share the other.

mod backend;
mod memory;
mod slow;
mod stage;

use anyhow::Result;

use super::load::Load;
use super::peers::{FOR_BACKENDS, FOR_FILES, Server};
use super::scenario::{Bench, Outcome};
pub(crate) use backend::{backend, prepare as prepare_backend};
pub(crate) use memory::memory;
pub(crate) use slow::slow;
use stage::{Content, Stage, compare};

/// Requests a second of the paced load: far from what one core can do.
const PACE: f64 = 8000.0;
/// Idle and active WebSockets, and idle connections.
const MANY: u32 = 500;
/// Messages a second that the active WebSockets exchange together.
const MESSAGES: f64 = 5000.0;
/// Connections, and streams at a time on each: as many in all as the other loads have connections.
const HTTP2: (u32, Option<u32>) = (4, Some(16));
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

/// The same loads with and without an access log.
fn logged_and_not(bench: &Bench, servers: &[Server], contents: &[Content]) -> Result<Outcome> {
    let stage = Stage::set(bench)?;
    let mut cases = Vec::new();
    for (log, suffix) in [(true, "access log"), (false, "no log")] {
        let mut running = stage.start(bench, servers, log)?;
        if log {
            running.extend(stage.start(bench, &[Server::NginxWritingAtOnce], log)?);
        }
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
        server.ensure_installed(bench);
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
    for (name, secure) in [("200 B proxied, a new connection each", false), ("the same, TLS", true)]
    {
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

/// `proxy-h2`
pub(crate) fn http2(bench: &mut Bench) -> Result<Outcome> {
    let stage = Stage::set(bench)?;
    let mut cases = Vec::new();
    for (servers, contents) in [(FOR_FILES, &FILES[..]), (FOR_BACKENDS, &ANSWERS[..])] {
        let mut running = stage.start(bench, servers, true)?;
        for content in contents {
            let name = format!("{}, HTTP/2", content.name);
            compare(bench, &mut cases, &name, &mut running, |running| {
                let mut load = stage.load(&running.secure, *content, bench.seconds);
                load.authority = Some(stage.authority());
                (load.connections, load.streams) = HTTP2;
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
