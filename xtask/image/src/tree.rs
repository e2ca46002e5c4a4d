//! A root filesystem in memory: sorted paths, modes and contents, nothing else.
//! Owners and times are the same for every entry and set where it is written.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};

use xtask::repo;

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Directory {
        mode: u32,
    },
    File {
        mode: u32,
        bytes: Arc<[u8]>,
    },
    /// A symbolic link to this text.
    Link(String),
}

impl Node {
    /// Whether this is a file with exactly these bytes.
    pub(crate) fn holds(&self, content: &[u8]) -> bool {
        matches!(self, Self::File { bytes, .. } if bytes[..] == *content)
    }
}

/// Entries by path, without the leading slash; a folder sorts before what it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tree(BTreeMap<String, Node>);

/// Mode of ordinary folders.
const DIRECTORY: u32 = 0o755;

impl Tree {
    /// Puts an entry in place and makes the folders above it.
    pub(crate) fn put(&mut self, path: &str, node: Node) {
        for (at, _) in path.match_indices('/') {
            let folder = path[..at].to_owned();
            self.0.entry(folder).or_insert(Node::Directory { mode: DIRECTORY });
        }
        self.0.insert(path.to_owned(), node);
    }

    /// A file that everyone may read.
    pub(crate) fn file(&mut self, path: &str, bytes: impl Into<Arc<[u8]>>) {
        self.put(path, Node::File { mode: 0o644, bytes: bytes.into() });
    }

    /// A program.
    pub(crate) fn program(&mut self, path: &str, bytes: impl Into<Arc<[u8]>>) {
        self.put(path, Node::File { mode: 0o755, bytes: bytes.into() });
    }

    /// A symbolic link.
    pub(crate) fn link(&mut self, path: &str, target: &str) {
        self.put(path, Node::Link(target.to_owned()));
    }

    /// A folder with a mode of its own.
    pub(crate) fn directory(&mut self, path: &str, mode: u32) {
        self.put(path, Node::Directory { mode });
    }

    /// All entries, sorted.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.0.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// All files, sorted.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &Arc<[u8]>)> {
        self.entries().filter_map(|(path, node)| match node {
            Node::File { bytes, .. } => Some((path, bytes)),
            _ => None,
        })
    }

    /// The entry at exactly this path.
    pub(crate) fn get(&self, path: &str) -> Option<&Node> {
        self.0.get(path)
    }

    /// Whether something is at this path once symbolic links are followed.
    pub(crate) fn resolves(&self, path: &str) -> bool {
        self.real(path, 0).is_some_and(|path| path.is_empty() || self.0.contains_key(&path))
    }

    /// The path without symbolic links.
    fn real(&self, path: &str, depth: u32) -> Option<String> {
        let mut real: Vec<&str> = Vec::new();
        let parts: Vec<&str> =
            path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        for (index, part) in parts.iter().enumerate() {
            if *part == ".." {
                real.pop();
                continue;
            }
            real.push(part);
            if let Some(Node::Link(target)) = self.0.get(&real.join("/")) {
                real.pop();
                let folder = if target.starts_with('/') { String::new() } else { real.join("/") };
                let rest = parts[index + 1..].join("/");
                return (depth < 40)
                    .then(|| self.real(&format!("{folder}/{target}/{rest}"), depth + 1))
                    .flatten();
            }
        }
        Some(real.join("/"))
    }

    /// Takes all entries of another tree.
    pub(crate) fn merge(&mut self, other: Tree) {
        for (path, node) in other.0 {
            self.put(&path, node);
        }
    }

    /// Keeps what the rule says, folders included.
    pub(crate) fn retain(&mut self, mut rule: impl FnMut(&str, &Node) -> bool) {
        self.0.retain(|path, node| rule(path, node));
    }

    /// Sum of the contents in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.files().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// Reads a folder of the machine; what is executable there is so here.
    pub(crate) fn read(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        let listed =
            fs::read_dir(folder).with_context(|| format!("cannot read {}", repo::shown(folder)))?;
        for entry in listed {
            let entry = entry?;
            let name = entry.file_name();
            let path = format!("{prefix}/{}", name.to_string_lossy());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.directory(&path, DIRECTORY);
                self.read(&entry.path(), &path)?;
            } else if kind.is_symlink() {
                self.link(&path, &fs::read_link(entry.path())?.to_string_lossy());
            } else {
                let bytes = fs::read(entry.path())?;
                let mode =
                    if entry.metadata()?.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 };
                self.put(&path, Node::File { mode, bytes: bytes.into() });
            }
        }
        Ok(())
    }

    /// Writes everything into a folder of the machine, which need not be root's.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        for (path, node) in self.entries() {
            let target = folder.join(path);
            write_one(&target, node)
                .with_context(|| format!("cannot write {}", repo::shown(&target)))?;
        }
        Ok(())
    }
}

fn write_one(target: &Path, node: &Node) -> std::io::Result<()> {
    let mode = |mode: u32| fs::set_permissions(target, fs::Permissions::from_mode(mode));
    match node {
        Node::Directory { mode: bits } => {
            fs::create_dir_all(target)?;
            mode(*bits)
        }
        Node::File { mode: bits, bytes } => {
            fs::write(target, bytes)?;
            mode(*bits)
        }
        Node::Link(text) => std::os::unix::fs::symlink(text, target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Tree {
        let mut tree = Tree::default();
        tree.link("lib", "usr/lib");
        tree.file("usr/lib/x/libz.so.1.3", *b"z");
        tree.link("usr/lib/x/libz.so.1", "libz.so.1.3");
        tree.link("etc/ssl", "/usr/lib/ssl");
        tree.link("loop", "loop");
        tree
    }

    #[test]
    fn links_are_followed_inside_the_tree() {
        let tree = sample();
        for path in ["lib/x/libz.so.1", "/lib/x/../x/libz.so.1", "usr/lib", ""] {
            assert!(tree.resolves(path), "{path}");
        }
        for path in ["etc/ssl", "lib/x/libc.so.6", "loop"] {
            assert!(!tree.resolves(path), "{path}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let mut tree = sample();
        tree.program("usr/bin/x", *b"#!");
        tree.write(folder.path()).expect("written");
        let mut found = Tree::default();
        found.read(folder.path(), "").expect("read");
        let found: Vec<_> =
            found.entries().map(|(path, node)| (path.to_owned(), node.clone())).collect();
        let expected: Vec<_> =
            tree.entries().map(|(path, node)| (format!("/{path}"), node.clone())).collect();
        let found: Vec<_> = found.into_iter().filter(|(path, _)| !path.is_empty()).collect();
        assert_eq!(found, expected);
    }
}
