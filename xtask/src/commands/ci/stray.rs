//! One configuration: the paths, ports and sockets of `docker/santa.toml` are repeated
//! nowhere else in the sources. They are read from the file itself.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use santa_config::{Address, Config, Env};

use crate::{files, repo};

/// Files in which a value may be repeated, with the reason.
const ALLOWED: &[(&str, &str)] = &[
    ("docker/", "the container's own files publish and mount what the configuration names"),
    ("docs/", "documentation"),
    ("README.md", "documentation"),
    ("CHANGELOG.md", "documentation"),
    ("CONTRIBUTING.md", "documentation"),
    ("backend/openapi.json", "generated"),
];

/// Endings of the files that are searched.
const SEARCHED: [&str; 8] = ["rs", "py", "ts", "js", "svelte", "toml", "sh", "html"];

/// Fails when a value of the configuration is repeated elsewhere.
pub(crate) fn check() -> Result<()> {
    let config = santa_config::load(&repo::path("docker/santa.toml"), &Env::new())?;
    let needles = needles(&config);
    let mut found = Vec::new();
    for file in files::all()?.iter().filter(|file| searched(file)) {
        let text = files::text(&repo::path(file));
        // Rust keeps unit tests at the end of the file they test.
        let code = text.lines().take_while(|line| *line != "#[cfg(test)]");
        for (number, line) in code.enumerate() {
            for needle in needles.iter().filter(|needle| mentions(line, needle)) {
                found.push(format!("{file}:{}: {needle}", number + 1));
            }
        }
    }
    if !found.is_empty() {
        bail!(
            "values of docker/santa.toml are repeated; read them from there (crate santa-config) instead:\n{}",
            found.join("\n")
        );
    }
    Ok(())
}

fn needles(config: &Config) -> BTreeSet<String> {
    let paths = &config.paths;
    let mut needles: BTreeSet<String> =
        [&paths.www, &paths.python, &config.supervisor.control_socket]
            .map(|path| path.display().to_string())
            .into();
    let admin = config.admin.listen.map(Address::Tcp);
    for address in config.sockets.values().map(|socket| socket.listen.clone()).chain(admin) {
        needles.insert(match address {
            Address::Tcp(address) => address.port().to_string(),
            Address::Unix(path) => path.with_extension("").display().to_string(),
        });
    }
    needles
}

fn searched(file: &str) -> bool {
    let ending = file.rsplit('.').next().unwrap_or_default();
    // Tests show the documented values to prove that they are right.
    let test = file.ends_with("_tests.rs")
        || file.split('/').any(|part| part == "tests")
        || file.contains(".test.");
    SEARCHED.contains(&ending)
        && !test
        && !ALLOWED.iter().any(|(allowed, _)| file.starts_with(allowed))
}

/// Whether a line names the value as a word of its own.
fn mentions(line: &str, needle: &str) -> bool {
    let word = |character: Option<char>| {
        character.is_some_and(|character| character.is_ascii_alphanumeric())
    };
    line.match_indices(needle).any(|(at, _)| {
        !word(line[..at].chars().next_back()) && !word(line[at + needle.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_count() {
        assert!(mentions("let port = 8080;", "8080"));
        assert!(mentions("http://127.0.0.1:8080/health", "8080"));
        assert!(!mentions("sha256:80809", "8080"));
        assert!(mentions("bind(\"/tmp/uvicorn.sock\")", "/tmp/uvicorn"));
    }
}
