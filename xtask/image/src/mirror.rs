//! Where Debian packages come from: the mirror in the machine's own apt sources
//! or the one given, fetched with the machine's own client (apt's, else curl).
//! Whatever arrives counts only when its SHA-256 is the locked one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xshell::{Shell, cmd};

use super::hash;
use super::pins::Pin;
use xtask::{repo, run};

/// The two archives of a release, by the first part of a locked path.
const ARCHIVES: [&str; 2] = ["debian", "debian-security"];

const APT_HELPER: &str = "/usr/lib/apt/apt-helper";

/// A mirror of Debian's archives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mirror {
    /// Base addresses in the order of [`ARCHIVES`], without a slash at the end.
    bases: [String; 2],
}

impl Mirror {
    /// The mirror that is given, else the machine's own.
    pub(crate) fn choose(given: Option<&str>) -> Result<Self> {
        if let Some(url) = given {
            return Ok(Self::at(url));
        }
        let configured = match run::find("apt-get") {
            Some(apt) => {
                // Unlike `indextargets`, this needs no lists that were fetched before.
                let shell = run::shell()?;
                run::output("read apt's sources", cmd!(shell, "{apt} --print-uris update"))?
            }
            None => String::new(),
        };
        Self::from_sources(&configured).context(
            "this machine's apt sources name no Debian mirror; name one with --mirror URL (it ends in /debian)",
        )
    }

    /// A mirror whose main archive is at `url`.
    fn at(url: &str) -> Self {
        let main = url.trim_end_matches('/').to_owned();
        let security = format!("{main}-security");
        Self { bases: [main, security] }
    }

    /// The first addresses of each archive in what apt would fetch: lines such as
    /// `'http://m.example/debian/dists/trixie/InRelease' NAME 0`.
    fn from_sources(list: &str) -> Option<Self> {
        let of = |archive: &str| {
            let suffix = format!("/{archive}");
            let quoted = list.lines().filter_map(|line| line.trim().strip_prefix('\''));
            let mut addresses =
                quoted.filter_map(|line| line.split_once("/dists/")).map(|(address, _)| address);
            addresses.find(|address| address.ends_with(&suffix)).map(str::to_owned)
        };
        let mut mirror = Self::at(&of(ARCHIVES[0])?);
        if let Some(security) = of(ARCHIVES[1]) {
            mirror.bases[1] = security;
        }
        Some(mirror)
    }

    /// The addresses of the main and the security archive.
    pub(crate) fn archives(&self) -> [&str; 2] {
        [&self.bases[0], &self.bases[1]]
    }

    /// The address of a locked path.
    fn address(&self, path: &str) -> Result<String> {
        let (archive, rest) = path.split_once('/').unwrap_or_default();
        let known = ARCHIVES.iter().position(|name| *name == archive);
        let index = known.with_context(|| format!("{path} is in no archive of Debian"))?;
        Ok(format!("{}/{}", self.bases[index], rest.replace('+', "%2b")))
    }

    /// A mirror's address as a locked path; the opposite of [`Self::address`].
    pub(crate) fn locked_path(&self, address: &str) -> Option<String> {
        let address = address.replace("%2b", "+").replace("%7e", "~");
        ARCHIVES.iter().zip(&self.bases).find_map(|(archive, base)| {
            Some(format!(
                "{archive}{}",
                address
                    .strip_prefix(base.as_str())?
                    .strip_prefix('/')
                    .map(|rest| format!("/{rest}"))?
            ))
        })
    }
}

/// The cache of fetched packages.
pub(crate) fn cache() -> PathBuf {
    repo::dev("cache/debian")
}

/// Fetches what is missing of `pins` and returns the files in their order.
pub(crate) fn fetch(pins: &[Pin], mirror: Option<&str>) -> Result<Vec<PathBuf>> {
    let cache = cache();
    fs::create_dir_all(&cache).context("cannot create .dev/cache/debian")?;
    let missing: Vec<&Pin> = pins.iter().filter(|pin| !cache.join(pin.file()).exists()).collect();
    if !missing.is_empty() {
        let mirror = Mirror::choose(mirror)?;
        let shell = run::shell()?;
        for pin in missing {
            package(&shell, &mirror, pin, &cache)?;
        }
    }
    Ok(pins.iter().map(|pin| cache.join(pin.file())).collect())
}

/// Fetches one package into the cache, where only what is locked gets.
fn package(shell: &Shell, mirror: &Mirror, pin: &Pin, cache: &Path) -> Result<()> {
    let partial = cache.join(format!("{}.partial", pin.sha256));
    one(shell, &mirror.address(&pin.path)?, &partial).map_err(|message| explain(pin, &message))?;
    verify(pin, &partial)?;
    Ok(fs::rename(&partial, cache.join(pin.file()))?)
}

