//! Reads Debian packages without dpkg: an `ar` archive that holds two tar
//! archives, one with the control file and one with the files.

use std::io::Read;

use anyhow::{Context, Result, bail};

use super::tree::{Node, Tree};

/// What a package holds.
pub(crate) struct Package {
    /// The text of its control file.
    pub(crate) control: String,
    /// Those of its files that were wanted.
    pub(crate) files: Tree,
}

/// Reads a .deb file and keeps the paths that `wanted` says.
pub(crate) fn read(deb: &[u8], wanted: impl Fn(&str) -> bool) -> Result<Package> {
    let mut control = None;
    let mut files = None;
    for (name, bytes) in members(deb)? {
        if name.starts_with("control.tar") {
            control = Some(control_file(decoder(name, bytes)?)?);
        } else if name.starts_with("data.tar") {
            files = Some(tree(decoder(name, bytes)?, &wanted)?);
        }
    }
    Ok(Package {
        control: control.context("not a Debian package: no control.tar in it")?,
        files: files.context("not a Debian package: no data.tar in it")?,
    })
}

/// The members of an `ar` archive.
fn members(archive: &[u8]) -> Result<Vec<(&str, &[u8])>> {
    let mut rest = archive.strip_prefix(b"!<arch>\n").context("not a Debian package")?;
    let mut found = Vec::new();
    while rest.len() >= 60 {
        let (header, after) = rest.split_at(60);
        let field =
            |range: std::ops::Range<usize>| std::str::from_utf8(&header[range]).map(str::trim);
        let size: usize = field(48..58)?.parse().context("a member's size is not a number")?;
        if size > after.len() {
            bail!("the package is cut off");
        }
        found.push((field(0..16)?.trim_end_matches('/'), &after[..size]));
        // Members begin at even places.
        rest = after.get(size + size % 2..).unwrap_or_default();
    }
    Ok(found)
}

fn decoder<'a>(name: &str, bytes: &'a [u8]) -> Result<Box<dyn Read + 'a>> {
    Ok(match name.rsplit('.').next() {
        Some("xz") => Box::new(lzma_rust2::XzReader::new(bytes, true)),
        Some("gz") => Box::new(flate2::read::GzDecoder::new(bytes)),
        Some("zst") => Box::new(zstd::Decoder::new(bytes)?),
        Some("tar") => Box::new(bytes),
        _ => bail!("{name} is compressed in an unknown way"),
    })
}

fn control_file(archive: impl Read) -> Result<String> {
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.path()?.file_name().is_some_and(|name| name == "control") {
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            return Ok(text);
        }
    }
    bail!("no control file in the package")
}

/// The wanted entries of a tar archive. Set-uid and group-write bits are lost.
fn tree(archive: impl Read, wanted: impl Fn(&str) -> bool) -> Result<Tree> {
    let mut tree = Tree::default();
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries().context("cannot read the package's files")? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let path = path.trim_start_matches("./").trim_end_matches('/').to_owned();
        if !wanted(&path) {
            continue;
        }
        let node = match entry.header().entry_type() {
            tar::EntryType::Regular => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                let mode = if entry.header().mode()? & 0o100 == 0 { 0o644 } else { 0o755 };
                Node::File { mode, bytes: bytes.into() }
            }
            tar::EntryType::Symlink => {
                let target = entry.link_name()?.context("a link without a target")?;
                Node::Link(target.to_string_lossy().into_owned())
            }
            tar::EntryType::Directory => continue,
            other => bail!("{path} is a {other:?}, which no package here should hold"),
        };
        tree.put(&path, node);
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tarball(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, text) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o4775);
            builder.append_data(&mut header, path, text.as_bytes()).expect("added");
        }
        builder.into_inner().expect("finished")
    }

    fn member(name: &str, bytes: &[u8]) -> Vec<u8> {
        let mut all =
            format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, bytes.len())
                .into_bytes();
        all.extend(bytes);
        if bytes.len() % 2 == 1 {
            all.push(b'\n');
        }
        all
    }

    fn deb() -> Vec<u8> {
        let data = tarball(&[("./usr/bin/x", "program"), ("./usr/share/man/x", "page")]);
        let parts = [
            b"!<arch>\n".to_vec(),
            member("debian-binary", b"2.0\n"),
            member("control.tar", &tarball(&[("./control", "Package: x\n")])),
            member("data.tar", &data),
        ];
        parts.concat()
    }

    #[test]
    fn wanted_files_come_without_set_uid_bits() {
        let package = read(&deb(), |path| path.starts_with("usr/bin")).expect("read");
        assert_eq!(package.control, "Package: x\n");
        let files: Vec<_> = package.files.files().map(|(path, _)| path.to_owned()).collect();
        assert_eq!(files, ["usr/bin/x"]);
        let node = package.files.get("usr/bin/x").expect("there");
        assert!(matches!(node, Node::File { mode: 0o755, .. }), "{node:?}");
    }

    #[test]
    fn a_cut_off_package_is_refused() {
        let deb = deb();
        assert!(read(&deb[..deb.len() - 600], |_| true).is_err());
        assert!(read(b"<html>not found</html>", |_| true).is_err());
    }
}
