//! `docker/rootfs.lock`: the exact Debian packages of the base layer. It names no
//! host: a pool path is found on whichever mirror the machine uses.

use anyhow::{Context, Result, bail};

/// Where it is, relative to the repository.
pub(crate) const FILE: &str = "docker/rootfs.lock";

const HEADER: &str = "\
# The exact Debian packages of the image's base layer, written by
# `cargo xtask image --update-lock` from docker/rootfs.toml.
# architecture, name, version, SHA-256, path on a mirror
";

/// One pinned package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pin {
    /// Debian's name of the architecture the image is for.
    pub(crate) architecture: String,
    pub(crate) name: String,
    pub(crate) version: String,
    /// Of the .deb file, in hexadecimal digits.
    pub(crate) sha256: String,
    /// Archive and path in it, such as `debian/pool/main/…` or
    /// `debian-security/pool/…`.
    pub(crate) path: String,
}

impl Pin {
    /// Name of the file in the cache.
    pub(crate) fn file(&self) -> String {
        format!("{}.deb", self.sha256)
    }
}

/// The text of the lock file.
pub(crate) fn format(pins: &[Pin]) -> String {
    let mut pins = pins.to_vec();
    pins.sort();
    let lines = pins.iter().map(|pin| {
        format!("{} {} {} {} {}\n", pin.architecture, pin.name, pin.version, pin.sha256, pin.path)
    });
    HEADER.to_owned() + &lines.collect::<String>()
}

/// Reads the text of the lock file.
pub(crate) fn parse(text: &str) -> Result<Vec<Pin>> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(number, line)| pin(line).with_context(|| format!("{FILE}:{}", number + 1)))
        .collect()
}

fn pin(line: &str) -> Result<Pin> {
    let words: Vec<&str> = line.split(' ').collect();
    let [architecture, name, version, sha256, path] = words[..] else {
        bail!("five words are expected: architecture, name, version, SHA-256, path");
    };
    if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        bail!("{sha256} is not a SHA-256");
    }
    if path.contains("://") || path.starts_with('/') || path.split('/').any(|part| part == "..") {
        bail!("{path} is not a path on a mirror");
    }
    let [architecture, name, version, sha256, path] =
        [architecture, name, version, sha256, path].map(str::to_owned);
    Ok(Pin { architecture, name, version, sha256, path })
}

/// The pins for one architecture; all of `wanted` must be there and nothing else.
pub(crate) fn for_architecture<'a>(
    pins: &[Pin],
    architecture: &str,
    wanted: impl Iterator<Item = &'a str>,
) -> Result<Vec<Pin>> {
    let own: Vec<Pin> =
        pins.iter().filter(|pin| pin.architecture == architecture).cloned().collect();
    let wanted: Vec<&str> = wanted.collect();
    let missing = wanted.iter().filter(|name| !own.iter().any(|pin| pin.name == **name));
    let extra = own.iter().map(|pin| pin.name.as_str()).filter(|name| !wanted.contains(name));
    let differing: Vec<&str> = missing.copied().chain(extra).collect();
    if !differing.is_empty() {
        bail!(
            "docker/rootfs.toml and {FILE} differ for {architecture} in {}; run `cargo xtask image --update-lock`",
            differing.join(", ")
        );
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(path: &str) -> String {
        format!("amd64 libc6 2.41-12 {} {path}\n", "0".repeat(64))
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = HEADER.to_owned() + &line("debian/pool/main/g/glibc/libc6_2.41-12_amd64.deb");
        assert_eq!(format(&parse(&text).expect("a lock")), text);
    }

    #[test]
    fn an_address_is_refused_with_its_line() {
        let error = parse(&line("http://mirror/x.deb")).expect_err("refused");
        assert!(format!("{error:#}").starts_with("docker/rootfs.lock:1: http:"), "{error:#}");
        assert!(parse("amd64 libc6\n").is_err());
        assert!(parse(&line("debian/../../x.deb")).is_err());
    }

    #[test]
    fn a_recipe_that_the_lock_does_not_know_is_found() {
        let pins = parse(&line("debian/pool/x.deb")).expect("a lock");
        assert!(for_architecture(&pins, "amd64", ["libc6"].into_iter()).is_ok());
        for (architecture, wanted) in
            [("amd64", vec!["libc6", "tzdata"]), ("amd64", vec![]), ("arm64", vec!["libc6"])]
        {
            let error =
                for_architecture(&pins, architecture, wanted.into_iter()).expect_err("differs");
            assert!(error.to_string().contains("--update-lock"), "{error}");
        }
    }

    #[test]
    fn the_committed_lock_fits_the_recipe_on_every_platform() {
        let text = xtask::files::text(&xtask::repo::path(super::super::rootfs::FILE));
        let rootfs = super::super::rootfs::Rootfs::parse(&text).expect("valid");
        let pins = parse(&xtask::files::text(&xtask::repo::path(FILE))).expect("a lock");
        for platform in xtask::platform::Platform::all() {
            for_architecture(&pins, platform.debian, rootfs.packages()).expect(platform.name);
        }
    }
}
