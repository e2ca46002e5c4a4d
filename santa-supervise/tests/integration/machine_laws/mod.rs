//! Laws of the core that hold for every sequence of events, however unlikely.

mod exhaustive;
mod rolling;
mod world;

use std::time::Duration;

use proptest::prelude::*;
use santa_config::{Backoff, Condition, Dependency, Restart};
use santa_supervise::machine::{
    Action, Event, Generation, KILL_TIMEOUT, Phase, Readiness, Retry, SHORTAGE_WAIT, SlotId,
    SpawnFailure, Spec, State, step,
};

use world::{INITIAL_WAIT, Input, SHUTDOWN_TIMEOUT, World, instances};

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        3 => (0u16..3_000).prop_map(Input::Wait),
        5 => Just(Input::NextDeadline),
        5 => any::<u8>().prop_map(Input::Ready),
        5 => (any::<u8>(), 0u8..3, any::<bool>(), any::<bool>())
            .prop_map(|(pick, code, signal, alone)| Input::Exit { pick, code, signal, alone }),
        3 => any::<u8>().prop_map(Input::Gone),
        2 => (any::<u8>(), 0u8..4).prop_map(|(pick, left)| Input::Left(pick, left)),
        1 => Just(Input::Terminate),
        4 => (any::<u8>(), any::<u8>()).prop_map(|(verb, target)| Input::Command(verb, target)),
        3 => any::<u8>().prop_map(Input::Unhealthy),
        3 => (0u8..6, 0u8..4, any::<bool>())
            .prop_map(|(what, target, renewed)| Input::Reconfigure { what, target, renewed }),
    ]
}

fn spec(index: usize) -> impl Strategy<Value = Spec> {
    let restart =
        prop_oneof![Just(Restart::Always), Just(Restart::OnFailure), Just(Restart::Never)];
    let readiness = prop_oneof![
        Just(Readiness::Probed),
        Just(Readiness::After(Duration::ZERO)),
        Just(Readiness::After(Duration::from_millis(700))),
    ];
    let condition =
        prop_oneof![Just(Condition::Ready), Just(Condition::Started), Just(Condition::Completed)];
    let needs = prop::collection::vec(prop::option::of(condition), index);
    // Always later ones: a dependent stops first, so this goes round in no circle.
    let after = prop::collection::vec(prop::bool::weighted(0.3), 3 - index);
    let names = (needs, after);
    let numbers = (0u32..3, 1usize..4);
    (any::<bool>(), any::<bool>(), any::<bool>(), restart, readiness, names, numbers).prop_map(
        move |(
            task,
            critical,
            reloads,
            restart,
            readiness,
            (needs, after),
            (start_retries, stops),
        )| Spec {
            service: format!("s{index}"),
            instance: 0,
            instances: 1,
            task,
            depends_on: (0..index)
                .filter_map(|i| needs[i].map(|condition| need(&format!("s{i}"), condition)))
                .collect(),
            stop_after: (index + 1..4)
                .filter(|i| after[i - index - 1])
                .map(|i| format!("s{i}"))
                .collect(),
            readiness,
            start_timeout: Duration::from_secs(4),
            stop: (0..stops).map(|_| Duration::from_secs(2)).collect(),
            restart,
            backoff: Backoff {
                initial: INITIAL_WAIT,
                factor: 2.0,
                max: Duration::from_secs(30),
                jitter: 0.2,
                reset_after: Duration::from_secs(60),
            },
            start_retries,
            critical,
            success_codes: vec![0],
            reloads,
            rolls: true,
        },
    )
}

