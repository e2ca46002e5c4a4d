//! `proxy-slow`: what clients get while others keep the server busy with requests
//! that never end. Every peer buffers requests, as is its default.

use anyhow::Result;

use super::stage::{Stage, compare};
use super::{ANSWERS, FOR_BACKENDS};
use crate::load::Slow;
use crate::scenario::{Bench, Outcome};
use crate::table::Case;

/// Requests a second of those who are served.
const PACE: f64 = 1000.0;
/// Connections of those who are slow, and the addresses they come from.
const ATTACK: (u32, u8) = (2000, 20);

/// `proxy-slow`
pub(crate) fn slow(bench: &mut Bench) -> Result<Outcome> {
    let stage = Stage::set(bench)?;
    let mut running = stage.start(bench, FOR_BACKENDS, true)?;
    let mut cases: Vec<Case> = Vec::new();
    let (connections, addresses) = ATTACK;
    for (part, parts) in [(None, ""), (Some("head"), "heads"), (Some("body"), "bodies")] {
        let beside = part.map_or_else(
            || "nobody else".to_owned(),
            |_| format!("{connections} slow {parts} from {addresses} addresses"),
        );
        let name = format!("200 B proxied, {PACE} requests/s beside {beside}");
        compare(bench, &mut cases, &name, &mut running, |running| {
            let mut load = stage.load(&running.plain, ANSWERS[0], bench.seconds);
            load.rate = Some(PACE);
            load.beside = part.map(|part| Slow { part, connections, addresses });
            load
        })?;
    }
    Ok(Outcome::Cases(cases))
}
