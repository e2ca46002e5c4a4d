//! What one check says.

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Holds,
    Failed,
    /// Not checked, which is not the same as holding.
    NotChecked,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
    pub(crate) detail: String,
}

/// How many offenders a line names.
const NAMED: usize = 4;

impl Finding {
    /// Holds when there are no offenders; `promise` says what then holds.
    pub(crate) fn none(
        name: &'static str,
        promise: impl Into<String>,
        offenders: Vec<String>,
    ) -> Self {
        if offenders.is_empty() {
            return Self { name, verdict: Verdict::Holds, detail: promise.into() };
        }
        let more = offenders.len().saturating_sub(NAMED);
        let mut detail = offenders.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
        if more > 0 {
            detail.push_str(&format!(" and {more} more"));
        }
        Self { name, verdict: Verdict::Failed, detail }
    }

    /// Whether it was not checked.
    pub(crate) fn was_not_checked(&self) -> bool {
        self.verdict == Verdict::NotChecked
    }

    /// Was not checked; `why` says what is missing.
    pub(crate) fn not_checked(name: &'static str, why: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::NotChecked, detail: why.into() }
    }
}
