//! The rules themselves: the order of layers, and no circles. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{Imports, Tree};

/// Everything in which the imports of a tree differ from its table.
pub(super) fn faults(tree: &Tree, imports: &Imports) -> Vec<String> {
    let mut faults = order(tree, imports);
    faults.extend(circles_that_differ(tree, imports));
    faults
}

fn order(tree: &Tree, imports: &Imports) -> Vec<String> {
    if tree.layers.is_empty() {
        return Vec::new();
    }
    let mut faults = Vec::new();
    let mut upward = BTreeSet::new();
    for (importer, imported) in imports {
        let Some((name, layer)) = place(tree, importer) else {
            faults.push(format!("{importer} has no layer; add it to the table"));
            continue;
        };
        for target in imported {
            // A target without a layer is reported where it is the importer.
            let Some((other, above)) = place(tree, target) else { continue };
            if above <= layer {
                continue;
            }
            upward.insert((name, other));
            if !tree.upward.contains(&(name, other)) {
                faults.push(format!(
                    "{importer} imports {target}, which is in a layer above; move what both need \
                     below them"
                ));
            }
        }
    }
    let stale = tree.upward.iter().filter(|pair| !upward.contains(*pair));
    faults.extend(
        stale.map(|(from, to)| format!("{from} no longer imports {to}: remove it from `upward`")),
    );
    let unused = tree.layers.iter().copied().flatten().filter(|name| {
        !imports.keys().any(|module| place(tree, module).is_some_and(|(found, _)| found == **name))
    });
    faults.extend(unused.map(|name| format!("there is no module {name}: remove it from `layers`")));
    faults
}

/// The name in the table that fits a module best, and the number of its layer.
fn place(tree: &Tree, module: &str) -> Option<(&'static str, usize)> {
    let layers = tree.layers.iter().copied().enumerate();
    let names = layers.flat_map(|(layer, names)| names.iter().map(move |name| (*name, layer)));
    names.filter(|(name, _)| is_within(module, name)).max_by_key(|(name, _)| name.len())
}

fn is_within(module: &str, name: &str) -> bool {
    module.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn circles_that_differ(tree: &Tree, imports: &Imports) -> Vec<String> {
    let found = circles(imports);
    let mut faults = Vec::new();
    for circle in &found {
        if !tree.circles.contains(&&circle[..]) {
            faults.push(format!(
                "these files import each other in a circle: {}; move what they share into a file \
                 below them",
                circle.join(", ")
            ));
        }
    }
    for circle in tree.circles {
        if !found.iter().any(|found| found == circle) {
            faults.push(format!(
                "the circle of {} is not there as it is written in `circles`: remove it, or leave \
                 only what is left of it",
                circle.join(", ")
            ));
        }
    }
    faults
}

/// Groups of modules each of which leads to all others of its group, in alphabetical order.
fn circles(imports: &Imports) -> Vec<Vec<&str>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        imports.keys().map(|module| (module.as_str(), reachable(imports, module))).collect();
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for (module, reached) in &reach {
        if seen.contains(module) || !reached.contains(module) {
            continue;
        }
        let back = |other: &&&str| reach.get(**other).is_some_and(|all| all.contains(module));
        let circle: Vec<&str> = reached.iter().filter(back).copied().collect();
        seen.extend(circle.iter().copied());
        found.push(circle);
    }
    found
}

