//! Pure: the difference between what runs and a changed configuration.

use std::collections::BTreeMap;
use std::fmt;

use crate::machine::{Changes, SlotId};
use crate::plan::Blueprint;

/// What a changed configuration means.
#[derive(Debug, Default)]
pub struct Difference {
    /// For the core.
    pub changes: Changes,
    /// Blueprints of new and changed slots.
    pub blueprints: Vec<(SlotId, Blueprint)>,
    /// For people.
    pub summary: Summary,
}

/// The names of what is added, renewed, adapted and removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Started.
    pub added: Vec<String>,
    /// Given a new process.
    pub renewed: Vec<String>,
    /// Changed without a new process.
    pub adapted: Vec<String>,
    /// Stopped for good.
    pub removed: Vec<String>,
}

/// Compares what is known of every slot (with whether it is on its way out)
/// with the blueprints of the changed configuration. New slots get numbers from
/// `next` on.
#[must_use]
pub fn difference(
    known: &BTreeMap<SlotId, (&Blueprint, bool)>,
    wanted: Vec<Blueprint>,
    next: SlotId,
) -> Difference {
    let mut found = Difference::default();
    let mut left = known.clone();
    for (blueprint, number) in wanted.into_iter().zip(next.0..) {
        let label = blueprint.spec.label();
        let old = left.iter().find(|(_, (old, _))| is_same_instance(old, &blueprint));
        match old.map(|(id, known)| (*id, *known)) {
            None => {
                found.summary.added.push(label);
                found.changes.added.push((SlotId(number), blueprint.spec.clone()));
                found.blueprints.push((SlotId(number), blueprint));
            }
            Some((id, (old, retired))) => {
                left.remove(&id);
                if *old != blueprint || retired {
                    let renewed = retired || !old.same_process(&blueprint);
                    let list = if renewed {
                        &mut found.summary.renewed
                    } else {
                        &mut found.summary.adapted
                    };
                    list.push(label);
                    found.changes.changed.push((id, blueprint.spec.clone(), renewed));
                    found.blueprints.push((id, blueprint));
                }
            }
        }
    }
    for (id, (blueprint, _)) in left.into_iter().filter(|(_, (_, retired))| !retired) {
        found.summary.removed.push(blueprint.spec.label());
        found.changes.removed.push(id);
    }
    found
}

fn is_same_instance(one: &Blueprint, other: &Blueprint) -> bool {
    (&one.spec.service, one.spec.instance) == (&other.spec.service, other.spec.instance)
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = [
            ("added", &self.added),
            ("renewed", &self.renewed),
            ("changed in place", &self.adapted),
            ("removed", &self.removed),
        ]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what}: {}", names.join(", ")))
        .collect();
        match parts.is_empty() {
            true => f.write_str("no service has changed"),
            false => f.write_str(&parts.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{ConfigFile, blueprints};
    use std::collections::BTreeSet;
    use std::path::Path;

    fn plan(services: &str) -> Vec<Blueprint> {
        let text = format!(
            "version = 1\n[paths]\nwww = \"/t\"\napp = \"/t\"\nbin = \"/t\"\npython = \"/t\"\n\
             [socket.main]\nlisten = \"unix:/tmp/m.sock\"\n[admin]\nlisten = \"\"\n\
             [supervisor]\ncontrol_socket = \"/tmp/c\"\n\
             [proxy]\nsocket = \"main\"\nupstream = \"main\"\n{services}"
        );
        let config = santa_config::parse(&text, "test", &santa_config::Env::new());
        let file = ConfigFile { path: Path::new("/c"), variables: &BTreeSet::new() };
        blueprints(&config.unwrap_or_else(|diagnostics| panic!("{diagnostics}")), file)
    }

    fn service(name: &str, more: &str) -> String {
        format!("[[service]]\nname = \"{name}\"\ncommand = \"/bin/true\"\n{more}\n")
    }

    fn check(before: &str, after: &str, expected: &str) -> Difference {
        let old = plan(before);
        let known = (0..).map(SlotId).zip(old.iter().map(|one| (one, false))).collect();
        let found = difference(&known, plan(after), SlotId(9));
        assert_eq!(found.summary.to_string(), expected);
        found
    }

    #[test]
    fn only_what_differs_is_touched() {
        let (a, b) = (service("a", ""), service("b", ""));
        check(&format!("{a}{b}"), &format!("{b}{a}"), "no service has changed");
        let found = check(&a, &format!("{a}{b}"), "added: b");
        assert_eq!(found.changes.added[0].0, SlotId(10), "a number that nobody had");
        check(&format!("{a}{b}"), &b, "removed: a");
        check(&a, &service("a", "env = { X = \"1\" }"), "renewed: a");
        check(&a, &service("a", "env_pass = [\"X\"]"), "renewed: a");
        check(&a, &service("a", "limits = { nofile = 99 }"), "renewed: a");
        check(
            &a,
            &service("a", "stop_timeout = \"1s\"\nrestart = \"never\""),
            "changed in place: a",
        );
    }

    #[test]
    fn more_instances_leave_those_alone_that_have_no_socket() {
        check(
            &service("a", ""),
            &service("a", "instances = 2"),
            "added: a:1; changed in place: a:0",
        );
        let with = |more: &str| service("a", &format!("sockets = [\"main\"]\n{more}"));
        check(&with(""), &with("instances = 2"), "added: a:1; renewed: a:0");
    }

    #[test]
    fn one_on_its_way_out_that_is_wanted_again_gets_a_new_process() {
        let old = plan(&service("a", ""));
        let known = BTreeMap::from([(SlotId(0), (&old[0], true))]);
        let found = difference(&known, plan(&service("a", "")), SlotId(1));
        assert_eq!(found.summary.to_string(), "renewed: a");
        assert_eq!(difference(&known, Vec::new(), SlotId(1)).summary, Summary::default());
    }
}
