//! docs/supervise-faults.md names tests; every one of them must exist.

use std::fs;
use std::path::Path;

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

#[test]
fn every_test_that_the_page_of_faults_names_exists() {
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
    assert!(rows.len() >= 68, "no row goes missing");
    let missing: Vec<&str> = rows
        .iter()
        .flat_map(|row| row.split('`').skip(1).step_by(2))
        .filter(|name| !text.contains(&format!("fn {name}(")))
        .collect();
    assert_eq!(missing, Vec::<&str>::new(), "named on the page, not in the tests");
}
