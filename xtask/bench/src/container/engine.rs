//! A container under podman, restricted as docker/compose.yaml restricts it, and
//! the clock that runs from its start to its answers.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};
use xtask::tools::hardened::{HARDENED, PODMAN};
use xtask::{http, ports, run, wait};

use super::database::{self, Database};

/// Where the folder of PostgreSQL's socket is in a container.
const SOCKETS: &str = "/run/postgres";

/// Longest that a container may take to become ready.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Between two attempts.
const TICK: Duration = Duration::from_millis(1);

/// Seconds from a container's start.
pub(crate) struct Times {
    /// To the first answer of `/health`, from the engine's own time of the start.
    pub(crate) health: f64,
    /// To the first 200 of `/health/ready`, from the same.
    pub(crate) ready: f64,
    /// To the same, from the engine's command.
    pub(crate) whole: f64,
}

/// A container; removed when dropped.
pub(crate) struct Container<'a> {
    shell: &'a Shell,
    id: String,
    address: SocketAddr,
}

impl<'a> Container<'a> {
    /// Prepares everything up to the start, its network included.
    pub(crate) fn create(shell: &'a Shell, image: &str, database: &Database) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::in_a_row(1)?));
        let publish = format!("--publish={address}:{}", ports::public_port()?);
        let volume = format!("--volume={}:{SOCKETS}:ro", database.sockets.display());
        let environment = [
            format!("--env=DATABASE_URL={}", database::url(Path::new(SOCKETS))),
            "--env=SECRET_KEY=a-key-that-lives-as-long-as-one-measurement".to_owned(),
            format!("--env=PUBLIC_URL=http://{address}"),
            // All clients of a measurement have one address.
            "--env=SANTA__PROXY__LIMITS__REQUESTS_PER_ADDRESS=0".to_owned(),
        ];
        let create = cmd!(
            shell,
            "podman create {HARDENED...} {PODMAN} {publish} {volume} {environment...} {image}"
        );
        let id = run::output("create a container", create)?.trim().to_owned();
        let container = Self { shell, id, address };
        let id = &container.id;
        run::output("prepare the container", cmd!(shell, "podman init {id}"))?;
        Ok(container)
    }

    /// Its address for people.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts it and waits for its answers.
    pub(crate) fn start(&self) -> Result<Times> {
        let begin = SystemTime::now();
        let address = self.address;
        let (health, ready) = std::thread::scope(|scope| {
            let answers = scope.spawn(move || -> Result<_> {
                let health = first_answer(address, "/health")?;
                Ok((health, first_answer(address, "/health/ready")?))
            });
            let id = &self.id;
            run::output("start the container", cmd!(self.shell, "podman start {id}"))?;
            answers.join().map_err(|_| anyhow::anyhow!("waiting for the container panicked"))?
        })?;
        let started = self.look("{{.State.StartedAt.UnixNano}}")?;
        let started = SystemTime::UNIX_EPOCH
            + Duration::from_nanos(started.parse().context("podman gives no time of the start")?);
        // The first answer may come before the engine has noted the start.
        let since = |from: SystemTime, to: SystemTime| {
            to.duration_since(from).unwrap_or_default().as_secs_f64()
        };
        Ok(Times {
            health: since(started, health),
            ready: since(started, ready),
            whole: since(begin, ready),
        })
    }

    /// The process id of its PID 1.
    pub(crate) fn process(&self) -> Result<u32> {
        self.look("{{.State.Pid}}")?.parse().context("podman gives no process")
    }

    /// The end of its log.
    pub(crate) fn last_words(&self) -> String {
        let (shell, id) = (self.shell, &self.id);
        let output = cmd!(shell, "podman logs --tail 15 {id}").quiet().ignore_status().output();
        output.map_or_else(
            |_| String::new(),
            |output| String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        )
    }

    fn look(&self, format: &str) -> Result<String> {
        let (shell, id) = (self.shell, &self.id);
        let inspect = cmd!(shell, "podman container inspect --format {format} {id}");
        run::output("look at the container", inspect).map(|text| text.trim().to_owned())
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let (shell, id) = (self.shell, &self.id);
        let remove = cmd!(shell, "podman rm --force --time=5 {id}");
        let _ = remove.quiet().ignore_stdout().ignore_stderr().run();
    }
}

/// Bytes of an image as a registry would transfer it, compressed with zstd.
pub(crate) fn packed(shell: &Shell, image: &str, folder: &Path) -> Result<u64> {
    let file = folder.join("image.tar");
    let target = format!("oci-archive:{}", file.display());
    let push =
        cmd!(shell, "podman push --quiet --format oci --compression-format zstd {image} {target}");
    run::output("pack the image", push)?;
    let size = std::fs::metadata(&file)?.len();
    std::fs::remove_file(&file)?;
    Ok(size)
}

/// Bytes of all files of an image.
pub(crate) fn unpacked(shell: &Shell, image: &str) -> Result<u64> {
    let format = "{{.Size}}";
    let inspect = cmd!(shell, "podman image inspect --format {format} {image}");
    let size = run::output("look at the image", inspect)?;
    size.trim().parse().context("podman gives no size")
}

/// When a path was answered with 200 for the first time.
fn first_answer(address: SocketAddr, path: &str) -> Result<SystemTime> {
    let answered = wait::until(TIMEOUT, TICK, || Ok(http::answers(address, path)))?;
    ensure!(answered, "{path} was not answered with 200");
    Ok(SystemTime::now())
}
