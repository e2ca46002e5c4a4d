//! The imports of a Python file, also those inside functions and those for types only:
//! they tie two files together as well.

/// The module of a file by its path below the package; nothing for other files.
pub(super) fn module(path: &str) -> Option<String> {
    let name = path.strip_suffix(".py")?;
    Some(name.strip_suffix("/__init__").unwrap_or(name).replace('/', "::"))
}

/// The full paths inside the package that `text`, the file of `module`, names.
pub(super) fn imports(module: &str, text: &str, root: &str) -> Vec<String> {
    let package = root.rsplit('/').next().unwrap_or(root);
    let mut found = Vec::new();
    for statement in statements(text) {
        if let Some((from, names)) =
            statement.strip_prefix("from ").and_then(|rest| rest.split_once(" import "))
        {
            let Some(base) = absolute(module, from.trim(), package) else { continue };
            let names = names.trim().trim_matches(['(', ')']).split(',');
            let names = names.filter_map(|name| name.split_whitespace().next());
            found.extend(names.map(|name| join(&base, name)));
        } else if let Some(names) = statement.strip_prefix("import ") {
            let names = names.split(',').filter_map(|name| name.split_whitespace().next());
            found.extend(names.filter_map(|name| absolute(module, name, package)));
        }
    }
    found
}

/// Lines that may be imports, those in brackets joined to one.
fn statements(text: &str) -> Vec<String> {
    let mut statements: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if open {
            if let Some(last) = statements.last_mut() {
                last.push_str(line);
            }
        } else if line.starts_with("from ") || line.starts_with("import ") {
            statements.push(line.to_owned());
        } else {
            continue;
        }
        open = statements.last().is_some_and(|last| last.contains('(') && !last.contains(')'));
    }
    statements
}

/// A module from the package's root; nothing when it is another package's. A relative
/// one counts from the folder of the file, which for `__init__.py` is taken to be that
/// around it: the package imports by full names.
fn absolute(module: &str, name: &str, package: &str) -> Option<String> {
    let path = name.trim_start_matches('.');
    let dots = name.len() - path.len();
    let path = path.replace('.', "::");
    if dots == 0 {
        let inside = path.strip_prefix(package)?;
        return if inside.is_empty() {
            Some(String::new())
        } else {
            inside.strip_prefix("::").map(str::to_owned)
        };
    }
    let mut base = module;
    for _ in 0..dots {
        base = base.rsplit_once("::").map_or("", |(parent, _)| parent);
    }
    Some(join(base, &path))
}

fn join(base: &str, name: &str) -> String {
    match (base, name) {
        ("", name) => name.to_owned(),
        (base, "") => base.to_owned(),
        (base, name) => format!("{base}::{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        imports("rules::service", text, "backend/app")
    }

    #[test]
    fn every_kind_of_import_is_found() {
        assert_eq!(of("from app.sync import cursor, head as h\n"), ["sync::cursor", "sync::head"]);
        assert_eq!(
            of("from app import db  # why\nimport app.tags.models as m\n"),
            ["db", "tags::models"]
        );
        assert_eq!(
            of("from app.tags import (\n    one,\n    two,\n)\nx = 1\n"),
            ["tags::one", "tags::two"]
        );
        assert_eq!(of("def f():\n    from .schemas import X\n"), ["rules::schemas::X"]);
        assert_eq!(of("from ..tags import X\n"), ["tags::X"]);
    }

    #[test]
    fn other_packages_are_no_imports() {
        assert!(
            of("import os, sys\nfrom apple import x\nimportant = 1\n# from app import x\n")
                .is_empty()
        );
    }

    #[test]
    fn a_file_is_the_module_of_its_path() {
        assert_eq!(module("rules/service.py").as_deref(), Some("rules::service"));
        assert_eq!(module("rules/__init__.py").as_deref(), Some("rules"));
        assert_eq!(module("py.typed"), None);
    }
}
