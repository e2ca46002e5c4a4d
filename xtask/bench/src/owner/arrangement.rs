//! The two arrangements, whole: santa-supervise with santa-proxy and the backend on a
//! Unix socket; and what came before, supervisord with nginx, a Node server for the
//! console and uvicorn, connected by TCP. Same application, console and database.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use xtask::layout::{Database, Layout, Source};
use xtask::tools::{node, python};
use xtask::{http, ports, repo, run, wait};

use crate::peers::{Server, filled};
use crate::scenario::Bench;
use crate::subject::{Memory, Subject};

/// Longest that either may take to its first response.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Far below what a start takes.
const TICK: Duration = Duration::from_millis(2);
/// Answers 200 once the application and its database are there.
const READY: &str = "/health/ready";

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrangement {
    /// What came before.
    Earlier,
    /// That of this repository.
    Ours,
}

/// An arrangement that runs; stopped when dropped.
pub(super) struct Site {
    /// Where it listens.
    pub(super) address: String,
    /// Seconds from its start to its first good response that needs the database.
    pub(super) ready: f64,
    subject: Subject,
    restart: Vec<PathBuf>,
    /// What the command line of the backend's process has in it.
    backend: &'static str,
}

impl Arrangement {
    /// Its name in the report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Earlier => "nginx, Node, uvicorn, supervisord",
            Self::Ours => "SantaServer",
        }
    }

    /// Starts it on a database and waits until it is ready.
    pub(super) fn start(self, bench: &Bench, database: &str) -> Result<Site> {
        let port = ports::in_a_row(3)?;
        let address = format!("127.0.0.1:{port}");
        let begun = Instant::now();
        let (subject, restart, backend) = match self {
            Self::Ours => ours(bench, database, port)?,
            Self::Earlier => earlier(bench, database, port)?,
        };
        let there = wait::until(TIMEOUT, TICK, || Ok(http::answers(&address, READY)))?;
        let ready = begun.elapsed().as_secs_f64();
        ensure!(there, "{} is not ready after {TIMEOUT:?}; {}", self.name(), subject.last_words());
        Ok(Site { address, ready, subject, restart, backend })
    }
}

impl Site {
    /// CPU time of all processes so far.
    pub(super) fn cpu(&self) -> Result<Duration> {
        self.subject.cpu()
    }

    /// Memory of all processes.
    pub(super) fn memory(&self) -> Result<Memory> {
        self.subject.memory()
    }

    /// Restarts the backend as an operator does; returns when its supervisor says that it is done.
    pub(super) fn restart_backend(&self) -> Result<()> {
        let (program, words) = self.restart.split_first().context("no command")?;
        let output = Command::new(program).args(words).stdin(Stdio::null()).output()?;
        let text = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the restart failed: {}", text.trim());
        Ok(())
    }

    /// Kills the process of the backend.
    pub(super) fn kill_backend(&self) -> Result<()> {
        let is_backend = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).replace('\0', " ").contains(self.backend)
        };
        let Some(pid) = self.subject.processes()?.into_iter().rev().find(is_backend) else {
            bail!("no process of the backend runs");
        };
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("its number")?;
        Ok(kill_process(pid, Signal::KILL)?)
    }

    /// Waits until it serves again.
    pub(super) fn until_ready(&self) -> Result<()> {
        let there = wait::until(TIMEOUT, TICK, || Ok(http::answers(&self.address, READY)))?;
        ensure!(there, "not ready again after {TIMEOUT:?}; {}", self.subject.last_words());
        Ok(())
    }
}

