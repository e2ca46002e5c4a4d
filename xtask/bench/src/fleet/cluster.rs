//! One PostgreSQL for a whole scenario, set up as in production (durable), with
//! a database for each subject and size, filled by `backend/tests/bench/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use xshell::cmd;
use xtask::tools::{postgres, python};
use xtask::{progress, run};

use super::chain::Kind;
use crate::scenario::Bench;
use crate::subject::Subject;

/// The running server; stopped when dropped.
pub(crate) struct Cluster {
    server: Subject,
    sockets: PathBuf,
}

/// How much a database holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Macs that have confirmed every rule.
    pub(crate) machines: u32,
    /// Rules, most of them everybody's.
    pub(crate) rules: u32,
}

/// A filled database.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    /// Its address.
    pub(crate) url: String,
    /// What it holds.
    pub(crate) size: Size,
    /// The folder of the backend whose schema it has.
    pub(crate) folder: PathBuf,
}

impl Cluster {
    /// Starts one in a new folder.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let bin = postgres::ensure_installed()?;
        let (data, sockets) = (folder.join("data"), folder.join("run"));
        std::fs::create_dir_all(&sockets)?;
        postgres::initialize(&bin, &data)?;
        let (program, args) = postgres::durable_server(&bin, &data, &sockets)?;
        let mut command = Command::new(program);
        command.args(args);
        let mut server = Subject::launch("PostgreSQL", folder, command)?;
        server.wait_for(&format!("unix:{}", sockets.join(postgres::SOCKET).display()))?;
        Ok(Self { server, sockets })
    }

    /// Its processes.
    pub(crate) fn processes(&self) -> &Subject {
        &self.server
    }

    /// Makes and fills a database.
    pub(crate) fn fill(&self, bench: &Bench, kind: Kind, size: Size) -> Result<Database> {
        let Size { machines, rules } = size;
        let name = format!("{}_{machines}_{rules}", kind.prefix());
        let url =
            format!("postgresql://{}@/{name}?host={}", postgres::USER, self.sockets.display());
        let database = Database { url, size, folder: kind.backend(bench) };
        let what = format!("a database of {machines} Macs and {rules} rules for {}", kind.name());
        progress::step(&what, || {
            let (machines, rules) = (machines.to_string(), rules.to_string());
            database.tell(&[
                "fill",
                kind.name_in_python(),
                "--machines",
                &machines,
                "--rules",
                &rules,
            ])
        })?;
        Ok(database)
    }
}

impl Database {
    /// Has `count` rules of everybody changed at once.
    pub(crate) fn change(&self, count: u32) -> Result<()> {
        self.tell(&["change", "santaserver", "--rules", &count.to_string()]).map(drop)
    }

    /// Opens an administrator's session and gives its cookie.
    pub(crate) fn login(&self) -> Result<String> {
        Ok(self.tell(&["login", "santaserver"])?.trim().to_owned())
    }

    /// Bytes of state for each Mac: its own rows, and its share of tables with their indexes.
    pub(crate) fn state(&self, kind: Kind) -> Result<(f64, f64)> {
        let text = self.tell(&["measure", kind.name_in_python()])?;
        let figures: Value = serde_json::from_str(&text).context("the measured state")?;
        let figure = |name: &str| figures[name].as_f64().with_context(|| format!("no {name}"));
        Ok((figure("rows")?, figure("tables")?))
    }

    fn tell(&self, arguments: &[&str]) -> Result<String> {
        let python = python::interpreter();
        let shell = run::shell_in(&self.folder)?;
        shell.set_var("DATABASE_URL", &self.url);
        shell.set_var("ENVIRONMENT", "development");
        let command = cmd!(shell, "{python} -m tests.bench.database {arguments...}");
        run::output("prepare the database", command)
    }
}
