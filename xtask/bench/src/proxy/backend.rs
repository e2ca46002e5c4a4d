//! `proxy-backend`: each proxy before the real backend, uvicorn and FastAPI on a
//! Unix socket. What is asked for needs no database, so that nothing but Python
//! stands behind the proxies; [`super::super::fleet`] has the whole chain.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use xtask::tools::python;
use xtask::{http, repo};

use super::stage::{Content, Stage, measure, responses};
use crate::load::LOAD_CORE;
use crate::peers::{FOR_BACKENDS, Running};
use crate::scenario::{Bench, Outcome};
use crate::subject::{Subject, pinned};
use crate::table::{BACKEND, Sample};

/// Longest that the backend may take to its first answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Connections of the load: what a proxy holds open at most to one busy worker.
const CONNECTIONS: u32 = 16;
/// What is asked for, and how often a second when it is paced: well below what
/// one worker can answer, with the load on the same core.
const DOCUMENTS: [(Content, f64); 2] = [
    (Content { name: "a file of 1 kB", path: "/api/v1/docs/page.css", file: "page.css" }, 300.0),
    (Content { name: "OpenAPI, 78 kB", path: "/api/v1/openapi.json", file: "openapi" }, 150.0),
];

/// What is asked: a proxy, or for comparison the backend itself.
enum Asked {
    Proxy(Running),
    Backend,
}

impl Asked {
    fn name(&self) -> String {
        match self {
            Self::Proxy(running) => running.subject.name.clone(),
            Self::Backend => "no proxy".to_owned(),
        }
    }
}

/// Installs the peers, and what the backend needs.
pub(crate) fn prepare(bench: &mut Bench) -> Result<()> {
    super::prepare(bench)?;
    python::ensure_installed().map(drop)
}

/// `proxy-backend`
pub(crate) fn backend(bench: &mut Bench) -> Result<Outcome> {
    let stage = Stage::without_backend(bench)?;
    let backend = start(bench, &stage.socket)?;
    for (document, _) in DOCUMENTS {
        let content = fetch(&stage.socket, document.path)?;
        fs::write(stage.folder.join(document.file), content).context("cannot write an answer")?;
    }
    let running = stage.start(bench, FOR_BACKENDS, true)?;
    let mut asked: Vec<Asked> = running.into_iter().map(Asked::Proxy).collect();
    asked.push(Asked::Backend);
    let mut cases = Vec::new();
    for (document, pace) in DOCUMENTS {
        for rate in [None, Some(pace)] {
            let how = rate.map_or("as fast as possible".to_owned(), |rate| format!("{rate}/s"));
            let name = format!("{}, {how}", document.name);
            if !bench.wants(&name) {
                continue;
            }
            cases.push(bench.alternate(&name, &mut asked, Asked::name, |asked| {
                one(bench, &stage, &backend, asked, document, rate)
            })?);
        }
    }
    Ok(Outcome::Cases(cases))
}

/// What one of them, and the backend behind it, spends under the load.
fn one(
    bench: &Bench,
    stage: &Stage,
    backend: &Subject,
    asked: &Asked,
    document: Content,
    rate: Option<f64>,
) -> Result<Sample> {
    let direct = format!("unix:{}", stage.socket.display());
    let to = match asked {
        Asked::Proxy(running) => &running.plain,
        Asked::Backend => &direct,
    };
    let mut load = stage.load(to, document, bench.seconds);
    (load.connections, load.rate) = (CONNECTIONS, rate);
    let before = backend.cpu()?;
    let (mut sample, count) = match asked {
        Asked::Proxy(running) => measure(bench, &running.subject, &load)?,
        Asked::Backend => responses(&bench.load.run(&load)?),
    };
    let spent = backend.cpu()?.saturating_sub(before);
    sample.push((BACKEND, spent.as_secs_f64() * 1e6 / count));
    Ok(sample)
}

/// Starts the backend as the container does, on the core of the load.
fn start(bench: &Bench, socket: &Path) -> Result<Subject> {
    let folder = bench.folder_for("uvicorn")?;
    let mut command = pinned(LOAD_CORE, &python::interpreter());
    command
        .args(["-m", "santaserver", "serve", "--uds"])
        .arg(socket)
        .current_dir(repo::path("backend"))
        .env("ENVIRONMENT", "development")
        // There is none; what would like to use it tries again at leisure.
        .env("DATABASE_URL", format!("postgresql://nobody@/none?host={}", folder.display()));
    let mut backend = Subject::launch("uvicorn", &folder, command)?;
    backend.wait_for(&format!("unix:{}", socket.display()))?;
    Ok(backend)
}

/// The content of an answer of the backend itself: what proxies must pass on.
fn fetch(socket: &Path, path: &str) -> Result<Vec<u8>> {
    let stream = UnixStream::connect(socket).context("cannot connect to the backend")?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let (status, content) = http::get(stream, "localhost", path)
        .with_context(|| format!("asking the backend for {path}"))?;
    ensure!(status == 200, "the backend answers {path} with {status}");
    Ok(content)
}
