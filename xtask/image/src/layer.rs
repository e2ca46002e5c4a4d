//! A tree as a layer: a tar archive with fixed times and owners, compressed,
//! known by the SHA-256 of both forms, and kept for the next run.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::hash;
use super::tree::{Node, Tree};
use xtask::commands::image::Compression;
use xtask::{files, progress, repo};

/// The time of every file: 2025-01-01T00:00:00Z, in seconds.
pub(crate) const TIME: u64 = 1_735_689_600;

/// How many versions of one layer are kept.
const KEPT: usize = 3;

/// The media type of a layer that is compressed so.
pub(crate) fn media_type(compression: Compression) -> &'static str {
    match compression {
        Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
        Compression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
    }
}

fn compress(compression: Compression, bytes: &[u8], level: i32) -> Result<Vec<u8>> {
    Ok(match compression {
        Compression::Zstd => {
            let mut encoder = zstd::Encoder::new(Vec::new(), level)?;
            encoder.include_checksum(true)?;
            encoder.set_pledged_src_size(Some(bytes.len() as u64))?;
            encoder.write_all(bytes)?;
            encoder.finish()?
        }
        Compression::Gzip => {
            let level = flate2::Compression::new(if level > 9 { 9 } else { 6 });
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(bytes)?;
            encoder.finish()?
        }
    })
}

/// A finished layer.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub(crate) name: String,
    /// The compressed archive.
    pub(crate) file: PathBuf,
    /// SHA-256 of the compressed archive.
    pub(crate) digest: String,
    /// SHA-256 of the archive.
    pub(crate) diff_id: String,
    /// Bytes of the compressed archive.
    pub(crate) size: u64,
    /// Bytes of the files in it.
    pub(crate) unpacked: u64,
    /// How many entries it has.
    pub(crate) entries: u64,
    pub(crate) compression: Compression,
}

/// What identifies a layer before it is made.
pub(crate) struct LayerSpec<'a> {
    pub(crate) name: &'a str,
    /// SHA-256 of everything the layer depends on.
    pub(crate) inputs: String,
    pub(crate) compression: Compression,
    /// For zstd; above 9, gzip does its best too.
    pub(crate) level: i32,
}

impl LayerSpec<'_> {
    /// The layer, made by `make` unless the same was made before.
    pub(crate) fn layer(&self, make: impl FnOnce() -> Result<Tree>) -> Result<Layer> {
        let kind = format!("{:?} {}", self.compression, self.level);
        let key = hash::Inputs::default().add(self.inputs.as_bytes()).add(kind.as_bytes()).finish();
        let folder = repo::dev("cache/image").join(format!("{}-{}", self.name, &key[..16]));
        if !folder.join("layer.json").exists() {
            progress::step(&format!("layer {}", self.name), || {
                let tree = make()?;
                files::remove(&folder)?;
                self.write(&tree, &folder)
            })?;
            forget_old(self.name)?;
        }
        self.read(&folder)
    }

    fn write(&self, tree: &Tree, folder: &Path) -> Result<()> {
        let archive = archive(tree)?;
        let compressed = compress(self.compression, &archive, self.level)?;
        fs::create_dir_all(folder)?;
        fs::write(folder.join("layer"), &compressed)?;
        let facts = json!({
            "digest": hash::sha256(&compressed),
            "diff_id": hash::sha256(&archive),
            "size": compressed.len(),
            "unpacked": tree.size(),
            "entries": tree.entries().count(),
        });
        let file = folder.join("layer.json");
        fs::write(&file, facts.to_string())
            .with_context(|| format!("cannot write {}", repo::shown(&file)))
    }

    fn read(&self, folder: &Path) -> Result<Layer> {
        let file = folder.join("layer.json");
        let facts: Value = serde_json::from_str(&files::text(&file)).with_context(|| {
            format!("{} is damaged; remove .dev/cache/image", repo::shown(&file))
        })?;
        let text = |key: &str| facts[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| facts[key].as_u64().unwrap_or_default();
        Ok(Layer {
            name: self.name.to_owned(),
            file: folder.join("layer"),
            digest: text("digest"),
            diff_id: text("diff_id"),
            size: number("size"),
            unpacked: number("unpacked"),
            entries: number("entries"),
            compression: self.compression,
        })
    }
}

