//! docs/supervise-faults.md names tests; each of them must be a test that runs and
//! asserts something.

use std::fs;
use std::path::Path;

/// What fails a test when it does not hold: an assertion, or a wait that panics when
/// it is in vain.
const ASSERTIONS: [&str; 4] = ["assert", ".until(", ".wait_for_state(", ".expect_err("];

/// All Rust text below a directory.
fn sources(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).expect("directory") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *text += &fs::read_to_string(&path).expect("source");
        }
    }
}

/// A function in the text: where it begins, and its lines up to the first brace that
/// stands as far to the right as its beginning.
struct Function<'a> {
    at: usize,
    body: Vec<&'a str>,
}

impl<'a> Function<'a> {
    fn find(name: &str, lines: &[&'a str]) -> Option<Self> {
        let begins = |line: &&str| {
            let rest = line.trim_start().strip_prefix("fn ");
            rest.and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with('('))
        };
        Some(Self::of(lines.iter().position(begins)?, lines))
    }

    fn of(at: usize, lines: &[&'a str]) -> Self {
        let indent = lines[at].len() - lines[at].trim_start().len();
        let ends = |line: &str| line.trim_start() == "}" && line.len() == indent + 1;
        let body = lines[at..].iter().copied().take_while(|line| !ends(line)).collect();
        Self { at, body }
    }

    fn says(&self, words: &[impl AsRef<str>]) -> bool {
        let code = |line: &&str| line.split("//").next().unwrap_or_default().to_owned();
        let says = |line: String| words.iter().any(|word| line.contains(word.as_ref()));
        self.body.iter().skip(1).map(code).any(says)
    }
}

/// Calls of functions that assert something, as they are written.
fn asserting_calls(lines: &[&str]) -> Vec<String> {
    let functions = lines.iter().enumerate().filter_map(|(at, line)| {
        let (name, parameters) = line.trim_start().strip_prefix("fn ")?.split_once('(')?;
        let is_free = ![")", "os)", "&self", "mut self", "self", "&mut self"]
            .iter()
            .any(|first| parameters.starts_with(first));
        (is_free && Function::of(at, lines).says(&ASSERTIONS)).then(|| format!("{name}("))
    });
    functions.collect()
}

/// What is wrong with the test of this name, if anything.
fn problem(name: &str, lines: &[&str], calls: &[String]) -> Option<&'static str> {
    let Some(test) = Function::find(name, lines) else { return Some("does not exist") };
    let attributes = lines[..test.at].iter().rev().map(|line| line.trim());
    let attributes: Vec<&str> = attributes.take_while(|line| line.starts_with("#[")).collect();
    let is_on_every_os = lines[test.at].trim_end().ends_with("(os) {");
    if !is_on_every_os && !attributes.contains(&"#[test]") {
        return Some("is no test");
    }
    if attributes.iter().any(|attribute| attribute.starts_with("#[ignore")) {
        return Some("is ignored");
    }
    (!test.says(&ASSERTIONS) && !test.says(calls)).then_some("asserts nothing")
}

#[test]
fn every_test_that_the_page_of_faults_names_runs_and_asserts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    for directory in ["src", "tests", "../docker/config/src", "../docker/config/tests"] {
        sources(&root.join(directory), &mut text);
    }
    let page = fs::read_to_string(root.join("../docs/supervise-faults.md")).expect("page");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    let numbers = rows.iter().map(|row| row.split('|').nth(1).expect("number").trim().parse());
    let numbers: Vec<usize> = numbers.map(|number| number.expect("a number")).collect();
    assert_eq!(numbers, (1..=rows.len()).collect::<Vec<_>>(), "one row after the other");
    assert!(rows.len() >= 97, "no row goes missing");
    let without = rows.iter().filter(|row| !row.contains('`') && !row.contains("| no test"));
    assert_eq!(without.collect::<Vec<_>>(), Vec::<&&str>::new(), "no test, and no reason");
    let lines: Vec<&str> = text.lines().collect();
    let calls = asserting_calls(&lines);
    let tests = rows.iter().filter_map(|row| row.rsplit('|').nth(1));
    let faults: Vec<String> = tests
        .flat_map(|tests| tests.split('`').skip(1).step_by(2))
        .filter_map(|name| Some(format!("{name} {}", problem(name, &lines, &calls)?)))
        .collect();
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn a_test_that_proves_nothing_is_found() {
    let source = "
        #[test]
        fn good() {
            assert!(true);
        }

        #[test]
        fn empty() {
            // assert!(true);
        }

        fn no_test() {
            assert!(true);
        }

        #[test]
        #[ignore = \"later\"]
        fn ignored() {
            assert!(true);
        }

        fn everywhere(os) {
            supervisor.until(\"it runs\", || true);
        }

        fn compare(one: bool) {
            assert!(one);
        }

        #[test]
        fn by_another() {
            compare(true);
        }
    ";
    let lines: Vec<&str> = source.lines().collect();
    let calls = asserting_calls(&lines);
    assert_eq!(calls, ["compare("]);
    let found = ["good", "everywhere", "by_another", "empty", "no_test", "ignored", "missing"]
        .map(|name| problem(name, &lines, &calls));
    let expected = [
        None,
        None,
        None,
        Some("asserts nothing"),
        Some("is no test"),
        Some("is ignored"),
        Some("does not exist"),
    ];
    assert_eq!(found, expected);
}