/// Fetches one address into a file.
fn one(shell: &Shell, address: &str, file: &Path) -> Result<()> {
    let what = "fetch a Debian package";
    if Path::new(APT_HELPER).exists() {
        // Run by root it would give up its rights, and may then not read the repository.
        let as_root = ["-o", "APT::Sandbox::User=root"];
        return run::output(
            what,
            cmd!(shell, "{APT_HELPER} {as_root...} download-file {address} {file}"),
        )
        .map(drop);
    }
    let Some(curl) = run::find("curl") else {
        bail!("apt or curl is needed to fetch Debian packages and neither was found in PATH");
    };
    run::output(
        what,
        cmd!(shell, "{curl} --silent --show-error --fail --location --output {file} {address}"),
    )
    .map(drop)
}

/// Says whose fault a failed fetch is and what to do.
fn explain(pin: &Pin, error: &anyhow::Error) -> anyhow::Error {
    if error.is::<run::Interrupted>() {
        return run::Interrupted.into();
    }
    let message = format!("{error:#}");
    if message.contains("404") {
        return anyhow::anyhow!(
            "{} {} is no longer on the mirror: Debian has replaced it by a newer version; run `cargo xtask image --update-lock`, look at the difference and commit it",
            pin.name,
            pin.version
        );
    }
    anyhow::anyhow!(
        "{} {} could not be fetched; another mirror can be named with --mirror URL\n{message}",
        pin.name,
        pin.version
    )
}

fn verify(pin: &Pin, file: &Path) -> Result<()> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", repo::shown(file)))?;
    let found = hash::sha256(&bytes);
    if found != pin.sha256 {
        fs::remove_file(file)?;
        bail!(
            "the mirror's {} is not the locked one: SHA-256 {found} instead of {}; nothing of it was used",
            pin.path,
            pin.sha256
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    fn pin() -> Pin {
        let text = format!("amd64 libz 1+x {} debian/pool/l/libz_1+x_amd64.deb", "a".repeat(64));
        super::super::pins::parse(&text).expect("a lock").remove(0)
    }

    #[test]
    fn the_machines_own_mirror_is_found_among_other_repositories() {
        let list = "'https://packages.example/apt/dists/a/InRelease' a 0\n\
             'http://m.example/debian-security/dists/trixie-security/InRelease' b 0\n\
             'http://d.example/debian/dists/trixie/InRelease' c 0\n";
        let mirror = Mirror::from_sources(list).expect("a mirror");
        assert_eq!(
            mirror.archives(),
            ["http://d.example/debian", "http://m.example/debian-security"]
        );
        assert_eq!(
            Mirror::from_sources("'https://packages.example/ubuntu/dists/x/InRelease' a 0\n"),
            None
        );
    }

    #[test]
    fn an_address_and_a_locked_path_are_each_others_opposite() {
        let mirror = Mirror::at("http://m.example/debian/");
        for path in ["debian/pool/a_1+b_amd64.deb", "debian-security/pool/x.deb"] {
            let address = mirror.address(path).expect("known");
            assert!(!address.contains('+'));
            assert_eq!(mirror.locked_path(&address).as_deref(), Some(path));
        }
        assert!(mirror.address("ubuntu/pool/x.deb").is_err());
    }

    /// What is said when the package is fetched from a mirror that answers so.
    fn fetched_from(answer: &'static str) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("bound");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        failure(&format!("http://{address}/debian"))
    }

    fn failure(mirror: &str) -> String {
        let cache = tempfile::tempdir().expect("temporary folder");
        let shell = run::shell().expect("a shell");
        let error =
            package(&shell, &Mirror::at(mirror), &pin(), cache.path()).expect_err("refused");
        let kept = fs::read_dir(cache.path()).expect("there").flatten();
        let kept: Vec<_> = kept.map(|entry| entry.file_name()).collect();
        assert!(!kept.contains(&pin().file().into()), "{kept:?}");
        format!("{error:#}")
    }

    #[test]
    fn a_vanished_package_says_how_to_renew_the_lock() {
        let message = fetched_from(
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
        assert!(
            message.contains("libz 1+x is no longer") && message.contains("--update-lock"),
            "{message}"
        );
        assert!(!message.contains("404"), "{message}");
    }

    #[test]
    fn what_is_not_the_locked_package_is_thrown_away() {
        let message =
            fetched_from("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nother");
        assert!(
            message.contains("not the locked one") && message.contains("nothing of it was used"),
            "{message}"
        );
    }

    #[test]
    fn a_mirror_that_does_not_answer_says_that_there_are_others() {
        // Nobody listens there; a port that was free a moment ago may be another test's.
        let message = failure("http://127.0.0.1:1/debian");
        assert!(
            message.contains("libz 1+x could not be fetched") && message.contains("--mirror URL"),
            "{message}"
        );
    }
}
