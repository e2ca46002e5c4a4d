//! What a change of files means, as a pure function from paths to steps. Vite
//! follows the console's sources by itself, so they ask for nothing.

use std::collections::BTreeSet;
use std::path::Path;

/// Something to do after files have changed, in the order of doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Install the backend's packages again.
    PythonPackages,
    /// Install the console's packages again.
    ConsolePackages,
    /// Build santa-proxy and santa-supervise.
    Build,
    /// Migrate the database to the newest schema.
    Migrate,
    /// Swap the running proxy for the new one.
    RestartProxy,
    /// Fork a fresh backend from loaded dependencies.
    ReloadBackend,
    /// Restart the backend, dependencies included.
    RestartBackend,
    /// Restart Vite.
    RestartVite,
    /// Restart everything: the configuration or the supervisor itself changed.
    RestartAll,
}

/// The steps for these changed paths, relative to the repository.
pub(crate) fn steps<'a>(changed: impl IntoIterator<Item = &'a Path>) -> BTreeSet<Step> {
    let mut steps: BTreeSet<Step> = changed.into_iter().flat_map(one).copied().collect();
    if steps.contains(&Step::RestartAll) {
        steps.retain(|step| {
            !matches!(
                step,
                Step::RestartProxy
                    | Step::ReloadBackend
                    | Step::RestartBackend
                    | Step::RestartVite
                    | Step::Migrate
            )
        });
    }
    if steps.contains(&Step::RestartBackend) {
        steps.remove(&Step::ReloadBackend);
    }
    steps
}

fn one(path: &Path) -> &'static [Step] {
    if !interesting(path) {
        return &[];
    }
    let text = path.to_string_lossy();
    let sql = path.extension().is_some_and(|extension| extension == "sql");
    match &*text {
        "docker/santa.toml" => &[Step::RestartAll],
        "Cargo.toml" | "Cargo.lock" => &[Step::Build, Step::RestartAll],
        "backend/requirements-dev.txt" => &[Step::PythonPackages, Step::RestartBackend],
        "frontend/package-lock.json" => &[Step::ConsolePackages, Step::RestartVite],
        _ if text.starts_with("santa-proxy/") => &[Step::Build, Step::RestartProxy],
        _ if text.starts_with("docker/config/") || text.starts_with("santa-supervise/") => {
            &[Step::Build, Step::RestartAll]
        }
        _ if text.starts_with("backend/santaserver/migrations/versions/") && sql => {
            &[Step::Migrate, Step::ReloadBackend]
        }
        _ if text.starts_with("backend/santaserver/") => &[Step::ReloadBackend],
        _ => &[],
    }
}

/// Not what tools and editors leave about, nor tests.
fn interesting(path: &Path) -> bool {
    let skipped = |part: &str| {
        part.starts_with('.')
            || part.ends_with('~')
            || part.starts_with('#')
            || ["__pycache__", "node_modules", "target", "tests", "benches", "fuzz", "dist"]
                .contains(&part)
    };
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    !["pyc", "swp", "tmp", "md", "orig"].contains(&extension)
        && !path.iter().filter_map(|part| part.to_str()).any(skipped)
        && path.file_name().is_none_or(|name| name != "4913")
}

#[cfg(test)]
mod tests {
    use super::*;
    use Step::*;

    fn check(paths: &[&str], expected: &[Step]) {
        let found = steps(paths.iter().map(Path::new));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), expected, "{paths:?}");
    }

    #[test]
    fn a_change_touches_only_what_it_concerns() {
        check(&["backend/santaserver/rules/service.py"], &[ReloadBackend]);
        check(&["santa-proxy/src/route.rs"], &[Build, RestartProxy]);
        check(&["frontend/src/routes/+page.svelte"], &[]);
        check(&["docker/santa.toml"], &[RestartAll]);
        check(&["santa-supervise/src/main.rs"], &[Build, RestartAll]);
        check(&["backend/requirements-dev.txt"], &[PythonPackages, RestartBackend]);
        check(&["frontend/package-lock.json"], &[ConsolePackages, RestartVite]);
        check(
            &["backend/santaserver/migrations/versions/0002_tags.sql"],
            &[Migrate, ReloadBackend],
        );
    }

    #[test]
    fn steps_of_several_changes_are_merged_in_order() {
        check(
            &["santa-proxy/src/a.rs", "santa-proxy/src/b.rs", "backend/santaserver/main.py"],
            &[Build, RestartProxy, ReloadBackend],
        );
        check(
            &["docker/santa.toml", "santa-proxy/src/a.rs", "backend/santaserver/main.py"],
            &[Build, RestartAll],
        );
        check(
            &["backend/requirements-dev.txt", "backend/santaserver/main.py"],
            &[PythonPackages, RestartBackend],
        );
    }

    #[test]
    fn what_tools_and_editors_leave_about_is_not_a_change() {
        check(
            &[
                "backend/santaserver/__pycache__/main.cpython-311.pyc",
                "backend/santaserver/.main.py.swp",
                "backend/santaserver/main.py~",
                "backend/santaserver/4913",
                "backend/tests/test_rules.py",
                "santa-proxy/tests/routing.rs",
                "santa-proxy/README.md",
            ],
            &[],
        );
    }
}