/// What a module leads to, over any number of imports.
fn reachable<'i>(imports: &'i Imports, module: &'i str) -> BTreeSet<&'i str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![module];
    while let Some(next) = open.pop() {
        for target in imports.get(next).into_iter().flatten() {
            // A module and those below it are one part.
            if !is_within(target, next) && reached.insert(target.as_str()) {
                open.push(target);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::super::Language;
    use super::*;

    const TREE: Tree = Tree {
        root: "x/src",
        language: Language::Rust,
        layers: &[&["low", "top::plain"], &["middle"], &["top"]],
        upward: &[],
        circles: &[],
    };

    fn imports(edges: &[(&str, &[&str])]) -> Imports {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        edges.iter().map(|(module, names)| ((*module).to_owned(), set(names))).collect()
    }

    const GOOD: [(&str, &[&str]); 5] = [
        ("low", &[]),
        ("middle", &["low", "middle::part"]),
        ("middle::part", &["low"]),
        ("top", &["middle::part", "low"]),
        ("top::plain", &["low"]),
    ];

    /// What is wrong once `module` has these imports.
    fn with(tree: &Tree, module: &str, names: &[&str]) -> Vec<String> {
        let mut imports = imports(&GOOD);
        imports.insert(module.to_owned(), names.iter().map(|name| (*name).to_owned()).collect());
        faults(tree, &imports)
    }

    #[test]
    fn imports_go_downwards_only() {
        assert!(faults(&TREE, &imports(&GOOD)).is_empty());
        let upward = with(&TREE, "low", &["middle::part"]);
        assert!(upward[0].starts_with("low imports middle::part"), "{upward:?}");
        assert!(!with(&TREE, "middle", &["top"]).is_empty());
        assert!(with(&TREE, "middle", &["top::plain"]).is_empty(), "the longer name counts");
        assert!(!with(&TREE, "top::plain", &["middle"]).is_empty());
    }

    #[test]
    fn every_module_has_a_layer_and_every_name_a_module() {
        assert!(with(&TREE, "lower", &[])[0].contains("no layer"), "it is not below `low`");
        let mut few = imports(&GOOD);
        few.remove("top::plain");
        assert!(faults(&TREE, &few)[0].contains("no module top::plain"));
    }

    #[test]
    fn what_is_left_of_the_old_order_can_only_shrink() {
        let tree = Tree { upward: &[("low", "top")], ..TREE };
        let with = |names: &[&str]| {
            let others = ["middle", "top", "top::plain"].map(|name| (name, &[][..]));
            faults(&tree, &imports(&[&[("low", names)], &others[..]].concat()))
        };
        assert!(with(&["top"]).is_empty());
        assert!(with(&["middle"]).len() == 2, "another one, and the first is gone");
        assert!(with(&[])[0].contains("no longer imports"));
    }

    #[test]
    fn circles_are_found_and_can_only_shrink() {
        let free = Tree { layers: &[], ..TREE };
        let circle: [(&str, &[&str]); 4] =
            [("a", &["b"]), ("b", &["c"]), ("c", &["a", "d"]), ("d", &[])];
        let found = faults(&free, &imports(&circle));
        assert!(found.len() == 1 && found[0].contains("a, b, c;"), "{found:?}");
        let tolerated = Tree { circles: &[&["a", "b", "c"]], ..free };
        assert!(faults(&tolerated, &imports(&circle)).is_empty());
        let wider = Tree { circles: &[&["a", "b"]], ..free };
        assert_eq!(faults(&wider, &imports(&circle)).len(), 2, "it has grown");
        let straight: [(&str, &[&str]); 2] = [("a", &["b"]), ("b", &[])];
        assert_eq!(faults(&tolerated, &imports(&straight)).len(), 1, "it is gone");
        let two: [(&str, &[&str]); 4] =
            [("a", &["b"]), ("b", &["a"]), ("c", &["d"]), ("d", &["c"])];
        assert_eq!(faults(&free, &imports(&two)).len(), 2);
    }

    #[test]
    fn a_module_and_its_parts_are_no_circle() {
        let free = Tree { layers: &[], ..TREE };
        let facade: [(&str, &[&str]); 2] = [("a", &["a::b"]), ("a::b", &["a"])];
        assert!(faults(&free, &imports(&facade)).is_empty());
        let siblings: [(&str, &[&str]); 2] = [("a::b", &["a::c"]), ("a::c", &["a::b"])];
        assert_eq!(faults(&free, &imports(&siblings)).len(), 1);
    }
}
