//! What the servers of one scenario share: files, certificates, a backend, and
//! how they are measured.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use xtask::{files, run};

use crate::load::{self, Held, Load};
use crate::peers::{Job, Running, Server};
use crate::scenario::Bench;
use crate::subject::Subject;
use crate::table::{CPU, Case, P50, P99, RATE, Sample};

/// What is asked for, and what must come.
#[derive(Clone, Copy)]
pub(super) struct Content {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    /// In the folder of the benchmarks.
    pub(super) file: &'static str,
}

/// What all servers of one scenario share.
pub(super) struct Stage {
    pub(super) folder: PathBuf,
    /// Socket of what is behind `/api/`.
    pub(super) socket: PathBuf,
    _canned: Option<Held>,
}

impl Stage {
    /// Files, certificates and the canned backend.
    pub(super) fn set(bench: &Bench) -> Result<Self> {
        let mut stage = Self::without_backend(bench)?;
        for (name, length) in [("200", 200), ("16384", 16384)] {
            fs::write(stage.folder.join(name), "x".repeat(length))
                .context("cannot write a response")?;
        }
        stage._canned = Some(bench.load.backend(&stage.socket)?);
        Ok(stage)
    }

    /// Files and certificates; the caller sees to a backend on the socket.
    pub(super) fn without_backend(bench: &Bench) -> Result<Self> {
        let folder = bench.folder.clone();
        let www = folder.join("www");
        files::remove(&www)?;
        fs::create_dir_all(&www).context("cannot create the folder of files")?;
        let text =
            |length: usize| -> Vec<u8> { (0..length).map(|at| b'a' + (at % 23) as u8).collect() };
        let write = |name: &str, bytes: Vec<u8>| {
            fs::write(www.join(name), bytes).with_context(|| format!("cannot write {name}"))
        };
        write("index.html", b"<!doctype html><title>bench</title>\n".to_vec())?;
        // Noise is sent as it is by those too that compress what gains from it.
        write("1k.txt", noise(1024))?;
        write("1m.bin", noise(1024 * 1024))?;
        // What browsers get is the compressed form; each server picks the one it prefers.
        write("30k.js", text(100 * 1024))?;
        for ending in ["gz", "br", "zst"] {
            write(&format!("30k.js.{ending}"), noise(30 * 1024))?;
        }
        let tls = folder.join("tls");
        fs::create_dir_all(&tls).context("cannot create the folder of certificates")?;
        bench.load.certificate(&tls)?;
        let socket = folder.join("backend.sock");
        // One is left over from the scenario before.
        let _ = fs::remove_file(&socket);
        Ok(Self { folder, socket, _canned: None })
    }

    /// Starts these servers, as far as they can be had: a peer that does not start
    /// leaves a note in the report, as one that is not installed does.
    pub(super) fn start(
        &self,
        bench: &Bench,
        servers: &[Server],
        log: bool,
    ) -> Result<Vec<Running>> {
        let [www, tls] = ["www", "tls"].map(|name| self.folder.join(name));
        let job = Job { www: &www, backend: &self.socket, tls: &tls, log };
        let mut running = Vec::new();
        let earlier = bench.baseline.as_ref().filter(|_| servers.contains(&Server::Santa));
        let earlier = earlier.map(|_| Server::Baseline);
        for server in servers.iter().copied().chain(earlier) {
            match server.start(bench, &job) {
                Ok(started) => running.extend(started),
                Err(error) if matches!(server, Server::Santa | Server::Baseline) => {
                    return Err(error);
                }
                Err(error) => {
                    run::check()?;
                    bench.note(format!("{} did not start: {error:#}", server.name()));
                }
            }
        }
        Ok(running)
    }

    /// Requests for `content`.
    pub(super) fn load(&self, to: &str, content: Content, seconds: f64) -> Load {
        Load::http(to, content.path, self.folder.join(content.file), seconds)
    }

    /// The file of the authority that vouches for the servers.
    pub(super) fn authority(&self) -> PathBuf {
        self.folder.join("tls/ca.pem")
    }
}

/// Bytes that do not compress, the same every time.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(0).fill(&mut bytes);
    bytes
}

/// Puts a load on a server and counts what it spent meanwhile; with the number of responses.
pub(super) fn measure(bench: &Bench, subject: &Subject, load: &Load) -> Result<(Sample, f64)> {
    let before = subject.cpu()?;
    let outcome = bench.load.run(load)?;
    let spent = subject.cpu()?.saturating_sub(before);
    Ok(sample(&outcome, spent.as_secs_f64()))
}

fn sample(outcome: &load::Outcome, cpu_seconds: f64) -> (Sample, f64) {
    let (mut sample, count) = responses(outcome);
    sample.insert(0, (CPU, cpu_seconds * 1e6 / count));
    (sample, count)
}

/// What the load saw, and how many responses it got.
pub(super) fn responses(outcome: &load::Outcome) -> (Sample, f64) {
    let sample = vec![(P50, outcome.p50), (P99, outcome.p99), (RATE, outcome.rate)];
    (sample, outcome.responses)
}

/// Measures all servers under a load in turn, when this case was asked for.
pub(super) fn compare(
    bench: &Bench,
    cases: &mut Vec<Case>,
    name: &str,
    running: &mut [Running],
    load: impl Fn(&Running) -> Load,
) -> Result<()> {
    if !bench.wants(name) {
        return Ok(());
    }
    let called = |running: &Running| running.subject.name.clone();
    let case = bench.alternate(name, running, called, |running| {
        measure(bench, &running.subject, &load(running)).map(|(sample, _)| sample)
    })?;
    cases.push(case);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_shared_among_the_answers() {
        let outcome =
            load::Outcome { responses: 1000.0, rate: 500.0, p50: 1.0, p95: 1.5, p99: 2.0 };
        assert_eq!(sample(&outcome, 0.01).0[0], (CPU, 10.0));
    }

    #[test]
    fn noise_is_as_long_as_asked_for_and_always_the_same() {
        assert_eq!(noise(1001).len(), 1001);
        assert_eq!(noise(64), noise(64));
    }
}
