//! Looks at starting services until they are ready. How one look works is in
//! [`crate::readiness`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use memchr::memmem;

use crate::machine::{Event, Generation, Phase, SlotId};
use crate::os::{Interest, Token};
use crate::plan::Probe;
use crate::readiness::{Look, Sight};

use super::{EventLoop, Source};

/// Pause between looks: short at first, because most services start quickly.
const QUICK: Duration = Duration::from_millis(5);
const STEADY: Duration = Duration::from_millis(50);
const QUICK_FOR: Duration = Duration::from_secs(3);

/// Longest a single look may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// The looks at one starting service.
#[derive(Debug)]
struct Watch {
    slot: SlotId,
    begun: Instant,
    look: Option<(Token, Look)>,
    /// The next look, or the end of the one under way.
    due: Instant,
    problem: String,
}

/// All starting services that have to be looked at, by generation.
#[derive(Debug, Default)]
pub(super) struct Probes(BTreeMap<Generation, Watch>);

impl Probes {
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.0.values().map(|watch| watch.due).min()
    }

    /// Why a generation is not ready yet, as far as is known.
    pub(super) fn problem(&self, slot: SlotId) -> Option<&str> {
        let watch = self.0.values().find(|watch| watch.slot == slot)?;
        Some(watch.problem.as_str()).filter(|problem| !problem.is_empty())
    }
}

impl EventLoop {
    pub(super) fn begin_probe(&mut self, slot: SlotId, generation: Generation) {
        let looks = !matches!(self.blueprint(slot).probe, None | Some(Probe::Log(_)));
        if looks {
            let now = Instant::now();
            let watch = Watch { slot, begun: now, look: None, due: now, problem: String::new() };
            self.probes.0.insert(generation, watch);
        }
    }

    /// Begins looks that are due, ends those that take too long.
    pub(super) fn look_at_services(&mut self, now: Instant) {
        let due: Vec<Generation> = self
            .probes
            .0
            .iter()
            .filter(|(_, watch)| watch.due <= now)
            .map(|(generation, _)| *generation)
            .collect();
        for generation in due {
            let busy = self.probes.0.get(&generation).is_some_and(|watch| watch.look.is_some());
            if busy {
                self.not_ready(generation, "it does not answer in time".to_owned());
            } else {
                self.look(generation);
            }
        }
    }

    fn look(&mut self, generation: Generation) {
        let Some(watch) = self.probes.0.get(&generation) else { return };
        let slot = watch.slot;
        let begun = match &self.blueprint(slot).probe {
            Some(Probe::Listen(_)) => return self.look_who_listens(generation),
            Some(Probe::Connect(address)) => Look::begin(address, None),
            Some(Probe::Http(address, path)) => Look::begin(address, Some(path)),
            Some(Probe::Log(_)) | None => return,
        };
        match begun {
            Err(error) => self.not_ready(generation, error.to_string()),
            Ok(look) => {
                let token = self.sources.add(Source::Probe);
                if let Err(error) = self.os.watch(look.fd(), token, Interest::Write) {
                    self.sources.remove(token);
                    return self.not_ready(generation, error.to_string());
                }
                if let Some(watch) = self.probes.0.get_mut(&generation) {
                    watch.look = Some((token, look));
                    watch.due = Instant::now() + LOOK_TIMEOUT;
                }
            }
        }
    }

    fn look_who_listens(&mut self, generation: Generation) {
        let Some(child) = self.children.get(generation) else { return };
        let Some(Probe::Listen(address)) = &self.blueprint(child.slot).probe else { return };
        let Some(socket) = self.sockets.get(address) else { return };
        // Where the system cannot tell, the socket itself must do: it accepts
        // from the first moment on, and connections wait for the service.
        if self.os.listens(socket.fd(), child.tree()).unwrap_or(true) {
            self.seen_ready(generation);
        } else {
            self.not_ready(generation, format!("it does not listen on {address} yet"));
        }
    }

    /// Something moved on a look's connection.
    pub(super) fn look_again(&mut self, token: Token) {
        let found =
            self.probes.0.iter_mut().find_map(|(generation, watch)| match &mut watch.look {
                Some((own, look)) if *own == token => Some((*generation, look)),
                _ => None,
            });
        let Some((generation, look)) = found else { return };
        match look.advance() {
            Sight::Ready => self.seen_ready(generation),
            Sight::NotReady(why) => self.not_ready(generation, why),
            // Failure would show at the look's timeout.
            Sight::WaitToWrite => drop(self.os.rewatch(look.fd(), token, Interest::Write)),
            Sight::WaitToRead => drop(self.os.rewatch(look.fd(), token, Interest::Read)),
        }
    }

    fn seen_ready(&mut self, generation: Generation) {
        self.end_look(generation);
        if let Some(watch) = self.probes.0.remove(&generation) {
            self.events.push_back(Event::Ready(watch.slot, generation));
        }
    }

    fn not_ready(&mut self, generation: Generation, problem: String) {
        self.end_look(generation);
        if let Some(watch) = self.probes.0.get_mut(&generation) {
            let now = Instant::now();
            watch.due = now + if now - watch.begun < QUICK_FOR { QUICK } else { STEADY };
            watch.problem = problem;
        }
    }

    fn end_look(&mut self, generation: Generation) {
        let look = self.probes.0.get_mut(&generation).and_then(|watch| watch.look.take());
        if let Some((token, look)) = look {
            self.os.forget(look.fd(), token);
            self.sources.remove(token);
        }
    }

    /// A service that is not starting any more needs no look.
    pub(super) fn drop_settled_probes(&mut self) {
        let starting = |generation: Generation, watch: &Watch| {
            self.state.slot(watch.slot).is_some_and(|slot| {
                slot.phase() == Phase::Starting && slot.generation() == Some(generation)
            })
        };
        let settled: Vec<Generation> = self
            .probes
            .0
            .iter()
            .filter(|(id, watch)| !starting(**id, watch))
            .map(|(id, _)| *id)
            .collect();
        for generation in settled {
            self.end_look(generation);
            self.probes.0.remove(&generation);
        }
    }

    /// Looks for the line that means ready.
    pub(super) fn watch_for_line(&mut self, slot: SlotId, generation: Generation, text: &[u8]) {
        let starting = self.state.slot(slot).is_some_and(|slot| {
            slot.phase() == Phase::Starting && slot.generation() == Some(generation)
        });
        if let (true, Some(Probe::Log(pattern))) = (starting, &self.blueprint(slot).probe)
            && memmem::find(text, pattern.as_bytes()).is_some()
        {
            self.events.push_back(Event::Ready(slot, generation));
        }
    }
}
