//! Documentation that names what is not there misleads: every `cargo xtask`
//! command and flag, every path and every link in the Markdown files is looked
//! up.

use anyhow::{Result, bail};
use clap::CommandFactory as _;

use crate::{files, repo};

/// Folders of the repository whose paths are looked up when named in backticks.
const FOLDERS: [&str; 9] = [
    "xtask/",
    "santa-proxy/",
    "santa-supervise/",
    "backend/",
    "frontend/",
    "docker/",
    "docs/",
    ".ci/",
    ".cargo/",
];

/// Fails with everything that is named and does not exist.
pub(crate) fn check() -> Result<()> {
    let mut wrong = Vec::new();
    for file in files::all()?.iter().filter(|file| file.ends_with(".md")) {
        let text = files::text(&repo::path(file));
        for (number, line) in text.lines().enumerate() {
            let place = format!("{file}:{}", number + 1);
            wrong.extend(links(file, line).into_iter().map(|text| format!("{place}: {text}")));
            wrong.extend(code(line).into_iter().map(|text| format!("{place}: {text}")));
        }
    }
    if !wrong.is_empty() {
        bail!("the documentation names what does not exist:\n{}", wrong.join("\n"));
    }
    Ok(())
}

/// Relative links that lead nowhere.
fn links(file: &str, line: &str) -> Vec<String> {
    let folder = repo::path(file).parent().map(std::path::Path::to_owned).unwrap_or_default();
    let targets = line.match_indices("](").filter_map(|(at, _)| line[at + 2..].split(')').next());
    targets
        .filter(|target| {
            !target.contains("://")
                && !target.starts_with(['#', '/'])
                && !target.starts_with("mailto:")
        })
        .map(|target| target.split('#').next().unwrap_or_default())
        .filter(|target| !target.is_empty() && !folder.join(target).exists())
        .map(|target| format!("link to {target}"))
        .collect()
}

/// Commands and paths in backticks (or on a line of a code block) that do not
/// exist.
fn code(line: &str) -> Vec<String> {
    let quoted: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
    let spans =
        if line.trim_start().starts_with("cargo xtask") { vec![line.trim()] } else { quoted };
    spans.into_iter().filter_map(|span| command(span).or_else(|| path(span))).collect()
}

fn command(span: &str) -> Option<String> {
    let rest = span.strip_prefix("cargo xtask")?;
    let words: Vec<&str> = rest
        .split_whitespace()
        // After "--" come the options of another program.
        .take_while(|word| !["#", "--"].contains(word) && !word.starts_with("&&"))
        .collect();
    let cli = crate::Cli::command();
    let (name, words) = words.split_first()?;
    let name = name.trim_end_matches(['.', ',', '…']);
    if name.is_empty()
        || name.starts_with("--")
        || name.chars().next().is_some_and(char::is_uppercase)
    {
        return None;
    }
    let Some(subcommand) = cli.find_subcommand(name) else {
        return Some(format!("command cargo xtask {name}"));
    };
    let values = words.iter().zip(words.iter().skip(1));
    let groups: Vec<_> =
        values.filter(|(flag, _)| **flag == "--group").map(|(_, group)| group).collect();
    let words = words.iter().filter(|word| !groups.contains(word));
    words.into_iter().find_map(|word| argument(subcommand, name, word))
}

fn argument(subcommand: &clap::Command, name: &str, word: &str) -> Option<String> {
    let word = word.trim_matches(['[', ']']);
    if let Some(flag) = word.strip_prefix("--") {
        let flag = flag.split('=').next().unwrap_or_default();
        let known = subcommand.get_arguments().any(|argument| argument.get_long() == Some(flag));
        return (!known && flag != "help").then(|| format!("flag --{flag} of cargo xtask {name}"));
    }
    let step_of_ci =
        name == "ci" && word.chars().next().is_some_and(|first| first.is_ascii_lowercase());
    (step_of_ci && !super::steps::names().contains(&word))
        .then(|| format!("step {word} of cargo xtask ci"))
}

fn path(span: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let is_path = FOLDERS.iter().any(|folder| span.starts_with(folder)) && span.chars().all(plain);
    (is_path && !repo::path(span).exists()).then(|| format!("path {span}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_exist_is_found() {
        assert_eq!(
            code("run `cargo xtask deploy-to-mars`"),
            ["command cargo xtask deploy-to-mars"]
        );
        assert_eq!(code("`cargo xtask dev --now`"), ["flag --now of cargo xtask dev"]);
        assert_eq!(code("cargo xtask ci no-such-step"), ["step no-such-step of cargo xtask ci"]);
        assert_eq!(code("see `docker/nothing.toml`"), ["path docker/nothing.toml"]);
        assert_eq!(links("README.md", "[x](docs/nothing.md)"), ["link to docs/nothing.md"]);
    }

    #[test]
    fn what_exists_passes() {
        for line in [
            "`cargo xtask dev --port 9000`",
            "`cargo xtask ci clippy e2e`",
            "`cargo xtask ci --group long --minutes 60`",
            "`docker/santa.toml`",
            "`cargo xtask deploy --image REF -- --network=host`",
            "`cargo xtask COMMAND`",
            "`cargo xtask …`",
        ] {
            assert!(code(line).is_empty(), "{line}: {:?}", code(line));
        }
        assert!(
            links("docs/x.md", "[a](../docker/santa.toml#top) [b](https://example.com)").is_empty()
        );
    }
}
