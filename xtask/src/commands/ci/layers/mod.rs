//! Which module may import which. Each tree of sources has a table of layers in
//! `tables`; imports are read from the text of its files, which takes no compiler.

mod graph;
mod python;
mod rust;
mod tables;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use crate::{files, repo};

/// Each module and those that it imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// What is written in the files of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Rust,
    /// Modules are named without the package, which is the last folder of the root.
    Python,
}

/// The rules of one tree of sources. Modules are named by their paths below its root
/// with "::" between the parts; a name covers everything below it, unless there is a
/// longer one that fits.
struct Tree {
    /// The folder, from the repository's root.
    root: &'static str,
    language: Language,
    /// The lowest first: a module imports only from its own layer and those before it.
    /// Empty while there is no order yet; else every module has to have a layer.
    layers: &'static [&'static [&'static str]],
    /// Imports against the order that are left: importer and imported, by their names in
    /// `layers`. One that is no longer needed has to go.
    upward: &'static [(&'static str, &'static str)],
    /// Circles of files that are left, each in alphabetical order. They cannot grow, and
    /// one that has become smaller has to be written down so. Imports of a module from
    /// those below it do not count: it and they are one part.
    circles: &'static [&'static [&'static str]],
}

/// Fails when a file imports what its layer may not know, or files import each other in
/// a circle.
pub(crate) fn check() -> Result<()> {
    let all = files::all()?;
    let mut wrong = Vec::new();
    for tree in tables::TREES {
        let sources = sources(tree, &all);
        if sources.is_empty() {
            wrong.push(format!("{}: there are no sources", tree.root));
        }
        let faults = graph::faults(tree, &imports(tree.language, tree.root, &sources));
        wrong.extend(faults.into_iter().map(|fault| format!("{}: {fault}", tree.root)));
    }
    if !wrong.is_empty() {
        bail!(
            "imports break the layers in {}:\n{}",
            "xtask/src/commands/ci/layers/tables.rs",
            wrong.join("\n")
        );
    }
    Ok(())
}

/// The modules of a tree and their text, tests left out.
fn sources(tree: &Tree, all: &[String]) -> BTreeMap<String, String> {
    let module = match tree.language {
        Language::Rust => rust::module,
        Language::Python => python::module,
    };
    let inside = |file: &String| {
        let path = file.strip_prefix(tree.root)?.strip_prefix('/')?;
        Some((module(path)?, files::text(&repo::path(file))))
    };
    all.iter().filter_map(inside).collect()
}

fn imports(language: Language, root: &str, sources: &BTreeMap<String, String>) -> Imports {
    let known: BTreeSet<String> = sources.keys().cloned().collect();
    let of = |(module, text): (&String, &String)| {
        let paths = match language {
            Language::Rust => rust::imports(module, text, &known),
            Language::Python => python::imports(module, text, root),
        };
        let mut found: BTreeSet<String> =
            paths.iter().filter_map(|path| nearest(path, &known)).collect();
        found.remove(module);
        (module.clone(), found)
    };
    sources.iter().map(of).collect()
}

/// The module that a path leads into: the longest beginning of it that is one.
fn nearest(path: &str, known: &BTreeSet<String>) -> Option<String> {
    let mut path = path;
    while !known.contains(path) {
        path = path.rsplit_once("::")?.0;
    }
    Some(path.to_owned())
}
