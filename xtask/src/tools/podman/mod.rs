//! A container engine of the repository's own: the system's podman and runc with
//! configuration, images and containers in ignored folders, so that nothing of
//! the user's set-up is read or written.

mod firewall;
pub(crate) mod network;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, getrlimit};
use xshell::{Shell, cmd};

use super::system;
use crate::{lock, private, repo, run};

/// Images, containers and configuration, in `.dev`.
const HOME: &str = "podman";

const PACKAGES: [&str; 7] =
    ["podman", "catatonit", "runc", "netavark", "aardvark-dns", "iptables", "skopeo"];
/// Programs that must be there; Debian's packages of the same names bring them.
const PROGRAMS: [&str; 3] = ["podman", "runc", "skopeo"];
/// Where podman looks for the first process of a pod, besides PATH. Debian's
/// podman only recommends its package.
const POD_INIT: [&str; 3] = [
    "/usr/libexec/podman/catatonit",
    "/usr/lib/podman/catatonit",
    "/usr/libexec/catatonit/catatonit",
];

/// The engine: podman and the environment that it needs.
pub struct Podman {
    environment: Vec<(&'static str, PathBuf)>,
}

/// The engine, installed from the system's packages where that is possible.
pub fn ensure_installed() -> Result<Podman> {
    let has_programs = PROGRAMS.iter().all(|program| run::find(program).is_some());
    if !has_programs || !has_pod_init() {
        install(&PACKAGES)?;
    }
    let home = repo::dev(HOME);
    let _alone = lock::hold(&home.join("configuration"))?;
    let networks = home.join("networks");
    fs::create_dir_all(&networks)
        .with_context(|| format!("cannot create {}", repo::shown(&networks)))?;
    network::write(&networks, &home)?;
    let conf = home.join("containers.conf");
    let text = containers_conf(&home, hard_limit(Resource::Nofile), hard_limit(Resource::Nproc));
    private::write(&conf, &text)?;
    let storage = home.join("storage.conf");
    private::write(&storage, &storage_conf(&home))?;
    let registries = home.join("registries.conf");
    // A name without a registry is ours; nothing is ever pulled.
    private::write(&registries, "unqualified-search-registries = []\n")?;
    Ok(Podman {
        environment: vec![
            ("CONTAINERS_CONF", conf),
            ("CONTAINERS_STORAGE_CONF", storage),
            ("CONTAINERS_REGISTRIES_CONF", registries),
            ("BUILDAH_ISOLATION", PathBuf::from("chroot")),
        ],
    })
}

impl Podman {
    /// A shell in the repository's root whose podman is this one.
    pub fn shell(&self) -> Result<Shell> {
        let shell = run::shell()?;
        for (name, value) in &self.environment {
            shell.set_var(name, value);
        }
        Ok(shell)
    }

    /// Waits until no other command of this clone has containers, and removes those
    /// that an interrupted one has left.
    pub(crate) fn session(&self) -> Result<Session> {
        let lock = lock::hold(&repo::dev(HOME))?;
        let session =
            Session { shell: self.shell()?, before: firewall::Before::look(), _lock: lock };
        session.sweep();
        Ok(session)
    }
}

/// The time in which a command has containers: none outlives it, and the machine's
/// firewall is then as it was.
pub(crate) struct Session {
    shell: Shell,
    before: firewall::Before,
    _lock: lock::Held,
}

impl Session {
    fn sweep(&self) {
        // Ctrl-C must not keep it from its work, nor a container from the next.
        for kind in [&["pod", "rm"][..], &["rm", "--time=0"]] {
            let remove = cmd!(self.shell, "podman {kind...} --all --force");
            let _ = remove.quiet().ignore_stdout().ignore_stderr().run();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.sweep();
        self.before.restore();
    }
}

fn has_pod_init() -> bool {
    run::find("catatonit").is_some() || POD_INIT.iter().any(|path| Path::new(path).exists())
}

/// Installs packages of the system, which takes root and apt.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if !system::installs() {
        bail!(
            "podman, runc, skopeo and catatonit are needed to run containers and not all were found; install them (on Debian: sudo apt-get install {list})"
        );
    }
    system::install("podman", packages)
}

fn hard_limit(resource: Resource) -> u64 {
    getrlimit(resource).maximum.unwrap_or(u64::MAX)
}

/// What podman needs on a machine without systemd, journal or the right to raise
/// limits: none may be set above what this process has.
fn containers_conf(home: &Path, files: u64, processes: u64) -> String {
    let (files, processes) = (files.min(65_536), processes.min(32_768));
    let (home, network) = (home.display(), network::NAME);
    format!(
        "[containers]\ndefault_ulimits = [\"nofile={files}:{files}\", \"nproc={processes}:{processes}\"]\n\
         log_driver = \"k8s-file\"\n\
         [network]\nnetwork_backend = \"netavark\"\nnetwork_config_dir = \"{home}/networks\"\n\
         default_network = \"{network}\"\n\
         [engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n\
         lock_type = \"file\"\n\
         static_dir = \"{home}/libpod\"\nvolume_path = \"{home}/volumes\"\ntmp_dir = \"{}/tmp\"\n",
        run_root(&home.to_string())
    )
}

fn storage_conf(home: &Path) -> String {
    let home = home.display().to_string();
    format!(
        "[storage]\ndriver = \"overlay\"\ngraphroot = \"{home}/storage\"\nrunroot = \"{}\"\n",
        run_root(&home)
    )
}

/// Sockets go here, whose paths must stay short wherever the repository is.
fn run_root(home: &str) -> String {
    format!("{}-c", repo::short(Path::new(home)).display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_never_above_those_of_this_process() {
        let conf = containers_conf(Path::new("/r/.dev/containers"), 20_000, u64::MAX);
        assert!(conf.contains("\"nofile=20000:20000\", \"nproc=32768:32768\""), "{conf}");
        conf.parse::<toml::Table>().expect("TOML");
        storage_conf(Path::new("/r")).parse::<toml::Table>().expect("TOML");
    }

    #[test]
    fn sockets_have_short_paths_in_a_deep_repository() {
        let path = run_root(&"/a-long-folder-name".repeat(20));
        assert!(path.len() <= 50, "{path}");
        assert_ne!(path, run_root("/other"));
    }
}
