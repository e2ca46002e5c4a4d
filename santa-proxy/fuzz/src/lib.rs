//! Properties that hold for every input from the network: each target takes bytes
//! and fails when an invariant is broken. `tests/seeded/` tries them on mutations of
//! the conformance corpus with every test run; `cargo xtask fuzz` lets libFuzzer
//! look for inputs that reach new code.

pub mod chunked;
pub mod head;
pub mod path;
pub mod random;
pub mod response;

#[path = "../../tests/integration/corpus/parse.rs"]
mod parse;

/// A parser of untrusted bytes and its seeds.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// How it is called.
    pub name: &'static str,
    /// Bytes that mean something to it.
    pub dictionary: &'static [&'static [u8]],
    /// Inputs to start from.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Panics when a property is violated; returns whether the input is valid.
    pub check: fn(&[u8]) -> bool,
}

/// All of them.
pub const TARGETS: [Target; 4] = [chunked::TARGET, head::TARGET, path::TARGET, response::TARGET];

/// Longest input taken from the corpus.
const LONGEST: usize = 4096;

/// Everything in the conformance corpus that `of` finds in a case: what a client
/// sends, or what a backend responds.
fn corpus(of: impl Fn(parse::Case) -> Vec<u8>) -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/integration/corpus");
    let files = std::fs::read_dir(folder).expect("the folder of the corpus");
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "txt"));
    paths.sort();
    let text = |path| std::fs::read_to_string(path).expect("text");
    let cases = paths.into_iter().flat_map(|path| parse::cases(&text(path)));
    let fits = |bytes: &Vec<u8>| !bytes.is_empty() && bytes.len() < LONGEST;
    let mut found: Vec<Vec<u8>> = cases.map(of).filter(fits).collect();
    found.sort();
    found.dedup();
    found
}
