//! `rest`: who is logged in, and a page of rules, as the console asks for them; beside it the
//! arrangement before: nginx, uvicorn, entities and pydantic (`backend/tests/bench/peers/rest.py`).

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use xtask::tools::python;

use super::chain::{Chain, Kind, first_answer};
use super::cluster::{Cluster, Database, Size};
use crate::load::Load;
use crate::peers::{Job, Running, Server};
use crate::scenario::{Bench, Outcome};
use crate::subject::Subject;
use crate::table::{BACKEND, P50, P99, RATE, Sample};

/// Rules in the databases.
const RULES: [u32; 3] = [1_000, 10_000, 100_000];
const MACHINES: u32 = 10_000;

/// What is asked for: by this many connections, as fast as responses come or once a second each.
const ASKED: [(&str, &str, u32, bool); 3] = [
    ("who is logged in, 50 connections", "/api/v1/auth/me", 50, false),
    ("who is logged in, 1,000 connections, once a second each", "/api/v1/auth/me", 1_000, true),
    ("50 rules, 50 connections", "/api/v1/rules?limit=50", 50, false),
];

/// What responds.
enum Site {
    Santa(Box<Chain>),
    Earlier { nginx: Box<Running>, backend: Box<Subject> },
}

impl Site {
    fn name(&self) -> String {
        match self {
            Self::Santa(_) => "SantaServer",
            Self::Earlier { .. } => "nginx, uvicorn and ORM",
        }
        .to_owned()
    }

    fn address(&self) -> &str {
        match self {
            Self::Santa(chain) => chain.address(),
            Self::Earlier { nginx, .. } => &nginx.plain,
        }
    }

    fn cpu(&self) -> Result<Duration> {
        match self {
            Self::Santa(chain) => chain.backend_cpu(),
            Self::Earlier { backend, .. } => backend.cpu(),
        }
    }
}

/// Each question at each number of rules.
pub(crate) fn rest(bench: &mut Bench) -> Result<Outcome> {
    let cluster = Cluster::start(&bench.folder_for("cluster")?)?;
    let mut cases = Vec::new();
    for rules in RULES {
        let wanted: Vec<_> = ASKED
            .into_iter()
            .map(|(what, path, connections, paced)| {
                (format!("{what}; {rules} rules"), path, connections, paced)
            })
            .filter(|(name, ..)| bench.wants(name))
            .collect();
        if wanted.is_empty() {
            continue;
        }
        let size = Size { machines: MACHINES, rules };
        let database = cluster.fill(bench, Kind::Santa, size)?;
        let cookie = database.login()?;
        let earlier = earlier(bench, &database)?;
        let mut sites = vec![Site::Santa(Box::new(Chain::start(bench, Kind::Santa, database)?))];
        sites.extend(earlier);
        for (name, path, connections, paced) in wanted {
            cases.push(bench.alternate(&name, &mut sites, Site::name, |site| {
                let load = load(site, &cookie, path, connections, paced, bench.seconds);
                ask(bench, site, &load)
            })?);
        }
    }
    Ok(Outcome::Cases(cases))
}

fn load(
    site: &Site,
    cookie: &str,
    path: &str,
    connections: u32,
    paced: bool,
    seconds: f64,
) -> Load {
    let mut load = Load::http(site.address(), path, "".into(), seconds);
    load.expect.clear();
    load.connections = connections;
    load.rate = paced.then(|| f64::from(connections));
    load.more.retain(|field| !field.starts_with("--header=Cookie:"));
    load.more.push(format!("--header=Cookie: {cookie}"));
    load
}

fn ask(bench: &Bench, site: &Site, load: &Load) -> Result<Sample> {
    let before = site.cpu()?;
    let outcome = bench.load.run(load)?;
    let spent = site.cpu()?.saturating_sub(before);
    Ok(vec![
        (BACKEND, spent.as_secs_f64() * 1e6 / outcome.responses),
        (RATE, outcome.rate),
        (P50, outcome.p50),
        (P99, outcome.p99),
    ])
}

/// The arrangement before, on the same database; nothing where nginx cannot be had.
fn earlier(bench: &Bench, database: &Database) -> Result<Option<Site>> {
    let folder = bench.folder_for(&format!("rest-{}", database.size.rules))?;
    // Its configuration looks for the certificate beside its own folder.
    let (www, tls) = (folder.join("www"), bench.folder.join("tls"));
    for made in [&www, &tls] {
        std::fs::create_dir_all(made)
            .with_context(|| format!("cannot create {}", made.display()))?;
    }
    bench.load.certificate(&tls)?;
    let socket = folder.join("backend.sock");
    let job = Job { www: &www, backend: &socket, tls: &tls, log: false };
    let Some(nginx) = Server::Nginx.start(bench, &job)? else { return Ok(None) };
    let mut command = Command::new(python::interpreter());
    command
        .args(["-m", "tests.bench.peers", "rest", "--uds"])
        .arg(&socket)
        .current_dir(&database.folder)
        .env("DATABASE_URL", &database.url);
    let mut backend = Subject::launch("uvicorn and ORM", &folder, command)?;
    backend.wait_for(&format!("unix:{}", socket.display()))?;
    first_answer(&socket).context("the earlier arrangement does not respond")?;
    Ok(Some(Site::Earlier { nginx: Box::new(nginx), backend: Box::new(backend) }))
}
