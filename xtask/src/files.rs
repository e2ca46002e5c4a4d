//! The files of the repository: all that no `.gitignore` leaves out. git is not asked,
//! so that a copy without its history, and one that git does not trust, are checked
//! like a clone.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::repo;

/// Paths relative to the repository, in order.
pub(crate) fn all() -> Result<Vec<String>> {
    let mut found = Vec::new();
    walk(repo::root(), "", &mut Vec::new(), &mut found)?;
    found.sort();
    Ok(found)
}

/// One line of a `.gitignore`.
struct Pattern {
    /// The folder that the file lies in, with a slash at its end unless it is the root.
    base: String,
    text: String,
    /// Whether it is a path from `base` on; else a name at any depth.
    anchored: bool,
    folders_only: bool,
}

fn walk(
    root: &Path,
    base: &str,
    ignored: &mut Vec<Pattern>,
    found: &mut Vec<String>,
) -> Result<()> {
    let folder = root.join(base);
    let outer = ignored.len();
    ignored.extend(patterns(base, &text(&folder.join(".gitignore"))));
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {base}"))?;
    for entry in entries {
        let entry = entry?;
        let path = format!("{base}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        let is_folder = kind.is_dir();
        if !is_folder && !kind.is_file() && !kind.is_symlink() {
            continue; // a socket, say, of a program that runs beside
        }
        if entry.file_name() == ".git" || ignored.iter().any(|one| one.fits(&path, is_folder)) {
            continue;
        }
        if !is_folder {
            found.push(path);
        } else if !entry.path().join(".git").exists() {
            walk(root, &format!("{path}/"), ignored, found)?;
        }
    }
    ignored.truncate(outer);
    Ok(())
}

fn patterns(base: &str, text: &str) -> Vec<Pattern> {
    let lines = text.lines().map(str::trim_end);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let name = line.strip_suffix('/').unwrap_or(line);
            Pattern {
                base: base.to_owned(),
                text: name.trim_start_matches('/').to_owned(),
                anchored: name.contains('/'),
                folders_only: line.ends_with('/'),
            }
        })
        .collect()
}

impl Pattern {
    fn fits(&self, path: &str, is_folder: bool) -> bool {
        let Some(inside) = path.strip_prefix(&self.base) else { return false };
        let name = inside.rsplit('/').next().unwrap_or(inside);
        (is_folder || !self.folders_only)
            && fits(&self.text, if self.anchored { inside } else { name })
    }
}

/// Whether `pattern` fits all of `text`; "*" stands for any characters but a slash.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            let most = text.find('/').unwrap_or(text.len());
            (0..=most).any(|at| text.is_char_boundary(at) && fits(rest, &text[at..]))
        }),
    }
}

/// The text of a file ; a missing file counts as empty.
pub fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Removes a folder; one that is not there is fine.
pub fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", repo::shown(folder)))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_is_ignored_is_left_out_at_its_place_only() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let write = |path: &str, text: &str| {
            let file = folder.path().join(path);
            fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            fs::write(file, text).expect("written");
        };
        write(".gitignore", "# comment\n/dist/\nnode_modules/\n*.pyc\n/docs/*.tmp\n");
        write("sub/.gitignore", "/build/\n*.log\n");
        for path in [
            "a.md",
            "a.pyc",
            "dist/x",
            "sub/dist/x",
            "sub/build/x",
            "build/x",
            "sub/a.log",
            "a.log",
            "sub/node_modules/x",
            "docs/a.tmp",
            "docs/b/a.tmp",
            "other/.git/config",
            "other/x",
            ".git/config",
        ] {
            write(path, "");
        }
        let _socket = UnixListener::bind(folder.path().join("sub/socket")).expect("bound");
        let mut found = Vec::new();
        walk(folder.path(), "", &mut Vec::new(), &mut found).expect("read");
        found.sort();
        assert_eq!(
            found,
            [
                ".gitignore",
                "a.log",
                "a.md",
                "build/x",
                "docs/b/a.tmp",
                "sub/.gitignore",
                "sub/dist/x",
            ]
        );
    }

    #[test]
    fn the_list_is_that_of_git_where_there_is_one() {
        let all = all().expect("read");
        assert!(all.iter().any(|file| file == "xtask/src/files.rs"));
        assert!(!all.iter().any(|file| file.starts_with("target/")));
        if !repo::path(".git").exists() {
            return; // a copy without its history has no list to compare with
        }
        let git = std::process::Command::new("git")
            // Another user's checkout is read, too.
            .args(["-c", "safe.directory=*", "ls-files", "--cached", "-z"])
            .current_dir(repo::root())
            .output()
            .expect("git");
        assert!(git.status.success(), "{}", String::from_utf8_lossy(&git.stderr));
        let listed = String::from_utf8_lossy(&git.stdout);
        let missing: Vec<&str> = listed
            .split_terminator('\0')
            .filter(|file| !all.iter().any(|other| other == file))
            .filter(|file| repo::path(file).exists())
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
