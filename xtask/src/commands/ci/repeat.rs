//! What failed how often when the checks are repeated. Test runners name the tests that
//! failed in lines of their own form.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The rounds so far.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) rounds: u32,
    pub(super) failed: u32,
    /// In how many rounds a test, or a step that names none, has failed.
    counts: BTreeMap<(&'static str, String), u32>,
}

impl Tally {
    /// Adds a round with the steps that failed and what they said; whether it passed.
    pub(super) fn add(
        &mut self,
        failures: impl IntoIterator<Item = (&'static str, String)>,
    ) -> bool {
        self.rounds += 1;
        let mut passed = true;
        for (step, said) in failures {
            passed = false;
            let mut tests = failed_tests(&said);
            if tests.is_empty() {
                tests.insert(String::new());
            }
            for test in tests {
                *self.counts.entry((step, test)).or_default() += 1;
            }
        }
        self.failed += u32::from(!passed);
        passed
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts: Vec<_> = self.counts.iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for ((step, test), count) in counts {
            writeln!(f, "failed in {count} of {}  {step:<16} {test}", self.rounds)?;
        }
        write!(f, "{} rounds passed, {} failed", self.rounds - self.failed, self.failed)
    }
}

/// The tests that cargo-nextest, pytest and Vitest say have failed.
fn failed_tests(said: &str) -> BTreeSet<String> {
    said.lines().filter_map(|line| failed_test(line.trim())).map(str::to_owned).collect()
}

fn failed_test(line: &str) -> Option<&str> {
    if let Some((kind, rest)) = line.split_once('[')
        && ["FAIL ", "LEAK-FAIL ", "TIMEOUT "].contains(&kind) | kind.starts_with("SIG")
        && let Some((_, rest)) = rest.split_once("] ")
    {
        // The number of the test among all may stand before its name.
        let name = rest.trim();
        return Some(
            name.split_once(") ")
                .filter(|_| name.starts_with('('))
                .map_or(name, |(_, name)| name.trim()),
        );
    }
    if let Some(rest) = line.strip_prefix("FAILED ").or_else(|| line.strip_prefix("ERROR ")) {
        // What it says follows after a dash; the parameters may hold one as well.
        let end = rest.find(" - ").map_or(rest.len(), |dash| match rest[..dash].find('[') {
            Some(_) => rest.find("] - ").map_or(rest.len(), |bracket| bracket + 1),
            None => dash,
        });
        let name = rest[..end].trim();
        return name.contains(".py").then_some(name);
    }
    let name = line.strip_prefix("FAIL ")?.trim();
    name.contains(" > ").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runners_words_name_the_tests_that_failed() {
        let said = "cannot test\n        FAIL [   0.005s] (127/127) santa-proxy http::tests::a\n\
            \x20     SIGABRT [   1.2s] xtask::machines b\n    PASS [ 0.1s] xtask c\n\
            FAILED tests/rules/test_x.py::test_d[a - b] - AssertionError: no [1] d\n\
            ERROR tests/test_y.py::test_e\nERROR: something else\n\
            \x20FAIL  src/lib/x.test.ts > list > f\nFAIL whatever\n";
        let wanted = [
            "santa-proxy http::tests::a",
            "src/lib/x.test.ts > list > f",
            "tests/rules/test_x.py::test_d[a - b]",
            "tests/test_y.py::test_e",
            "xtask::machines b",
        ];
        assert_eq!(failed_tests(said).into_iter().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn what_fails_now_and_then_is_counted_by_its_name() {
        let mut tally = Tally::default();
        let flaky = || ("rust-test", "FAIL [ 0.1s] xtask a\nFAIL [ 0.1s] xtask a\n".to_owned());
        assert!(tally.add([]));
        assert!(!tally.add([flaky(), ("docs", "a link to nowhere".to_owned())]));
        assert!(!tally.add([flaky()]));
        let shown = tally.to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "failed in 2 of 3  rust-test        xtask a");
        assert_eq!(lines[1].trim_end(), "failed in 1 of 3  docs");
        assert_eq!(lines[2], "1 rounds passed, 2 failed");
    }
}
