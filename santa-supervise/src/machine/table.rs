//! The phases of a slot and the one table of allowed changes between them.
//! docs/supervise-states.md is printed from here by a test.

use std::fmt;

use santa_config::Condition;

/// Where a slot is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Waits for services it depends on.
    Waiting,
    /// Its process runs and is not ready yet; a task stays here to its end.
    Starting,
    /// Its process is ready.
    Ready,
    /// Its process, or what that left behind, is being stopped.
    Stopping,
    /// Nothing runs, by request.
    Stopped,
    /// Nothing runs; the next start comes by itself.
    Backoff,
    /// Nothing runs and nothing more is tried: it needs a person.
    Failed,
    /// It ended by itself with success.
    Completed,
    /// It never started because a service it depends on failed.
    Skipped,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 9] = [
        Self::Waiting,
        Self::Starting,
        Self::Ready,
        Self::Stopping,
        Self::Stopped,
        Self::Backoff,
        Self::Failed,
        Self::Completed,
        Self::Skipped,
    ];

    /// The word used in status, logs and events.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
            Self::Completed => "completed",
            Self::Skipped => "skipped",
        }
    }

    /// Whether a process (or something it left behind) exists.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Starting | Self::Ready | Self::Stopping)
    }

    /// Whether it is up, or has done what it was for.
    #[must_use]
    pub fn satisfies(self) -> bool {
        self.meets(Condition::Ready)
    }

    /// Whether services that depend on it under `condition` may start.
    #[must_use]
    pub fn meets(self, condition: Condition) -> bool {
        match condition {
            Condition::Ready => matches!(self, Self::Ready | Self::Completed),
            Condition::Started => matches!(self, Self::Starting | Self::Ready | Self::Completed),
            Condition::Completed => self == Self::Completed,
        }
    }

    /// Whether the table allows to go from here to `to`.
    #[must_use]
    pub fn may_become(self, to: Self) -> bool {
        TABLE.iter().any(|change| change.from == self && change.to == to)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One allowed change.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// Before.
    pub from: Phase,
    /// After.
    pub to: Phase,
    /// What brings it about.
    pub when: &'static str,
}

const fn change(from: Phase, to: Phase, when: &'static str) -> Change {
    Change { from, to, when }
}

/// Every allowed change; nothing else ever happens.
pub const TABLE: &[Change] = &[
    change(Phase::Stopped, Phase::Waiting, "start requested, a dependency is not ready"),
    change(Phase::Stopped, Phase::Starting, "start requested"),
    change(Phase::Waiting, Phase::Starting, "dependencies are ready"),
    change(Phase::Waiting, Phase::Stopped, "stop requested"),
    change(Phase::Waiting, Phase::Skipped, "a dependency failed"),
    change(Phase::Skipped, Phase::Waiting, "start requested, or the dependency is tried again"),
    change(Phase::Skipped, Phase::Starting, "the dependency is ready after all"),
    change(Phase::Starting, Phase::Ready, "readiness seen"),
    change(Phase::Starting, Phase::Completed, "ended with success, nothing left to do"),
    change(Phase::Starting, Phase::Backoff, "failed to start, tries left"),
    change(Phase::Starting, Phase::Failed, "failed to start, no tries left or none of use"),
    change(
        Phase::Starting,
        Phase::Stopping,
        "stop requested, start timeout, or ended with leftovers",
    ),
    change(
        Phase::Starting,
        Phase::Stopped,
        "exited on its own, or could not be started, during shutdown",
    ),
    change(Phase::Ready, Phase::Stopping, "stop requested, liveness lost, or ended with leftovers"),
    change(Phase::Ready, Phase::Starting, "exited on its own while its successor starts"),
    change(Phase::Ready, Phase::Stopped, "exited on its own during shutdown"),
    change(Phase::Ready, Phase::Backoff, "exited on its own, to be started again"),
    change(Phase::Ready, Phase::Failed, "ended with failure, not to be started again"),
    change(Phase::Ready, Phase::Completed, "ended with success, not to be started again"),
    change(Phase::Stopping, Phase::Stopped, "process tree gone, stop requested"),
    change(Phase::Stopping, Phase::Starting, "process tree gone, restart requested"),
    change(
        Phase::Stopping,
        Phase::Waiting,
        "process tree gone, restart requested, a dependency is not ready",
    ),
    change(Phase::Stopping, Phase::Backoff, "process tree gone, to be started again"),
    change(
        Phase::Stopping,
        Phase::Failed,
        "process tree gone, no tries left; or it survives SIGKILL",
    ),
    change(Phase::Stopping, Phase::Completed, "process tree gone after a success"),
    change(Phase::Backoff, Phase::Starting, "wait over, or start requested"),
    change(Phase::Backoff, Phase::Waiting, "wait over, a dependency is not ready"),
    change(Phase::Backoff, Phase::Stopped, "stop requested"),
    change(Phase::Failed, Phase::Starting, "start requested"),
    change(Phase::Failed, Phase::Waiting, "start requested, a dependency is not ready"),
    change(Phase::Completed, Phase::Starting, "start requested"),
    change(Phase::Completed, Phase::Waiting, "start requested, a dependency is not ready"),
];

/// The table as the Markdown page docs/supervise-states.md.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(
        "# States of a service\n\n\
         Printed from the table in `santa-supervise/src/machine/table.rs` by its test;\n\
         `UPDATE_DOCS=1 cargo test -p santa-supervise --lib states_page` rewrites it.\n\n\
         ```mermaid\nstateDiagram-v2\n    [*] --> stopped\n",
    );
    for Change { from, to, .. } in TABLE {
        page += &format!("    {from} --> {to}\n");
    }
    page += "```\n\n| from | to | when |\n|---|---|---|\n";
    for Change { from, to, when } in TABLE {
        page += &format!("| {from} | {to} | {when} |\n");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn states_page_is_printed_from_the_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/supervise-states.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(path.parent().expect("docs")).expect("docs can be made");
            std::fs::write(&path, page()).expect("the page can be written");
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == page(),
            "docs/supervise-states.md is not what the table says; run: \
             UPDATE_DOCS=1 cargo test -p santa-supervise --lib states_page"
        );
    }

    #[test]
    fn every_phase_can_be_reached_and_left() {
        for phase in Phase::ALL {
            assert!(TABLE.iter().any(|change| change.to == phase), "{phase} is never reached");
            assert!(TABLE.iter().any(|change| change.from == phase), "{phase} is never left");
        }
    }

    #[test]
    fn no_change_is_listed_twice() {
        for (index, one) in TABLE.iter().enumerate() {
            let twice =
                TABLE[index + 1..].iter().any(|other| (other.from, other.to) == (one.from, one.to));
            assert!(!twice, "{} -> {}", one.from, one.to);
        }
    }
}
