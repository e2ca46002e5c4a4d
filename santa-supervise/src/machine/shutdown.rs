//! The stop of everything: dependents before what they depend on, faster when
//! asked again, killed when the time is over, and the exit code at the end.

use super::state::{Cause, Shutdown};
use super::{Action, Note, Phase, SAME_REQUEST, Slot, SlotId, Turn};

/// Stop in order; stop all at once; kill.
const ORDERLY: u8 = 1;
const AT_ONCE: u8 = 2;
const KILL: u8 = 3;

impl Turn<'_> {
    /// A request to stop everything; asked again, but not at once, the next
    /// faster way.
    pub(super) fn terminate(&mut self, why: String) {
        let now = self.now;
        let known =
            self.state.shutdown.as_ref().map(|shutdown| (shutdown.level, shutdown.asked_at));
        match known {
            None => self.begin_shutdown(why, 0),
            Some((_, Some(asked_at))) if now.saturating_sub(asked_at) < SAME_REQUEST => return,
            Some((KILL, _) | (_, None)) => {}
            Some((level, Some(_))) => self.hurry(level + 1, why),
        }
        if let Some(shutdown) = &mut self.state.shutdown {
            shutdown.asked_at = Some(now);
        }
    }

    pub(super) fn begin_shutdown(&mut self, why: String, code: i32) {
        if self.state.shutdown.is_some() {
            return;
        }
        let deadline = self.now + self.state.shutdown_timeout;
        self.state.shutdown = Some(Shutdown { code, level: ORDERLY, asked_at: None, deadline });
        self.actions.push(Action::Note(Note::Shutdown { why, level: ORDERLY }));
        for id in self.ids() {
            self.slot(id).wanted = false;
            self.dismiss_successor(id);
            match self.slot(id).phase {
                Phase::Waiting | Phase::Backoff => self.go(id, Phase::Stopped, "shutdown"),
                // From here on only the order and the shutdown's own deadline count.
                Phase::Starting => self.slot(id).deadline = None,
                _ => {}
            }
        }
    }

    pub(super) fn shutdown_deadline(&mut self) {
        let timeout = self.state.shutdown_timeout;
        let over = |shutdown: &Shutdown| shutdown.level < KILL && shutdown.deadline <= self.now;
        if self.state.shutdown.as_ref().is_some_and(over) {
            self.hurry(KILL, format!("the stop took longer than {timeout:?}"));
        }
    }

    fn hurry(&mut self, level: u8, why: String) {
        if let Some(shutdown) = &mut self.state.shutdown {
            shutdown.level = level;
            self.actions.push(Action::Note(Note::Shutdown { why, level }));
        }
    }

    /// Stops what may stop now; ends when nothing is live any more.
    pub(super) fn continue_shutdown(&mut self) {
        let Some(Shutdown { code, level, .. }) = self.state.shutdown.clone() else { return };
        for id in self.ids() {
            if level >= KILL {
                self.expedite(id, true);
            }
            if !self.slot(id).phase.is_live() {
                continue;
            }
            if level >= AT_ONCE || !self.is_needed(id) {
                self.begin_stop(id, Cause::Request, "shutdown");
            }
            if level >= KILL {
                self.kill(id);
            }
        }
        let live = self.state.slots.values().any(Slot::is_live);
        if !live && !self.state.exited {
            self.state.exited = true;
            self.actions.push(Action::Exit(code));
        }
    }

    /// Whether a live slot depends on this one or has to stop before it.
    fn is_needed(&self, id: SlotId) -> bool {
        let Some(own) = self.state.slots.get(&id).map(|slot| &slot.spec) else { return false };
        self.state.slots.values().filter(|slot| slot.is_live()).any(|slot| {
            slot.spec.needs(&own.service) || own.stop_after.contains(&slot.spec.service)
        })
    }
}