type Started = (Subject, Vec<PathBuf>, &'static str);

fn ours(bench: &Bench, database: &str, port: u16) -> Result<Started> {
    let home = bench.folder_for("owner-ours")?;
    let layout = Layout {
        home: home.clone(),
        port,
        bin: bench.bin.clone(),
        console: Source::Built(repo::dist("www")),
        database: Database::Url(database.to_owned()),
    };
    let file = layout.write()?.file;
    fs::write(&file, without_demo(&fs::read_to_string(&file)?)?)?;
    let program = bench.bin.join("santa-supervise");
    let mut command = Command::new(&program);
    command.arg("run").arg("--config").arg(&file);
    // As in the image; and all clients of a measurement have one address.
    command.env("SANTA__SUPERVISOR__LOG__FORMAT", "json");
    command.env("SANTA__PROXY__LIMITS__REQUESTS_PER_ADDRESS", "0");
    let subject = Subject::launch(Arrangement::Ours.name(), &home, command)?;
    let words = ["restart", "backend", "--config"].map(PathBuf::from);
    let restart = [vec![program], words.to_vec(), vec![file]].concat();
    Ok((subject, restart, "santaserver serve"))
}

/// The development environment without its demo fleet, as the container is.
fn without_demo(text: &str) -> Result<String> {
    let mut table: toml::Table = text.parse()?;
    let services = table.get_mut("service").and_then(toml::Value::as_array_mut);
    let services = services.context("no services in the configuration")?;
    let named = |service: &toml::Value, name: &str| {
        service.get("name").and_then(toml::Value::as_str) == Some(name)
    };
    services.retain(|service| !named(service, "demo"));
    let backend = services.iter_mut().find(|service| named(service, "backend"));
    let backend = backend.and_then(toml::Value::as_table_mut).context("no backend")?;
    backend.insert("depends_on".to_owned(), vec!["migrate"].into());
    Ok(table.to_string())
}

fn earlier(bench: &Bench, database: &str, port: u16) -> Result<Started> {
    let folder = bench.folder_for("owner-earlier")?;
    let nginx = Server::Nginx.ensure_installed(bench).context("nginx cannot be had here")?;
    let find = |name| run::find(name).with_context(|| format!("{name} cannot be had here"));
    let (supervisord, supervisorctl) = (find("supervisord")?, find("supervisorctl")?);
    let path = |path: &Path| path.display().to_string();
    let values = [
        ("FOLDER", path(&folder)),
        ("USER", if geteuid().is_root() { "root" } else { "nobody" }.to_owned()),
        ("PUBLIC", format!("127.0.0.1:{port}")),
        ("CONSOLE", (port + 1).to_string()),
        ("BACKEND", (port + 2).to_string()),
        ("NGINX", path(&nginx)),
        ("NODE", path(&node::program()?)),
        ("STATIC", path(&folder.join("static.mjs"))),
        ("PACKAGES", path(&repo::path("frontend"))),
        ("WWW", path(&repo::dist("www"))),
        ("PYTHON", path(&python::interpreter())),
        ("APP", path(&repo::path("backend"))),
    ];
    for (name, template) in FILES {
        let file = folder.join(name);
        fs::write(&file, filled(template, &values))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    let config = folder.join("supervisord.conf");
    let mut command = Command::new(supervisord);
    command.arg("-c").arg(&config);
    command.env("DATABASE_URL", database).env("ENVIRONMENT", "development");
    command.env("PUBLIC_URL", format!("http://127.0.0.1:{port}"));
    let subject = Subject::launch(Arrangement::Earlier.name(), &folder, command)?;
    let words = ["restart", "backend"].map(PathBuf::from);
    let restart = [vec![supervisorctl, "-c".into(), config], words.to_vec()].concat();
    Ok((subject, restart, "uvicorn --factory"))
}

/// What the earlier arrangement is made of.
const FILES: [(&str, &str); 3] = [
    ("nginx.conf", include_str!("earlier/nginx.conf")),
    ("supervisord.conf", include_str!("earlier/supervisord.conf")),
    ("static.mjs", include_str!("earlier/static.mjs")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_has_no_demo_fleet() {
        let text = "[[service]]\nname = \"migrate\"\n[[service]]\nname = \"demo\"\n\
                    [[service]]\nname = \"backend\"\ndepends_on = [\"demo\"]\n";
        let found = without_demo(text).expect("a configuration");
        assert!(!found.contains("demo"), "{found}");
        assert!(found.contains("depends_on = [\"migrate\"]"), "{found}");
        assert!(without_demo("version = 1").is_err());
    }
}
