//! Laws of rolling restarts: two generations of a service beside each other.

use santa_supervise::machine::{Event, Generation, Phase, SlotId};

use super::world::{Input, World, instances};
use super::{phase_of, plain};

/// One ready service and the answer to `rolling-restart` under way.
fn rolling() -> World {
    let mut world = World::new(vec![plain("s0", &[])], 1, vec![]);
    world.feed(Event::Start);
    world.take(&Input::Ready(0));
    world.take(&Input::Command(4, 0));
    assert_eq!(world.spawns, 2);
    world
}

/// Three ready instances; `rolling-restart` has come to the first.
fn rolling_three() -> World {
    let mut world = World::new(instances(&plain("s0", &[]), 3).collect(), 1, vec![]);
    world.feed(Event::Start);
    (0..3).for_each(|pick| world.take(&Input::Ready(pick)));
    world.take(&Input::Command(4, 0));
    assert_eq!(world.spawns, 4);
    world
}

#[test]
fn a_rolling_restart_passes_over_instances_that_are_no_longer_configured() {
    let mut world = rolling_three();
    world.take(&Input::Reconfigure { what: 3, target: 0, renewed: false });
    // One is forgotten, one still stops, when the first serves again.
    world.take(&Input::Exit { pick: 2, code: 0, signal: true, alone: true });
    world.take(&Input::Ready(2));
    assert!(world.open_commands.is_empty(), "answered");
    assert!(world.last_reply.as_ref().is_some_and(Result::is_ok), "{:?}", world.last_reply);
    assert_eq!(world.spawns, 4, "none of them is started again");
}

#[test]
fn a_rolling_restart_does_not_start_what_was_stopped_in_the_meantime() {
    let mut world = rolling_three();
    // `stop s0:2`
    world.take(&Input::Command(1, 24));
    world.take(&Input::Exit { pick: 2, code: 0, signal: true, alone: true });
    world.take(&Input::Ready(2));
    world.take(&Input::Ready(3));
    assert!(world.open_commands.is_empty(), "answered");
    assert_eq!(phase_of(&world, SlotId(2)), Phase::Stopped);
    assert_eq!(world.spawns, 5, "one more, not two");
}

#[test]
fn a_wait_for_what_is_no_longer_configured_is_answered() {
    let mut world = rolling_three();
    world.take(&Input::Command(1, 24));
    world.take(&Input::Command(5, 24));
    world.take(&Input::Reconfigure { what: 4, target: 0, renewed: false });
    world.take(&Input::Exit { pick: 2, code: 0, signal: true, alone: true });
    assert!(world.state.slot(SlotId(2)).is_none(), "forgotten, although someone waited");
    assert_eq!(world.open_commands.len(), 1, "only the rolling restart goes on");
}

fn generations(world: &World) -> (Option<u64>, Option<u64>, Vec<u64>) {
    let slot = world.state.slot(SlotId(0)).expect("known");
    let number = |generation: Generation| generation.0;
    (
        slot.generation().map(number),
        slot.successor().map(number),
        slot.retiring().map(number).collect(),
    )
}

#[test]
fn a_rolling_restart_stops_the_old_one_when_the_new_one_is_ready() {
    let mut world = rolling();
    assert_eq!(generations(&world), (Some(1), Some(2), vec![]));
    world.take(&Input::Ready(1));
    assert_eq!(generations(&world), (Some(2), None, vec![1]));
    assert_eq!(phase_of(&world, SlotId(0)), Phase::Ready);
    assert!(world.open_commands.is_empty(), "answered while the old one finishes");
    world.take(&Input::Exit { pick: 0, code: 0, signal: true, alone: true });
    assert_eq!(generations(&world), (Some(2), None, vec![]));
}

#[test]
fn a_new_one_that_is_never_ready_leaves_the_old_one_serving() {
    let mut world = rolling();
    // Its start_timeout; then what is left of it dies.
    world.take(&Input::Wait(4_000));
    assert_eq!(generations(&world), (Some(1), None, vec![2]));
    assert_eq!(phase_of(&world, SlotId(0)), Phase::Ready);
    assert!(world.last_reply.as_ref().is_some_and(|reply| {
        reply.as_ref().is_err_and(|text| text.contains("the old process keeps serving"))
    }));
}

#[test]
fn when_the_old_one_dies_first_the_new_one_is_not_started_again() {
    let mut world = rolling();
    world.take(&Input::Exit { pick: 0, code: 1, signal: false, alone: true });
    assert_eq!(generations(&world), (Some(2), None, vec![]));
    assert_eq!(phase_of(&world, SlotId(0)), Phase::Starting);
    world.take(&Input::Ready(0));
    assert_eq!(phase_of(&world, SlotId(0)), Phase::Ready);
    assert_eq!(world.spawns, 2);
    assert!(world.open_commands.is_empty());
}

#[test]
fn a_stop_in_the_middle_of_a_rolling_restart_waits_for_both() {
    let mut world = rolling();
    world.take(&Input::Command(1, 0));
    assert_eq!(generations(&world), (Some(1), None, vec![2]));
    world.take(&Input::Exit { pick: 0, code: 0, signal: true, alone: true });
    assert_eq!(phase_of(&world, SlotId(0)), Phase::Stopped);
    assert_eq!(world.open_commands.len(), 1, "the new one still stops");
    world.take(&Input::Exit { pick: 0, code: 0, signal: true, alone: true });
    assert!(world.open_commands.is_empty());
}

#[test]
fn a_replaced_one_that_is_killed_is_waited_for_as_long_as_it_becomes_smaller() {
    let mut world = rolling();
    world.take(&Input::Ready(1));
    world.take(&Input::NextDeadline);
    for (left, given_up) in [(3, false), (2, false), (2, true)] {
        world.take(&Input::Left(0, 4));
        world.take(&Input::Left(0, left));
        world.take(&Input::NextDeadline);
        assert_eq!(generations(&world).2.is_empty(), given_up, "{left}");
    }
}
