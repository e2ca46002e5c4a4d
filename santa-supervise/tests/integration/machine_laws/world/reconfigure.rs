//! Changes of the configuration, as a reload makes them.

use std::collections::BTreeMap;

use santa_supervise::machine::{Changes, Event, SlotId, Spec};

use super::{World, instances};

impl World {
    /// Changes the configuration of one service, as a reload would.
    pub(super) fn reconfigure(&mut self, what: u8, target: u8, renewed: bool) {
        let name = format!("s{}", target % 4);
        let mut wanted = self.configured();
        let first = wanted.iter().find(|spec| spec.service == name).cloned();
        match (what, first) {
            (0, Some(_)) => {
                wanted.retain(|spec| spec.service != name);
                for spec in &mut wanted {
                    spec.depends_on.retain(|need| need.service != name);
                    spec.stop_after.retain(|other| *other != name);
                }
            }
            (1, None) => wanted.push(Spec {
                service: name.clone(),
                depends_on: Vec::new(),
                stop_after: Vec::new(),
                instance: 0,
                instances: 1,
                ..self.first_spec.clone()
            }),
            (2, Some(_)) => {
                let changed = wanted.iter_mut().filter(|spec| spec.service == name);
                changed.for_each(|spec| spec.critical = !spec.critical);
            }
            (3.., Some(first)) => {
                wanted.retain(|spec| spec.service != name);
                wanted.extend(instances(&first, u32::from(what - 2).min(3)));
            }
            _ => return,
        }
        self.apply(wanted, &name, renewed);
    }

    /// What is configured now.
    fn configured(&self) -> Vec<Spec> {
        let slots = self.state.slots().filter(|(_, slot)| !slot.removed());
        slots.map(|(_, slot)| slot.spec().clone()).collect()
    }

    /// Tells the core the difference to `wanted`; instances of `changed` get a
    /// new process where `renewed` says so.
    fn apply(&mut self, wanted: Vec<Spec>, changed: &str, renewed: bool) {
        let mut changes = Changes::default();
        let mut known: BTreeMap<(String, u32), (SlotId, bool)> = self
            .state
            .slots()
            .map(|(id, slot)| {
                ((slot.spec().service.clone(), slot.spec().instance), (id, slot.removed()))
            })
            .collect();
        for spec in wanted {
            match known.remove(&(spec.service.clone(), spec.instance)) {
                Some((id, removed)) => {
                    let new_process = removed || (renewed && spec.service == changed);
                    if new_process {
                        self.asked.insert(id);
                    }
                    changes.changed.push((id, spec, new_process));
                }
                None => {
                    self.last_slot = SlotId(self.last_slot.0 + 1);
                    self.asked.insert(self.last_slot);
                    changes.added.push((self.last_slot, spec));
                }
            }
        }
        let gone = known.into_values().filter(|(_, removed)| !removed);
        changes.removed = gone.map(|(id, _)| id).collect();
        self.feed(Event::Reconfigured(changes));
    }
}
