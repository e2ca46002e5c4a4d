//! One service from its start to its end: dependencies, spawn, readiness, exit,
//! and whether it is tried again.

use std::time::Duration;

use santa_config::Restart;

use super::state::{Cause, Run};
use super::{
    Action, Exit, Generation, Phase, Readiness, Retry, SETTLE_TIME, SHORTAGE_WAIT, Slot, SlotId,
    SpawnFailure, Turn,
};
use crate::backoff;

/// What the services that a slot depends on allow.
pub(super) enum Dependencies {
    /// It may start.
    Met,
    /// This one is not ready yet.
    Pending(String),
    /// This one has failed; its exit code stands for the failure.
    Broken(String, i32),
}

impl Turn<'_> {
    pub(super) fn dependencies(&self, id: SlotId) -> Dependencies {
        let mut pending = None;
        let needs = self.state.slots.get(&id).map(|slot| &slot.spec.depends_on);
        for dependency in needs.into_iter().flatten() {
            let meant = |slot: &&Slot| slot.spec.service == dependency.service && !slot.removed;
            for slot in self.state.slots.values().filter(meant) {
                if matches!(slot.phase, Phase::Failed | Phase::Skipped) {
                    return Dependencies::Broken(slot.spec.label(), slot.failure_code);
                }
                if !slot.phase.meets(dependency.condition) {
                    pending = Some(slot.spec.label());
                }
            }
        }
        pending.map_or(Dependencies::Met, Dependencies::Pending)
    }

    /// Lets every waiting slot follow its dependencies, until nothing changes any
    /// more.
    pub(super) fn promote(&mut self) {
        loop {
            let before = self.actions.len();
            for id in self.ids() {
                let slot = self.slot(id);
                if slot.wanted && matches!(slot.phase, Phase::Waiting | Phase::Skipped) {
                    self.follow_dependencies(id);
                }
            }
            if self.actions.len() == before {
                return;
            }
        }
    }

    fn follow_dependencies(&mut self, id: SlotId) {
        let phase = self.slot(id).phase;
        match self.dependencies(id) {
            Dependencies::Met => self.spawn(id, "dependencies are ready"),
            Dependencies::Broken(name, code) if phase == Phase::Waiting => {
                self.slot(id).failure_code = code;
                self.go(id, Phase::Skipped, format!("{name} failed"));
                if self.slot(id).spec.critical {
                    self.critical_end(id, code);
                }
            }
            Dependencies::Pending(name) if phase == Phase::Skipped => {
                self.go(id, Phase::Waiting, format!("waits for {name}"));
            }
            Dependencies::Broken(..) | Dependencies::Pending(_) => {}
        }
    }

    /// Starts a slot that has no process, or lets it wait for its dependencies.
    pub(super) fn try_start(&mut self, id: SlotId, why: &str) {
        match self.dependencies(id) {
            Dependencies::Met => self.spawn(id, why),
            Dependencies::Pending(name) | Dependencies::Broken(name, _) => {
                if self.slot(id).phase != Phase::Waiting {
                    self.go(id, Phase::Waiting, format!("waits for {name}"));
                }
            }
        }
    }

    pub(super) fn next_generation(&mut self) -> Generation {
        let generation = Generation(self.state.next_generation);
        self.state.next_generation += 1;
        generation
    }

    fn spawn(&mut self, id: SlotId, why: &str) {
        let generation = self.next_generation();
        self.go(id, Phase::Starting, why);
        let now = self.now;
        let slot = self.slot(id);
        slot.spawns += 1;
        slot.deadline = Some(now + slot.spec.start_timeout);
        slot.run = Some(Run::new(generation, now));
        self.actions.push(Action::Spawn(id, generation));
    }

    pub(super) fn spawned(&mut self, id: SlotId, generation: Generation) {
        if self.slot(id).successor() == Some(generation) {
            return self.successor_spawned(id, generation);
        }
        if !self.current(id, generation) || self.slot(id).phase != Phase::Starting {
            return;
        }
        let now = self.now;
        let slot = self.slot(id);
        if let Some(run) = &mut slot.run {
            run.runs = true;
        }
        match slot.spec.readiness {
            _ if slot.spec.task => {}
            Readiness::After(wait) if wait.is_zero() => self.ready(id, generation, "started"),
            Readiness::After(wait) => slot.deadline = Some(now + wait),
            Readiness::Probed => {}
        }
    }

    pub(super) fn spawn_failed(
        &mut self,
        id: SlotId,
        generation: Generation,
        failure: SpawnFailure,
    ) {
        if self.slot(id).successor() == Some(generation) {
            return self.successor_spawn_failed(id, failure);
        }
        self.forget_retiring(id, generation);
        if !self.current(id, generation) {
            return;
        }
        let slot = self.slot(id);
        slot.run = None;
        slot.failure_code = failure.code;
        if !slot.wanted {
            return self.go(id, Phase::Stopped, failure.message);
        }
        match failure.retry {
            Retry::Never => self.fail(id, failure.message),
            Retry::Counted => self.failed_start(id, &failure.message, self.now),
            Retry::Always => self.wait_for_room(id, &failure.message),
        }
    }

    pub(super) fn ready(&mut self, id: SlotId, generation: Generation, why: &str) {
        if self.slot(id).successor() == Some(generation) {
            return self.take_over(id, generation);
        }
        if !self.current(id, generation)
            || self.slot(id).phase != Phase::Starting
            || self.slot(id).spec.task
        {
            return;
        }
        let now = self.now;
        self.go(id, Phase::Ready, why);
        let slot = self.slot(id);
        slot.deadline = Some(now + slot.spec.backoff.reset_after);
        if let Some(run) = &mut slot.run {
            run.ready_at = Some(now);
        }
    }

    pub(super) fn exited(&mut self, id: SlotId, generation: Generation, exit: Exit, alone: bool) {
        if self.slot(id).successor() == Some(generation) {
            return self.successor_exited(id, exit, alone);
        }
        if self.slot(id).is_retiring(generation) {
            self.slot(id).last_exit = Some(exit);
            return self.retiring_exited(id, generation, alone);
        }
        if !self.current(id, generation) {
            return;
        }
        let now = self.now;
        let slot = self.slot(id);
        let Some(run) = slot.run.as_mut().filter(|run| run.main_alive) else { return };
        run.main_alive = false;
        run.exit = Some(exit);
        slot.last_exit = Some(exit);
        slot.failure_code = exit.shell_code();
        if slot.phase == Phase::Ready && slot.successor.is_some() {
            return self.succeed_early(id, exit, alone);
        }
        if alone {
            return self.finish(id);
        }
        if run.kill.is_some() {
            return; // what it leaves behind is being killed
        }
        if slot.phase != Phase::Stopping {
            self.go(id, Phase::Stopping, format!("{exit}, left processes behind"));
        }
        let slot = self.slot(id);
        let grace = now + slot.spec.leftover_grace();
        slot.deadline = Some(slot.deadline.map_or(grace, |deadline| deadline.min(grace)));
        self.actions.push(Action::AskLeftovers(id, generation));
    }

    pub(super) fn gone(&mut self, id: SlotId, generation: Generation) {
        self.slot(id).retiring.retain(|one| one.generation != generation || one.main_alive);
        let over = self.current(id, generation)
            && self.slot(id).run.as_ref().is_some_and(|run| !run.main_alive);
        if over {
            self.finish(id);
        }
    }

    /// Stops what was ready and does not work any more; what happens then is
    /// for its restart policy. One that is being replaced is left to that.
    pub(super) fn unhealthy(&mut self, id: SlotId, generation: Generation, why: String) {
        let slot = self.slot(id);
        let serves = slot.generation() == Some(generation) && slot.phase == Phase::Ready;
        // In a shutdown its turn comes, in order.
        if serves && slot.successor.is_none() && self.state.shutdown.is_none() {
            self.begin_stop(id, Cause::Unhealthy, &format!("unhealthy: {why}"));
        }
    }

    /// Asks a live slot to stop.
    pub(super) fn begin_stop(&mut self, id: SlotId, cause: Cause, why: &str) {
        let now = self.now;
        self.dismiss_successor(id);
        if self.slot(id).phase != Phase::Stopping {
            self.go(id, Phase::Stopping, why);
            let slot = self.slot(id);
            slot.deadline = Some(now + slot.spec.first_wait());
            if let Some(generation) = slot.generation() {
                self.actions.push(Action::AskToStop(id, generation, 0));
            }
        }
        if let Some(run) = &mut self.slot(id).run {
            run.cause = cause;
        }
    }

    /// The whole tree is gone: decides what follows.
    pub(super) fn finish(&mut self, id: SlotId) {
        let slot = self.slot(id);
        let Some(run) = slot.run.take() else { return };
        let ending = run.exit.map_or_else(|| "not started".to_owned(), |exit| exit.to_string());
        let requested = !slot.wanted || run.cause == Cause::Request;
        if !slot.wanted {
            self.go(id, Phase::Stopped, format!("stop requested, {ending}"));
        } else if requested {
            self.try_start(id, "restart requested");
        } else {
            self.judge(id, &run, &ending);
        }
    }

    /// Decides about a service that ended by itself or was not ready in time.
    fn judge(&mut self, id: SlotId, run: &Run, ending: &str) {
        let slot = self.slot(id);
        let stopped_by_us = matches!(run.cause, Cause::StartTimeout | Cause::Unhealthy);
        let success = match run.exit {
            Some(Exit::Code(code)) => !stopped_by_us && slot.spec.success_codes.contains(&code),
            _ => false,
        };
        if stopped_by_us {
            slot.failure_code = 1;
        }
        let why = match run.cause {
            Cause::Unhealthy => "unhealthy".to_owned(),
            Cause::StartTimeout if slot.spec.task => {
                format!("not completed within {:?}", slot.spec.start_timeout)
            }
            Cause::StartTimeout => format!("not ready within {:?}", slot.spec.start_timeout),
            Cause::Request | Cause::OwnExit => ending.to_owned(),
        };
        let again = match slot.spec.restart {
            Restart::Always => !(slot.spec.task && success),
            Restart::OnFailure => !success,
            Restart::Never => false,
        };
        if again {
            self.again(id, run, &why);
        } else if success {
            self.complete(id, &why);
        } else {
            self.fail(id, why);
        }
    }

    fn again(&mut self, id: SlotId, run: &Run, why: &str) {
        let settled = match (run.ready_at, self.slot(id).spec.readiness) {
            (None, _) => false,
            (Some(at), Readiness::After(wait)) if wait.is_zero() => self.now - at >= SETTLE_TIME,
            (Some(_), _) => true,
        };
        if settled {
            self.slot(id).failed_starts = 0;
            self.back_off(id, why, run.started_at);
        } else {
            self.failed_start(id, why, run.started_at);
        }
    }

    fn failed_start(&mut self, id: SlotId, why: &str, started_at: super::Time) {
        let slot = self.slot(id);
        slot.failed_starts = slot.failed_starts.saturating_add(1);
        if slot.failed_starts > slot.spec.start_retries {
            let starts = slot.failed_starts;
            self.fail(id, format!("{why}; gave up after {starts} failed starts in a row"));
        } else {
            self.back_off(id, why, started_at);
        }
    }

    /// Waits until the machine has resources again.
    fn wait_for_room(&mut self, id: SlotId, why: &str) {
        let slot = self.slot(id);
        slot.failures = slot.failures.saturating_add(1);
        self.wait_for_start(id, why, self.now, SHORTAGE_WAIT);
    }

    /// Waits for the next start. The wait counts from the last start, so a
    /// service that had been up for longer comes back at once.
    fn back_off(&mut self, id: SlotId, why: &str, started_at: super::Time) {
        let slot = self.slot(id);
        slot.failures = slot.failures.saturating_add(1);
        self.wait_for_start(id, why, started_at, Duration::MAX);
    }

    fn wait_for_start(&mut self, id: SlotId, why: &str, from: super::Time, longest: Duration) {
        let chance = self.state.chance.f64();
        let now = self.now;
        let slot = self.slot(id);
        let delay = backoff::delay(&slot.spec.backoff, slot.failures, chance).min(longest);
        let due = from.saturating_add(delay).max(now);
        let failures = slot.failures;
        let wait = due - now;
        let next = if wait.is_zero() { "at once".to_owned() } else { format!("in {wait:.1?}") };
        self.go(id, Phase::Backoff, format!("{why}; starts again {next} (failure {failures})"));
        self.slot(id).deadline = Some(due);
    }

    fn complete(&mut self, id: SlotId, why: &str) {
        self.go(id, Phase::Completed, why);
        let spec = &self.slot(id).spec;
        if spec.critical && !spec.task {
            self.critical_end(id, 0);
        }
    }

    pub(super) fn fail(&mut self, id: SlotId, why: String) {
        self.go(id, Phase::Failed, why);
        let slot = self.slot(id);
        // A failure must never end with exit code 0.
        slot.failure_code = slot.failure_code.max(1);
        let code = slot.failure_code;
        if slot.spec.critical {
            self.critical_end(id, code);
        }
    }

    fn critical_end(&mut self, id: SlotId, code: i32) {
        let slot = self.slot(id);
        if slot.removed {
            return; // nobody relies on it any more
        }
        let why = format!("critical service {} is {}: {}", slot.spec.label(), slot.phase, slot.why);
        self.begin_shutdown(why, code);
    }
}
