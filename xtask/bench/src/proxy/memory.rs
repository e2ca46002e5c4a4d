//! `proxy-memory`: what a server takes at rest, and what idle connections add.

use anyhow::{Context, Result};

use super::stage::Stage;
use super::{ANSWERS, MANY, WEBSOCKET};
use crate::load::Hold;
use crate::peers::{FOR_BACKENDS, Server};
use crate::scenario::{Bench, Outcome};
use crate::table::{EACH, MEMORY, RESIDENT, Sample};

/// What is idle.
#[derive(Clone, Copy)]
struct Idle {
    name: &'static str,
    path: &'static str,
    secure: bool,
    websocket: bool,
}

const IDLE: [Idle; 3] = [
    Idle { name: "connections", path: ANSWERS[0].path, secure: false, websocket: false },
    Idle { name: "TLS connections", path: ANSWERS[0].path, secure: true, websocket: false },
    Idle { name: "WebSockets", path: WEBSOCKET, secure: false, websocket: true },
];

/// `proxy-memory`: a fresh process for each measurement, since memory once
/// taken is seldom given back.
pub(crate) fn memory(bench: &mut Bench) -> Result<Outcome> {
    let stage = Stage::set(bench)?;
    let mut servers = Vec::new();
    for server in FOR_BACKENDS {
        // Those that cannot be had drop out here.
        if !stage.start(bench, &[*server], true)?.is_empty() {
            servers.push(*server);
        }
    }
    let mut cases = Vec::new();
    for idle in IDLE {
        let name = format!("{MANY} idle {}", idle.name);
        if !bench.wants(&name) {
            continue;
        }
        let called = |server: &Server| server.name().to_owned();
        let case = bench.alternate(&name, &mut servers, called, |server| {
            at_rest(bench, &stage, *server, idle)
        })?;
        cases.push(case);
    }
    Ok(Outcome::Cases(cases))
}

/// Memory of a fresh process, and what many idle connections add to it.
fn at_rest(bench: &Bench, stage: &Stage, server: Server, idle: Idle) -> Result<Sample> {
    const MIB: f64 = 1024.0 * 1024.0;
    let running = stage.start(bench, &[server], true)?;
    let running = running.first().context("it was there a moment ago")?;
    let empty = running.subject.memory()?;
    let to = if idle.secure { &running.secure } else { &running.plain };
    let authority = idle.secure.then(|| stage.authority());
    let hold = Hold { to, path: idle.path, authority, websocket: idle.websocket };
    // What is set up once, with the first request, is not a connection's.
    let first = bench.load.hold(&hold, 1)?;
    let before = running.subject.memory()?;
    let held = bench.load.hold(&hold, MANY)?;
    let after = running.subject.memory()?;
    drop((first, held));
    let added = after.proportional.saturating_sub(before.proportional);
    Ok(vec![
        (EACH, added as f64 / 1024.0 / f64::from(MANY)),
        (RESIDENT, empty.resident as f64 / MIB),
        (MEMORY, empty.proportional as f64 / MIB),
    ])
}
