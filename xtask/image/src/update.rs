//! Which versions of Debian's packages are current, asked of apt in a private folder
//! and with its signature checks: for `cargo xtask image --update-lock`, and for
//! tools that are unpacked instead of installed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xshell::cmd;

use super::deb;
use super::mirror::{self, Mirror};
use super::pins::{self, Pin};
use super::rootfs::Rootfs;
use xtask::platform::{DEBIAN, Platform};
use xtask::{progress, repo, run};

/// Where Debian's keys are on Debian and its relatives.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Where packages have programs.
const PROGRAMS: [&str; 3] = ["usr/bin/", "usr/libexec/", "usr/sbin/"];

/// Writes the lock file again and says what changed.
pub(crate) fn run(rootfs: &Rootfs, mirror: Option<&str>) -> Result<()> {
    if run::find("apt-get").is_none() {
        bail!(
            "the lock is renewed by apt, which checks Debian's signatures; run this on Debian or in a container of it"
        );
    }
    let mirror = Mirror::choose(mirror)?;
    let file = repo::path(pins::FILE);
    let before = fs::read_to_string(&file).ok().and_then(|text| pins::parse(&text).ok());
    let mut pins = Vec::new();
    for platform in Platform::all() {
        let what = format!("packages of {} for {}", rootfs.suite, platform.debian);
        let names: Vec<&str> = rootfs.packages().collect();
        pins.extend(progress::step(&what, || {
            current(&rootfs.suite, &names, &mirror, platform.debian)
        })?);
    }
    fs::write(&file, pins::format(&pins))
        .with_context(|| format!("cannot write {}", pins::FILE))?;
    for line in changes(&before.unwrap_or_default(), &pins) {
        xtask::out!("{line}");
    }
    Ok(())
}

/// Puts the programs of packages into a folder, in the versions that are current on
/// this machine's mirror. apt checks their signatures; nothing is installed.
pub(crate) fn unpack(names: &[&str], folder: &Path) -> Result<()> {
    if run::find("apt-get").is_none() {
        bail!("the packages {} are fetched by apt; run this on Debian", names.join(", "));
    }
    let mirror = Mirror::choose(None)?;
    let pins = current(DEBIAN, names, &mirror, Platform::of_this_machine()?.debian)?;
    for file in mirror::fetch(&pins, None)? {
        let bytes =
            fs::read(&file).with_context(|| format!("cannot read {}", repo::shown(&file)))?;
        let programs = |path: &str| PROGRAMS.iter().any(|start| path.starts_with(start));
        deb::read(&bytes, programs)?.files.write(folder)?;
        // Only those of the image are asked for again.
        fs::remove_file(&file)?;
    }
    Ok(())
}

/// The current packages for one architecture.
fn current(suite: &str, names: &[&str], mirror: &Mirror, architecture: &str) -> Result<Vec<Pin>> {
    let home = repo::dev("cache/apt").join(architecture);
    let config = private_apt(&home, suite, mirror, architecture)?;
    let shell = run::shell()?;
    shell.set_var("APT_CONFIG", &config);
    run::output("read the mirror's package lists", cmd!(shell, "apt-get -qq update"))?;
    let listed = run::output(
        "find the packages",
        cmd!(shell, "apt-get -qq download --print-uris {names...}"),
    )?;
    let mut pins = Vec::new();
    for line in listed.lines().filter(|line| line.starts_with('\'')) {
        pins.push(
            parse(line, architecture, mirror)
                .with_context(|| format!("cannot read apt's line {line}"))?,
        );
    }
    pins::for_architecture(&pins, architecture, names.iter().copied())
}

