//! The imports of a Rust file: what its `use` declarations and its paths name.

use std::collections::BTreeSet;

/// The module of a file by its path below `src`; nothing for tests and other files.
pub(super) fn module(path: &str) -> Option<String> {
    let name = path.strip_suffix(".rs")?;
    let name = name.strip_suffix("/mod").unwrap_or(name);
    let last = name.rsplit('/').next().unwrap_or(name);
    let test = last == "tests" || last.ends_with("_tests");
    (!test).then(|| name.replace('/', "::"))
}

/// The full paths that `text`, the file of `module`, names: items as well as modules.
pub(super) fn imports(module: &str, text: &str, known: &BTreeSet<String>) -> Vec<String> {
    let code = code(text);
    let mut paths = Vec::new();
    let mut rest = code.as_str();
    let mut outside = String::new();
    while let Some(at) = next_use(rest) {
        outside.push_str(&rest[..at]);
        let declaration = &rest[at + "use ".len()..];
        let end = declaration.find(';').unwrap_or(declaration.len());
        expand("", &declaration[..end], &mut paths);
        rest = &declaration[end..];
    }
    outside.push_str(rest);
    paths.extend(inline(&outside));
    paths.iter().filter_map(|path| absolute(module, path, known)).collect()
}

/// The text without line comments and without the unit tests at its end.
fn code(text: &str) -> String {
    let end = text.find("\n#[cfg(test)]\nmod ").unwrap_or(text.len());
    let uncommented = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    text[..end].lines().map(uncommented).collect::<Vec<_>>().join("\n")
}

/// Where the next `use` begins that is a word of its own.
fn next_use(text: &str) -> Option<usize> {
    text.match_indices("use ").map(|(at, _)| at).find(|at| !ends_in_word(&text[..*at]))
}

fn ends_in_word(text: &str) -> bool {
    text.ends_with(|last: char| last.is_ascii_alphanumeric() || last == '_')
}

/// Adds every path of a tree such as `a::{b, c::{self, D as E}}`.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let path = tree.split_whitespace().next().unwrap_or_default();
        paths.push(format!("{prefix}{path}"));
        return;
    };
    let prefix = format!("{prefix}{}", tree[..open].trim());
    let inside = tree[open + 1..].trim_end().trim_end_matches('}');
    let (mut depth, mut start) = (0, 0);
    // The closing brackets at the end were cut off with the outermost: only commas at
    // depth 0 part the branches, and the last one is whatever is left.
    for (at, character) in inside.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&prefix, &inside[start..at], paths);
                start = at + 1;
            }
            _ => {}
        }
    }
    if !inside[start..].trim().is_empty() {
        expand(&prefix, &inside[start..], paths);
    }
}

/// Paths of two parts and more in the code itself.
fn inline(code: &str) -> impl Iterator<Item = String> {
    let part = |character: char| character.is_ascii_alphanumeric() || "_:".contains(character);
    code.split(move |character| !part(character))
        .filter(|word| word.contains("::"))
        .map(|word| word.trim_end_matches(':').to_owned())
}

/// A path from the crate's root; nothing when it leads into another crate.
fn absolute(module: &str, path: &str, known: &BTreeSet<String>) -> Option<String> {
    let (first, rest) = path.split_once("::").unwrap_or((path, ""));
    let join = |base: &str, rest: &str| match (base, rest) {
        ("", rest) => rest.to_owned(),
        (base, "") => base.to_owned(),
        (base, rest) => format!("{base}::{rest}"),
    };
    let own = if matches!(module, "lib" | "main") { "" } else { module };
    match first {
        "crate" => Some(rest.to_owned()),
        "self" => Some(join(own, rest)),
        "super" => {
            let (mut base, mut rest) = (parent(own), rest);
            while let Some(after) = rest.strip_prefix("super::") {
                (base, rest) = (parent(base), after);
            }
            Some(join(base, rest))
        }
        child => known.contains(&join(own, child)).then(|| join(own, path)),
    }
}

fn parent(module: &str) -> &str {
    module.rsplit_once("::").map_or("", |(parent, _)| parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(module: &str, text: &str) -> Vec<String> {
        let known = ["a", "a::b", "a::b::c", "d", "lib"].map(str::to_owned).into();
        imports(module, text, &known)
    }

    #[test]
    fn every_kind_of_import_is_found() {
        assert_eq!(
            of("d", "use crate::a::b::{self, X as Y, c::{Z}};\n"),
            ["a::b::self", "a::b::X", "a::b::c::Z"]
        );
        assert_eq!(
            of("d", "pub(crate) use crate::a::{\n    b::X,\n    Y,\n};\n"),
            ["a::b::X", "a::Y"]
        );
        assert_eq!(of("a::b::c", "use super::X;\nuse super::super::Y;\n"), ["a::b::X", "a::Y"]);
        assert_eq!(of("a", "let x = b::make(crate::d::X);"), ["a::b::make", "d::X"]);
        assert_eq!(of("lib", "pub use a::X;"), ["a::X"]);
        assert_eq!(of("a::b", "fn f(_: Vec<super::Z>) {}"), ["a::Z"]);
    }

    #[test]
    fn other_crates_comments_and_tests_are_no_imports() {
        let text = "//! See [`crate::a`].\nuse std::a::b;\nuse a::b; // crate::d\nmisuse crate;\n\
                    #[cfg(test)]\nmod tests {\n    use crate::d::X;\n}\n";
        assert!(of("d", text).is_empty(), "{:?}", of("d", text));
    }

    #[test]
    fn a_file_is_the_module_of_its_path() {
        assert_eq!(module("a/b.rs").as_deref(), Some("a::b"));
        assert_eq!(module("a/mod.rs").as_deref(), Some("a"));
        for other in ["a/tests.rs", "a/b_tests.rs", "a/b.txt"] {
            assert_eq!(module(other), None, "{other}");
        }
    }
}
