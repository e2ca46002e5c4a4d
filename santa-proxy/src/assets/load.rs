//! Reads the built console into memory, once at start and once at each reload.
//! The only file that touches the directory; requests never do.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use santa_config::Size;

use super::backup::is_backup;
use super::compress;
use super::content::Content;
use super::{Asset, Site, Variant};
use crate::assets::media::{cache_control, media_type};
use crate::http::coding::Coding;
use crate::http::date;
use crate::local_response::push_security;

/// Codings that the build writes beside a file, and their extensions.
const SIBLINGS: [(Coding, &str); 3] =
    [(Coding::Br, "br"), (Coding::Zstd, "zst"), (Coding::Gzip, "gz")];

/// A file as found.
struct Found {
    path: PathBuf,
    /// Path in a URL, with its leading slash.
    url: String,
    /// Seconds since 1970.
    modified: u64,
    /// Length in bytes.
    len: u64,
}

impl Site {
    /// Reads everything under `root`.
    ///
    /// # Errors
    /// When the directory or a file cannot be read, `index.html` is missing, or
    /// there is more than `most`.
    pub(crate) fn load(root: &Path, most: Size) -> Result<Self> {
        let mut found = Vec::new();
        collect(root, "", &mut found)
            .with_context(|| format!("reading the console in {}", root.display()))?;
        let total = found.iter().map(|file| file.len).sum();
        ensure!(
            Size(total) <= most,
            "{} holds {total} bytes; all of it is kept in memory, up to \
             proxy.limits.console_size, which is {}: is it the built console?",
            root.display(),
            most.0
        );
        found.sort_by(|a, b| a.url.cmp(&b.url));
        let mut site = Self { assets: Vec::new(), by_path: HashMap::new(), fallback: None };
        for file in &found {
            if is_sibling(file, &found) {
                continue;
            }
            let asset = load_asset(file, &found)
                .with_context(|| format!("reading {}", file.path.display()))?;
            site.add(&file.url, asset);
        }
        site.fallback = site.by_path.get("/index.html").copied();
        ensure!(
            site.fallback.is_some(),
            "{} has no index.html; build the console with `cargo xtask build`, or point paths.www \
             at a built one",
            root.display()
        );
        Ok(site)
    }

    fn add(&mut self, url: &str, asset: Asset) {
        let index = self.assets.len();
        self.assets.push(asset);
        if let Some(directory) = url.strip_suffix("index.html") {
            self.by_path.insert(directory.into(), index);
        }
        self.by_path.insert(url.into(), index);
    }
}

/// Lists the files below `directory`; hidden names, backups and symbolic links that
/// lead to something else than a plain file are left out.
fn collect(directory: &Path, url: &str, found: &mut Vec<Found>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') && !(url.is_empty() && name == ".well-known") {
            continue;
        }
        if is_backup(&name) {
            continue;
        }
        let url = format!("{url}/{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), &url, found)?;
        } else if kind.is_file() {
            let metadata = entry.metadata()?;
            let modified = seconds(metadata.modified()?);
            found.push(Found { path: entry.path(), url, modified, len: metadata.len() });
        }
    }
    Ok(())
}

/// A time of the file system, never in the future (RFC 9110 §8.8.2.1).
fn seconds(time: SystemTime) -> u64 {
    let time = time.min(SystemTime::now());
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn find<'f>(url: &str, found: &'f [Found]) -> Option<&'f Found> {
    found.binary_search_by(|file| file.url.as_str().cmp(url)).ok().map(|index| &found[index])
}

/// Whether this is the compressed form of another file.
fn is_sibling(file: &Found, found: &[Found]) -> bool {
    SIBLINGS.iter().any(|(_, extension)| {
        file.url
            .strip_suffix(extension)
            .and_then(|url| url.strip_suffix('.'))
            .is_some_and(|url| find(url, found).is_some())
    })
}

fn load_asset(file: &Found, found: &[Found]) -> Result<Asset> {
    let siblings: Vec<(Coding, &Found)> = SIBLINGS
        .iter()
        .filter_map(|(coding, extension)| {
            let sibling = find(&format!("{}.{extension}", file.url), found)?;
            // An older sibling was made from an earlier version of the file.
            (sibling.modified >= file.modified).then_some((*coding, sibling))
        })
        .collect();
    let identity = fs::read(&file.path)?;
    let mut forms = Vec::new();
    for (coding, sibling) in &siblings {
        let content = fs::read(&sibling.path)?;
        if content.len() < identity.len() {
            forms.push((*coding, content));
        }
    }
    if siblings.is_empty() {
        forms = compress::forms(media_type(&file.url), &identity)?;
    }
    let varies = !forms.is_empty();
    let mut variants: [Option<Variant>; 4] = [const { None }; 4];
    for (coding, content) in forms {
        variants[coding as usize] = Some(variant(file, coding, content, varies)?);
    }
    variants[Coding::Identity as usize] = Some(variant(file, Coding::Identity, identity, varies)?);
    Ok(Asset { variants, modified: file.modified })
}

fn variant(file: &Found, coding: Coding, content: Vec<u8>, varies: bool) -> io::Result<Variant> {
    let etag = format!("\"{:032x}\"", fingerprint(&content));
    let mut validators = format!(
        "ETag: {etag}\r\nLast-Modified: {}\r\nCache-Control: {}\r\n",
        date::format(file.modified),
        cache_control(&file.url)
    )
    .into_bytes();
    if varies {
        validators.extend_from_slice(b"Vary: Accept-Encoding\r\n");
    }
    let mut lines = format!("Content-Type: {}\r\n", media_type(&file.url)).into_bytes();
    if coding != Coding::Identity {
        lines.extend_from_slice(format!("Content-Encoding: {}\r\n", coding.name()).as_bytes());
    }
    lines.extend_from_slice(&validators);
    lines.extend_from_slice(b"Accept-Ranges: bytes\r\n");
    push_security(&mut lines);
    Ok(Variant {
        content: Content::keep(content)?,
        etag: etag.into_boxed_str(),
        lines: lines.into_boxed_slice(),
        validators: validators.into_boxed_slice(),
    })
}

/// FNV-1a with 128 bits: tells versions of a file apart, the same on every
/// machine. Not a defense against forgery, which entity tags do not need.
fn fingerprint(content: &[u8]) -> u128 {
    content.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}
