//! A Docker of the repository's own: daemon, client, Compose and BuildKit out of
//! Debian's packages, unpacked in an ignored folder. Its images and containers are
//! in one too, and it leaves the machine's firewall and any other Docker alone.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process};
use xshell::{Shell, cmd};

use super::podman;
use crate::commands::image;
use crate::platform::DEBIAN;
use crate::{cache, files, progress, repo, run, wait};

const PACKAGES: [&str; 5] =
    ["containerd", "docker-buildx", "docker-cli", "docker-compose", "docker.io"];

/// Longest that the daemon may take to answer, and to stop its containers.
const TIMEOUT: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(100);

/// Networks of its own, that no network of a machine is likely to have.
const NETWORKS: &str = "base=10.213.0.0/16,size=24";

/// The running daemon; stopped when dropped.
pub(crate) struct Docker {
    child: Child,
    environment: [(&'static str, String); 3],
}

/// Unpacks what is missing and starts the daemon without containers.
pub(crate) fn start() -> Result<Docker> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "the tests start a Docker daemon of their own, which takes root; run this step as root"
    );
    // runc and iptables are the system's.
    podman::ensure_installed()?;
    let tools = repo::dev("tools/docker");
    let inputs = [DEBIAN.to_owned(), PACKAGES.join(" ")];
    cache::folder("Docker", &tools, "usr/sbin/dockerd", &inputs, |partial| {
        image::unpack_packages(&PACKAGES, partial)
    })?;
    let home = repo::dev("docker");
    fs::create_dir_all(&home).context("cannot create .dev/docker")?;
    let docker = progress::step("Docker's daemon", || daemon(&tools, &home))?;
    docker.sweep()?;
    Ok(docker)
}

fn daemon(tools: &Path, home: &Path) -> Result<Docker> {
    // Sockets lie in it, whose paths must stay short.
    let run = repo::short(home);
    files::remove(&run)?;
    fs::create_dir_all(&run).with_context(|| format!("cannot create {}", run.display()))?;
    let host = format!("unix://{}", run.join("docker.sock").display());
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{0}/usr/bin:{0}/usr/sbin:{path}", tools.display());
    let client = home.join("client");
    fs::create_dir_all(&client)?;
    fs::write(client.join("config.json"), client_config(tools))?;
    fs::write(home.join("daemon.json"), "{}")?;
    let log = home.join("daemon.log");
    let output = File::create(&log).context("cannot create .dev/docker/daemon.log")?;
    let limits = [(Resource::Nofile, 65_536), (Resource::Nproc, 32_768)]
        .map(|(kind, most)| getrlimit(kind).maximum.unwrap_or(u64::MAX).min(most));
    let child = Command::new(tools.join("usr/sbin/dockerd"))
        .args(arguments(&host, home, &run, limits))
        .env("PATH", &path)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .context("cannot start Docker's daemon")?;
    let environment =
        [("DOCKER_HOST", host), ("DOCKER_CONFIG", client.display().to_string()), ("PATH", path)];
    let mut docker = Docker { child, environment };
    docker.wait().with_context(|| format!("its last lines:\n{}", run::tail(&files::text(&log))))?;
    Ok(docker)
}

/// Where the client finds Compose and BuildKit.
fn client_config(tools: &Path) -> String {
    let plugins = tools.join("usr/libexec/docker/cli-plugins");
    serde_json::json!({ "cliPluginsExtraDirs": [plugins] }).to_string()
}

/// No bridge and no rule of the firewall is made before a network is asked for;
/// published ports are served by Docker's own proxy.
fn arguments(host: &str, home: &Path, run: &Path, [files, processes]: [u64; 2]) -> Vec<String> {
    let (home, run) = (home.display(), run.display());
    [
        format!("--host={host}"),
        format!("--config-file={home}/daemon.json"),
        format!("--data-root={home}/data"),
        format!("--exec-root={run}/exec"),
        format!("--pidfile={run}/pid"),
        format!("--default-ulimit=nofile={files}:{files}"),
        format!("--default-ulimit=nproc={processes}:{processes}"),
        format!("--default-address-pool={NETWORKS}"),
        "--exec-opt=native.cgroupdriver=cgroupfs".to_owned(),
        "--bridge=none".to_owned(),
        "--iptables=false".to_owned(),
        "--ip6tables=false".to_owned(),
        "--log-level=warn".to_owned(),
    ]
    .to_vec()
}

impl Docker {
    /// A shell in the repository's root whose docker is this one.
    pub(crate) fn shell(&self) -> Result<Shell> {
        let shell = run::shell()?;
        for (name, value) in &self.environment {
            shell.set_var(name, value);
        }
        Ok(shell)
    }

    fn wait(&mut self) -> Result<()> {
        let shell = self.shell()?;
        let answers = wait::until(TIMEOUT, TICK, || {
            let version = cmd!(shell, "docker version").quiet().ignore_stdout().ignore_stderr();
            match (version.run(), self.child.try_wait()?) {
                (Ok(()), _) => Ok(true),
                (_, Some(status)) => bail!("Docker's daemon ended with {status}"),
                _ => Ok(false),
            }
        })?;
        ensure!(answers, "Docker's daemon does not answer");
        Ok(())
    }

    /// Removes what an interrupted run has left.
    fn sweep(&self) -> Result<()> {
        let shell = self.shell()?;
        let left = run::output("list containers", cmd!(shell, "docker ps --all --quiet"))?;
        let left: Vec<&str> = left.split_whitespace().collect();
        if !left.is_empty() {
            let remove = cmd!(shell, "docker rm --force --volumes {left...}");
            run::output("remove containers of an earlier run", remove)?;
        }
        let prune = cmd!(shell, "docker system prune --force --volumes");
        run::output("remove what an earlier run has left", prune).map(drop)
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
        let deadline = Instant::now() + TIMEOUT;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(TICK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_keeps_to_its_own_folders_and_leaves_the_firewall_alone() {
        let words = arguments("unix:///s/docker.sock", Path::new("/h"), Path::new("/s"), [1, 2]);
        for word in &words {
            let path = word.split_once("=/").map(|(_, path)| path);
            assert!(
                path.is_none_or(|path| path.starts_with("h/") || path.starts_with("s/")),
                "{word}"
            );
        }
        assert!(words.contains(&"--iptables=false".to_owned()));
        assert!(words.contains(&"--bridge=none".to_owned()));
    }
}
