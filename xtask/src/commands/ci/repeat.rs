//! What failed how often when the checks are repeated. Test runners name the tests that
//! failed in lines of their own form.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Write as _;
use std::path::Path;

use crate::{files, private, repo, run};

/// The rounds so far.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) rounds: u32,
    pub(super) failed: u32,
    /// A test, or a step that names none, and where each of its failures is described.
    failures: BTreeMap<(&'static str, String), Vec<Failure>>,
}

/// A failure in one round.
struct Failure {
    round: u32,
    /// The whole output of the step, relative to the repository; empty when it could
    /// not be written.
    output: String,
}

impl Tally {
    /// Adds a round with the steps that failed and their errors; whether it passed. Each
    /// failed step's output goes to a file in `folder`.
    pub(super) fn add(
        &mut self,
        folder: &Path,
        failures: impl IntoIterator<Item = (&'static str, String)>,
    ) -> bool {
        self.rounds += 1;
        let mut passed = true;
        for (step, error) in failures {
            passed = false;
            let output = whole(&error);
            let file = folder.join(format!("round-{}-{step}.log", self.rounds));
            let written = private::log(&file)
                .and_then(|mut log| Ok(log.write_all(output.as_bytes())?))
                .map_or_else(|_| String::new(), |()| repo::shown(&file));
            let mut tests = failed_tests(&output);
            if tests.is_empty() {
                tests.insert(String::new());
            }
            for test in tests {
                let failure = Failure { round: self.rounds, output: written.clone() };
                self.failures.entry((step, test)).or_default().push(failure);
            }
        }
        self.failed += u32::from(!passed);
        passed
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut failures: Vec<_> = self.failures.iter().collect();
        failures.sort_by_key(|(_, rounds)| std::cmp::Reverse(rounds.len()));
        for ((step, test), rounds) in failures {
            writeln!(f, "failed in {} of {}  {step:<16} {test}", rounds.len(), self.rounds)?;
            for Failure { round, output } in rounds {
                writeln!(f, "    round {round:<4} {output}")?;
            }
        }
        write!(f, "{} rounds passed, {} failed", self.rounds - self.failed, self.failed)
    }
}

/// The whole output of a failed step: its error shows the end, and names the file with
/// all of it when that is longer.
fn whole(error: &str) -> String {
    let named = error.lines().find_map(|line| line.strip_prefix(run::WHOLE_OUTPUT));
    let output = named.map(|file| files::text(&repo::path(file)));
    output.filter(|text| !text.is_empty()).unwrap_or_else(|| error.to_owned())
}

/// The tests that cargo-nextest, pytest and Vitest say have failed.
fn failed_tests(output: &str) -> BTreeSet<String> {
    output.lines().filter_map(|line| failed_test(line.trim())).map(str::to_owned).collect()
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
        let output = "cannot test\n        FAIL [   0.005s] (127/127) santa-proxy http::tests::a\n\
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
        assert_eq!(failed_tests(output).into_iter().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn what_fails_now_and_then_is_counted_by_its_name() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let folder = folder.path();
        let mut tally = Tally::default();
        let flaky = || ("rust-test", "FAIL [ 0.1s] xtask a\nFAIL [ 0.1s] xtask a\n".to_owned());
        assert!(tally.add(folder, []));
        assert!(!tally.add(folder, [flaky(), ("docs", "a link to nowhere".to_owned())]));
        assert!(!tally.add(folder, [flaky()]));
        let shown = tally.to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "failed in 2 of 3  rust-test        xtask a");
        for (line, round) in [(1, 2), (2, 3)] {
            let file = folder.join(format!("round-{round}-rust-test.log"));
            assert_eq!(lines[line], format!("    round {round}    {}", file.display()));
            assert!(files::text(&file).contains("FAIL [ 0.1s] xtask a"));
        }
        assert_eq!(lines[3].trim_end(), "failed in 1 of 3  docs");
        assert_eq!(files::text(&folder.join("round-2-docs.log")), "a link to nowhere");
        assert_eq!(lines[5], "1 rounds passed, 2 failed");
    }

    #[test]
    fn tests_that_the_error_does_not_show_are_found_in_the_whole_output() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let log = folder.path().join("all.log");
        std::fs::write(&log, "FAIL [ 0.1s] xtask a\nFAIL [ 0.1s] xtask b\n").expect("written");
        let error = format!("cannot test\n{}{}\nthe end", run::WHOLE_OUTPUT, log.display());
        assert_eq!(failed_tests(&whole(&error)).len(), 2);
        assert_eq!(whole("cannot test\nthe end"), "cannot test\nthe end");
    }
}