/// The tree as a tar archive that depends on nothing else.
pub(crate) fn archive(tree: &Tree) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, node) in tree.entries() {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(TIME);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        match node {
            Node::Directory { mode } => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(*mode);
                builder.append_data(&mut header, format!("{path}/"), std::io::empty())?;
            }
            Node::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_mode(0o777);
                builder.append_link(&mut header, path, target)?;
            }
            Node::File { mode, bytes } => {
                header.set_entry_type(tar::EntryType::Regular);
                header.set_mode(*mode);
                header.set_size(bytes.len() as u64);
                builder.append_data(&mut header, path, &bytes[..])?;
            }
        }
    }
    Ok(builder.into_inner()?)
}

/// The tree in an archive; the opposite of [`archive`].
pub(crate) fn unarchive(archive: &[u8]) -> Result<Tree> {
    let mut tree = Tree::default();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().trim_end_matches('/').to_owned();
        let mode = entry.header().mode()?;
        match entry.header().entry_type() {
            tar::EntryType::Directory => tree.directory(&path, mode),
            tar::EntryType::Symlink => {
                let target = entry.link_name()?.context("a link without a target")?;
                tree.link(&path, &target.to_string_lossy());
            }
            tar::EntryType::Regular => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                tree.put(&path, Node::File { mode, bytes: bytes.into() });
            }
            other => anyhow::bail!("{path} in a layer is a {other:?}"),
        }
    }
    Ok(tree)
}

/// The archive inside a layer, whatever it is compressed with.
pub(crate) fn decompress(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut archive = Vec::new();
    if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        zstd::Decoder::new(bytes)?.read_to_end(&mut archive)?;
    } else if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut archive)?;
    } else {
        archive.extend(bytes);
    }
    Ok(archive)
}

/// Removes all but the newest versions of a layer.
fn forget_old(name: &str) -> Result<()> {
    let mut versions = Vec::new();
    for entry in fs::read_dir(repo::dev("cache/image"))? {
        let entry = entry?;
        let own = entry
            .file_name()
            .to_string_lossy()
            .rsplit_once('-')
            .is_some_and(|(own, _)| own == name);
        if own {
            versions.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    versions.sort();
    let old = versions.len().saturating_sub(KEPT);
    versions[..old].iter().try_for_each(|(_, folder)| files::remove(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Tree {
        let mut tree = Tree::default();
        tree.program("usr/bin/x", *b"program");
        tree.link("bin", "usr/bin");
        tree.directory("tmp", 0o1777);
        tree.file(&format!("app/{}/x.py", "long".repeat(60)), *b"1");
        tree
    }

    #[test]
    fn an_archive_depends_on_the_tree_only() {
        let (first, second) =
            (archive(&sample()).expect("made"), archive(&sample()).expect("made"));
        assert_eq!(first, second);
        let mut archive = tar::Archive::new(&first[..]);
        for entry in archive.entries().expect("entries") {
            let header = entry.expect("an entry").header().clone();
            let facts = (header.mtime().ok(), header.uid().ok(), header.gid().ok());
            assert_eq!(facts, (Some(TIME), Some(0), Some(0)));
        }
    }

    #[test]
    fn an_archive_is_the_tree_again() {
        let archive = archive(&sample()).expect("made");
        assert_eq!(unarchive(&archive).expect("read"), sample());
    }

    #[test]
    fn both_compressions_come_apart_again() {
        let archive = archive(&sample()).expect("made");
        for compression in [Compression::Zstd, Compression::Gzip] {
            let packed = compress(compression, &archive, 3).expect("compressed");
            assert!(packed.len() < archive.len());
            assert_eq!(decompress(&packed).expect("decompressed"), archive);
        }
        assert_eq!(decompress(&archive).expect("as it is"), archive);
    }
}