/// A line such as `'http://m/debian/pool/…/n_1%2b2_amd64.deb' n_1+2_amd64.deb 123 SHA256:…`.
fn parse(line: &str, architecture: &str, mirror: &Mirror) -> Result<Pin> {
    let mut words = line.split(' ');
    let address = words.next().unwrap_or_default().trim_matches('\'');
    // Here apt writes an epoch's colon as %3a.
    let file = words.next().unwrap_or_default().replace("%3a", ":");
    let sha256 = words.next_back().and_then(|word| word.strip_prefix("SHA256:"));
    let [name, version, _] = file.split('_').collect::<Vec<_>>()[..] else {
        bail!("{file} is not the name of a package file");
    };
    Ok(Pin {
        architecture: architecture.to_owned(),
        name: name.to_owned(),
        version: version.to_owned(),
        sha256: sha256.context("no SHA-256 in it")?.to_owned(),
        path: mirror.locked_path(address).context("not on the chosen mirror")?,
    })
}

/// A configuration with which apt touches nothing of the system's.
fn private_apt(home: &Path, suite: &str, mirror: &Mirror, architecture: &str) -> Result<PathBuf> {
    for folder in ["state/lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(home.join(folder)).context("cannot create .dev/cache/apt")?;
    }
    fs::write(home.join("state/status"), "")?;
    let [main, security] = mirror.archives();
    let signed =
        if Path::new(KEYRING).exists() { format!("[signed-by={KEYRING}] ") } else { String::new() };
    let sources = format!(
        "deb {signed}{main} {suite} main\ndeb {signed}{main} {suite}-updates main\n\
         deb {signed}{security} {suite}-security main\n"
    );
    fs::write(home.join("sources.list"), sources)?;
    let shown = home.display();
    let config = format!(
        "Dir::State \"{shown}/state\";\nDir::State::status \"{shown}/state/status\";\n\
         Dir::Cache \"{shown}/cache\";\nDir::Etc::sourcelist \"{shown}/sources.list\";\n\
         Dir::Etc::sourceparts \"/dev/null\";\nAPT::Architecture \"{architecture}\";\n\
         APT::Architectures {{ \"{architecture}\"; }};\nAPT::Sandbox::User \"root\";\n\
         Acquire::Languages \"none\";\nAcquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n"
    );
    let file = home.join("apt.conf");
    fs::write(&file, config)?;
    Ok(file)
}

/// One line for each package that is new, gone or of another version.
fn changes(before: &[Pin], after: &[Pin]) -> Vec<String> {
    let version = |pins: &[Pin], pin: &Pin| {
        let same = |other: &&Pin| other.name == pin.name && other.architecture == pin.architecture;
        pins.iter().find(same).map_or("none", |found| &found.version).to_owned()
    };
    let gone = before.iter().filter(|pin| version(after, pin) == "none");
    let mut all: Vec<&Pin> = after.iter().chain(gone).collect();
    all.sort();
    all.into_iter()
        .map(|pin| (pin, version(before, pin), version(after, pin)))
        .filter(|(_, old, new)| old != new)
        .map(|(pin, old, new)| format!("{} {}: {old} → {new}", pin.architecture, pin.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apts_line_becomes_a_pin_without_a_host() {
        let mirror = Mirror::choose(Some("http://m.example/debian")).expect("given");
        let line = format!(
            "'http://m.example/debian/pool/main/z/zlib/zlib1g_1.3%2breally_amd64.deb' zlib1g_1%3a1.3+really_amd64.deb 88720 SHA256:{}",
            "b".repeat(64)
        );
        let pin = parse(&line, "amd64", &mirror).expect("a pin");
        assert_eq!((pin.name.as_str(), pin.version.as_str()), ("zlib1g", "1:1.3+really"));
        assert_eq!(pin.path, "debian/pool/main/z/zlib/zlib1g_1.3+really_amd64.deb");
    }

    #[test]
    fn changes_name_old_and_new_version() {
        let pin = |name: &str, version: &str| {
            let line = format!("amd64 {name} {version} {} debian/x\n", "0".repeat(64));
            pins::parse(&line).expect("a lock").remove(0)
        };
        let lines = changes(&[pin("a", "1"), pin("b", "1")], &[pin("a", "2"), pin("c", "1")]);
        assert_eq!(lines, ["amd64 a: 1 → 2", "amd64 b: 1 → none", "amd64 c: none → 1"]);
    }
}
