//! Every constellation that three services can get into, found breadth first:
//! from each, every event that could come next, with all laws checked on the
//! way; and from each, an end in time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use santa_config::Restart;
use santa_supervise::machine::{Event, KILL_TIMEOUT, Phase, Spec};

use super::plain;
use super::world::{Input, SHUTDOWN_TIMEOUT, World, instances};

/// How many events lead to the farthest constellation looked at.
const DEPTH: usize = 6;

/// What tells two constellations apart: of each slot its phase, whether it is
/// wanted, its starts and its living processes; and how far a shutdown has gone.
fn key(world: &World) -> Vec<u8> {
    let mut key = world.kinds_of_trees();
    for (_, slot) in world.state.slots() {
        key.push(slot.phase() as u8);
        key.push(u8::from(slot.wanted()) | u8::from(slot.removed()) << 1);
        key.push(u8::from(slot.successor().is_some()));
        key.push(slot.restarts().min(2) as u8);
        key.push(u8::from(slot.deadline().is_some_and(|deadline| deadline <= world.now)));
    }
    key.push(world.open_commands.len().min(1) as u8);
    key
}

/// Everything that could happen next.
fn inputs(world: &World, reloads: bool) -> Vec<Input> {
    let mut inputs = vec![Input::NextDeadline, Input::Terminate];
    for pick in 0..world.trees() {
        inputs.push(Input::Ready(pick));
        inputs.push(Input::Gone(pick));
        for (code, alone) in [(0, true), (1, true), (1, false)] {
            inputs.push(Input::Exit { pick, code, signal: false, alone });
        }
    }
    // One command at a time: start, stop, restart, rolling restart.
    if world.open_commands.is_empty() {
        for verb in [0, 1, 2, 4] {
            inputs.extend((0..3).map(|target| Input::Command(verb, target)));
        }
    }
    // A reload to 1, 2 or 3 instances of the first service, or without it.
    if reloads {
        let renewed = false;
        inputs.extend([0, 3, 4, 5].map(|what| Input::Reconfigure { what, target: 0, renewed }));
        inputs.push(Input::Reconfigure { what: 1, target: 0, renewed });
    }
    inputs
}

/// Looks at everything; gives the phases that each slot was seen in.
fn explore(
    specs: Vec<Spec>,
    reloads: bool,
    farthest: usize,
) -> (usize, BTreeMap<u32, BTreeSet<Phase>>) {
    let mut first = World::new(specs, 1, vec![]);
    first.feed(Event::Start);
    let mut seen = BTreeSet::from([key(&first)]);
    let mut phases: BTreeMap<u32, BTreeSet<Phase>> = BTreeMap::new();
    let mut open = VecDeque::from([(first, 0)]);
    while let Some((world, depth)) = open.pop_front() {
        for (id, slot) in world.state.slots() {
            phases.entry(id.0).or_default().insert(slot.phase());
        }
        if world.exit.is_some() {
            continue;
        }
        let took = world.clone().end(depth % 2 == 0);
        assert!(took <= SHUTDOWN_TIMEOUT + KILL_TIMEOUT, "the stop took {took:?}");
        for input in inputs(&world, reloads).into_iter().filter(|_| depth < farthest) {
            let mut next = world.clone();
            next.take(&input);
            if seen.insert(key(&next)) {
                open.push_back((next, depth + 1));
            }
        }
    }
    (seen.len(), phases)
}

#[test]
fn no_constellation_of_three_services_breaks_a_law() {
    let task =
        Spec { task: true, restart: Restart::OnFailure, start_retries: 1, ..plain("s0", &[]) };
    let daemon = Spec { start_retries: 1, ..plain("s1", &["s0"]) };
    let user = Spec { critical: true, ..plain("s2", &["s1"]) };
    let behind = Spec { stop_after: vec!["s2".to_owned()], ..plain("s0", &[]) };
    let once = Spec { restart: Restart::Never, ..plain("s1", &[]) };
    let (chain, phases) = explore(vec![task, daemon, user], false, DEPTH);
    assert!(chain > 500, "only {chain} constellations");
    let everything: BTreeSet<Phase> = phases.into_values().flatten().collect();
    assert_eq!(everything, BTreeSet::from(Phase::ALL), "every phase was reached");
    let (side_by_side, _) = explore(vec![behind, once, plain("s2", &[])], false, DEPTH);
    assert!(side_by_side > 500, "only {side_by_side} constellations");
    println!("{chain} and {side_by_side} constellations");
}

#[test]
fn no_reload_of_a_service_with_instances_breaks_a_law() {
    let several = Spec { start_retries: 1, ..plain("s0", &[]) };
    for (count, farthest) in [(1, DEPTH), (2, DEPTH), (3, DEPTH - 1)] {
        let (seen, _) = explore(instances(&several, count).collect(), true, farthest);
        assert!(seen > 500, "only {seen} constellations");
        println!("{count} instances: {seen} constellations");
    }
}