/// Four services, each with 1 to 3 instances.
fn specs() -> impl Strategy<Value = Vec<Spec>> {
    let services = (spec(0), spec(1), spec(2), spec(3));
    (services, prop::array::uniform4(1u32..4)).prop_map(|((a, b, c, d), counts)| {
        [a, b, c, d].iter().zip(counts).flat_map(|(spec, count)| instances(spec, count)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_events_keeps_the_laws_and_ends_in_time(
        specs in specs(),
        seed: u64,
        spawns_work in prop::collection::vec(prop::bool::weighted(0.8), 0..12),
        inputs in prop::collection::vec(input(), 0..60),
        killable: bool,
    ) {
        let mut world = World::new(specs, seed, spawns_work);
        world.feed(Event::Start);
        for input in &inputs {
            if world.exit.is_none() {
                world.take(input);
            }
        }
        let took = if world.exit.is_none() { world.end(killable) } else { Duration::ZERO };
        prop_assert!(took <= SHUTDOWN_TIMEOUT + KILL_TIMEOUT, "the stop took {took:?}");
        prop_assert!(world.open_commands.is_empty(), "unanswered: {:?}", world.open_commands);
        match world.expected_code {
            Some(0) => prop_assert_eq!(world.exit, Some(0)),
            _ => prop_assert!(world.exit != Some(0), "a critical failure ended with 0"),
        }
    }
}

/// Where a slot is.
fn phase_of(world: &World, wanted: SlotId) -> Phase {
    world.state.slot(wanted).expect("known").phase()
}

fn need(service: &str, condition: Condition) -> Dependency {
    Dependency { service: service.to_owned(), condition }
}

fn plain(service: &str, depends_on: &[&str]) -> Spec {
    Spec {
        service: service.into(),
        instance: 0,
        instances: 1,
        task: false,
        depends_on: depends_on.iter().map(|name| need(name, Condition::Ready)).collect(),
        stop_after: Vec::new(),
        readiness: Readiness::Probed,
        start_timeout: Duration::from_secs(4),
        stop: vec![Duration::from_secs(2)],
        restart: Restart::Always,
        backoff: Backoff {
            initial: INITIAL_WAIT,
            factor: 2.0,
            max: Duration::from_secs(30),
            jitter: 0.0,
            reset_after: Duration::from_secs(60),
        },
        start_retries: 2,
        critical: false,
        success_codes: vec![0],
        reloads: false,
        rolls: true,
    }
}

#[test]
fn a_dependent_waits_until_its_dependency_is_ready() {
    let mut world = World::new(vec![plain("s0", &[]), plain("s1", &["s0"])], 1, vec![]);
    world.feed(Event::Start);
    assert_eq!(phase_of(&world, SlotId(1)), Phase::Waiting);
    world.take(&Input::Ready(0));
    assert_eq!(phase_of(&world, SlotId(0)), Phase::Ready);
    assert_eq!(phase_of(&world, SlotId(1)), Phase::Starting);
}

#[test]
fn a_service_that_had_been_up_comes_back_without_a_wait() {
    let mut world = World::new(vec![plain("s0", &[])], 1, vec![]);
    world.feed(Event::Start);
    world.take(&Input::Ready(0));
    world.take(&Input::Wait(500));
    world.take(&Input::Exit { pick: 0, code: 0, signal: true, alone: true });
    assert_eq!(world.state.next_deadline(), Some(world.now), "the next start is due at once");
    world.feed(Event::Tick);
    assert_eq!(phase_of(&world, SlotId(0)), Phase::Starting);
}

#[test]
fn a_service_that_never_gets_ready_fails_after_its_retries() {
    let mut world = World::new(vec![plain("s0", &[])], 1, vec![]);
    world.feed(Event::Start);
    for _ in 0..3 {
        assert_eq!(phase_of(&world, SlotId(0)), Phase::Starting);
        world.take(&Input::Exit { pick: 0, code: 2, signal: false, alone: true });
        world.take(&Input::NextDeadline);
    }
    assert_eq!(phase_of(&world, SlotId(0)), Phase::Failed);
    assert_eq!(world.spawns, 3, "one start and two retries");
}

#[test]
fn a_critical_failure_ends_everything_with_its_exit_code() {
    let critical = Spec { critical: true, restart: Restart::Never, ..plain("s0", &[]) };
    let mut world = World::new(vec![critical, plain("s1", &[])], 1, vec![]);
    world.feed(Event::Start);
    world.take(&Input::Exit { pick: 0, code: 2, signal: false, alone: true });
    assert_eq!(phase_of(&world, SlotId(1)), Phase::Stopping);
    world.take(&Input::Exit { pick: 0, code: 0, signal: false, alone: true });
    assert_eq!(world.exit, Some(2));
}

#[test]
fn dependents_of_a_failed_task_are_skipped() {
    let task = Spec { task: true, restart: Restart::Never, ..plain("s0", &[]) };
    let mut world = World::new(vec![task, plain("s1", &["s0"]), plain("s2", &["s1"])], 1, vec![]);
    world.feed(Event::Start);
    world.take(&Input::Exit { pick: 0, code: 1, signal: false, alone: true });
    assert_eq!(phase_of(&world, SlotId(1)), Phase::Skipped);
    assert_eq!(phase_of(&world, SlotId(2)), Phase::Skipped);
}

#[test]
fn leftovers_are_asked_then_killed_before_the_next_start() {
    let mut world = World::new(vec![plain("s0", &[])], 1, vec![]);
    world.feed(Event::Start);
    world.take(&Input::Ready(0));
    world.take(&Input::Exit { pick: 0, code: 1, signal: false, alone: false });
    assert_eq!(phase_of(&world, SlotId(0)), Phase::Stopping);
    world.take(&Input::NextDeadline);
    assert_eq!(phase_of(&world, SlotId(0)), Phase::Stopping, "killed, not yet gone");
    world.take(&Input::Gone(0));
    assert_eq!(phase_of(&world, SlotId(0)), Phase::Backoff);
}

/// One service whose tree has just been sent SIGKILL.
fn killed() -> World {
    let mut world = World::new(vec![plain("s0", &[])], 1, vec![]);
    world.feed(Event::Start);
    world.take(&Input::Ready(0));
    world.take(&Input::Command(1, 0));
    world.take(&Input::NextDeadline);
    world
}

#[test]
fn a_killed_tree_is_waited_for_as_long_as_it_becomes_smaller() {
    let mut world = killed();
    // The main process dies first and leaves its children behind.
    world.take(&Input::Left(0, 1));
    world.take(&Input::Exit { pick: 0, code: 9, signal: true, alone: false });
    world.take(&Input::Left(0, 200));
    for left in [150, 90, 89, 1] {
        world.take(&Input::Left(0, left));
        let before = world.now;
        world.take(&Input::NextDeadline);
        assert_eq!(world.now - before, KILL_TIMEOUT);
        assert_eq!(phase_of(&world, SlotId(0)), Phase::Stopping, "{left} are left");
    }
    world.take(&Input::Gone(0));
    assert_eq!(phase_of(&world, SlotId(0)), Phase::Stopped);
}

#[test]
fn a_killed_tree_that_becomes_no_smaller_is_given_up() {
    for seen in [&[][..], &[1], &[1, 4, 4], &[4, 3, 2, 3]] {
        let mut world = killed();
        let first = world.now;
        for left in seen {
            world.take(&Input::Left(0, *left));
        }
        world.take(&Input::NextDeadline);
        // Fewer than there were at most: it gets more time once, not forever.
        let fewer = seen.iter().max() > seen.last();
        assert_eq!(phase_of(&world, SlotId(0)) == Phase::Stopping, fewer, "{seen:?}");
        if fewer {
            world.take(&Input::Left(0, 4));
            world.take(&Input::NextDeadline);
        }
        assert_eq!(phase_of(&world, SlotId(0)), Phase::Failed, "{seen:?}");
        assert_eq!(world.now - first, KILL_TIMEOUT * (1 + u32::from(fewer)));
    }
}

#[test]
fn requests_to_stop_that_come_together_are_one() {
    let mut world = World::new(vec![plain("s0", &[]), plain("s1", &["s0"])], 1, vec![]);
    world.feed(Event::Start);
    (0..2).for_each(|pick| world.take(&Input::Ready(pick)));
    (0..3).for_each(|_| world.take(&Input::Terminate));
    world.take(&Input::Wait(999));
    world.take(&Input::Terminate);
    assert_eq!(phase_of(&world, SlotId(0)), Phase::Ready, "still in order");
    world.take(&Input::Wait(1));
    world.take(&Input::Terminate);
    assert_eq!(phase_of(&world, SlotId(0)), Phase::Stopping, "all at once");
}

#[test]
fn the_first_request_does_not_hurry_a_stop_that_began_by_itself() {
    let critical = Spec { critical: true, restart: Restart::Never, ..plain("s0", &[]) };
    let mut world = World::new(vec![critical, plain("s1", &[]), plain("s2", &["s1"])], 1, vec![]);
    world.feed(Event::Start);
    world.take(&Input::Ready(1));
    world.take(&Input::Exit { pick: 0, code: 2, signal: false, alone: true });
    world.take(&Input::Wait(1_500));
    world.take(&Input::Terminate);
    assert_eq!(phase_of(&world, SlotId(1)), Phase::Ready, "still in order");
    assert_eq!(phase_of(&world, SlotId(2)), Phase::Stopping);
}

#[test]
fn a_passing_shortage_uses_up_no_retries() {
    let mut state = State::new(vec![plain("s0", &[])], world::SHUTDOWN_TIMEOUT, 1);
    let mut now = Duration::ZERO;
    let mut actions = step(&mut state, now, Event::Start);
    for attempt in 1..60 {
        assert_eq!(actions.pop(), Some(Action::Spawn(SlotId(0), Generation(attempt))));
        let message = "no descriptors".to_owned();
        let failure = SpawnFailure { message, retry: Retry::Always, code: 126 };
        let _ = step(&mut state, now, Event::SpawnFailed(SlotId(0), Generation(attempt), failure));
        let due = state.next_deadline().expect("it is tried again");
        assert!(due > now && due <= now + SHORTAGE_WAIT, "{now:?} to {due:?}");
        now = due;
        actions = step(&mut state, now, Event::Tick);
    }
}
