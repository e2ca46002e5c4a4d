//! What can be measured, and what every measurement has at hand.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use xshell::cmd;
use xtask::commands::build;
use xtask::{files, progress, repo, run};

use super::baseline::Baseline;
use super::table::{Case, Sample};
use super::{Args, container, fleet, load, owner, proxy, supervise};

/// One entry of `cargo xtask bench --list`.
pub(crate) struct Scenario {
    /// Its name; a family shares what comes before the hyphen.
    pub(crate) name: &'static str,
    /// What is measured, in one line.
    pub(crate) about: &'static str,
    /// Builds and installs what it needs, so that measuring is all that is left.
    pub(crate) prepare: fn(&mut Bench) -> Result<()>,
    /// Measures it.
    pub(crate) run: fn(&mut Bench) -> Result<Outcome>,
}

/// What a scenario found.
pub(crate) enum Outcome {
    /// Figures, from which tables and plots are made.
    Cases(Vec<Case>),
    /// A text in Markdown and data of its own form.
    Text {
        /// For people.
        markdown: String,
        /// For programs.
        data: Value,
    },
}

/// Every scenario, in the order in which they run.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "proxy-static",
        about: "files of 1 KiB, 30 KiB precompressed and 1 MiB; access log on and off",
        prepare: proxy::prepare,
        run: proxy::files,
    },
    Scenario {
        name: "proxy-api",
        about: "responses of a canned backend, 200 B and 16 KiB; access log on and off",
        prepare: proxy::prepare,
        run: proxy::forwarding,
    },
    Scenario {
        name: "proxy-paced",
        about: "the same at a fixed rate: latency corrected for coordinated omission",
        prepare: proxy::prepare,
        run: proxy::paced,
    },
    Scenario {
        name: "proxy-connect",
        about: "a new connection for each request, in the clear and with TLS",
        prepare: proxy::prepare,
        run: proxy::connecting,
    },
    Scenario {
        name: "proxy-tls",
        about: "files and responses over kept TLS connections",
        prepare: proxy::prepare,
        run: proxy::tls,
    },
    Scenario {
        name: "proxy-h2",
        about: "the same over HTTP/2: 64 streams on 4 connections",
        prepare: proxy::prepare,
        run: proxy::http2,
    },
    Scenario {
        name: "proxy-ws",
        about: "500 active WebSockets, whose messages are echoed",
        prepare: proxy::prepare,
        run: proxy::websockets,
    },
    Scenario {
        name: "proxy-memory",
        about: "memory at rest, of an idle connection, TLS connection and WebSocket",
        prepare: proxy::prepare,
        run: proxy::memory,
    },
    Scenario {
        name: "proxy-slow",
        about: "responses to others while 2,000 connections send heads and bodies byte by byte",
        prepare: proxy::prepare,
        run: proxy::slow,
    },
    Scenario {
        name: "proxy-backend",
        about: "responses of the real backend, uvicorn and FastAPI; what a proxy adds to its latency",
        prepare: proxy::prepare_backend,
        run: proxy::backend,
    },
    Scenario {
        name: "supervise-processes",
        about: "santa-supervise beside supervisord, s6, runit, circus and Horust: start, size, restart, stop",
        prepare: supervise::prepare,
        run: supervise::all_processes,
    },
    Scenario {
        name: "supervise-requests",
        about: "requests while the backend is restarted and killed, under each supervisor",
        prepare: supervise::prepare,
        run: supervise::all_requests,
    },
    Scenario {
        name: "startup",
        about: "container start to /health and /health/ready, beside nginx + supervisord in one image",
        prepare: container::prepare,
        run: container::startup,
    },
    Scenario {
        name: "memory",
        about: "memory of the container after a sync and with 50 WebSockets, beside the same",
        prepare: container::prepare,
        run: container::memory,
    },
    Scenario {
        name: "size",
        about: "the image, packed and unpacked, beside the same",
        prepare: container::prepare,
        run: container::size,
    },
    Scenario {
        name: "sync-steady",
        about: "fleets of 100,000 and 200,000 Macs with nothing new; a small one beside two peers; state of a Mac",
        prepare: fleet::prepare,
        run: fleet::steady,
    },
    Scenario {
        name: "sync-rules",
        about: "a page of 500 rules, 100 changes at 80,000 rules, a first clean sync of 80,000 rules",
        prepare: fleet::prepare,
        run: fleet::rules,
    },
    Scenario {
        name: "sync-capacity",
        about: "the largest fleet that is served without errors, beside two peers",
        prepare: fleet::prepare,
        run: fleet::capacity,
    },
    Scenario {
        name: "sync-growth",
        about: "costs as the fleet grows from 1,000 to 100,000 Macs and from 1,000 to 100,000 rules",
        prepare: fleet::prepare,
        run: fleet::growth,
    },
    Scenario {
        name: "rest",
        about: "what the console asks for, beside nginx, uvicorn and an ORM, as the rules grow",
        prepare: fleet::prepare,
        run: fleet::rest,
    },
    Scenario {
        name: "events",
        about: "events accepted a second, beside the same with an ORM",
        prepare: fleet::prepare,
        run: fleet::events,
    },
    Scenario {
        name: "live",
        about: "what 50 open pages of the console cost while 100,000 Macs sync, and what each hears",
        prepare: fleet::prepare,
        run: fleet::live,
    },
    Scenario {
        name: "sync-import",
        about: "100,000 Macs that sync while 100,000 rules are imported",
        prepare: fleet::prepare,
        run: fleet::import,
    },
    Scenario {
        name: "rebuild",
        about: "from a changed line of the backend or the console to the loaded image, beside the same",
        prepare: container::prepare,
        run: container::rebuild,
    },
    Scenario {
        name: "owner-api",
        about: "the whole chain, 1,000 clients at the same time; beside nginx, Node, uvicorn and supervisord",
        prepare: owner::prepare,
        run: owner::api,
    },
    Scenario {
        name: "owner-static",
        about: "the console's page and first script, beside the same",
        prepare: owner::prepare,
        run: owner::console,
    },
    Scenario {
        name: "owner-restart",
        about: "requests while the backend is killed and restarted, beside the same",
        prepare: owner::prepare,
        run: owner::restart,
    },
    Scenario {
        name: "owner-ws",
        about: "500 WebSockets that hear a fleet of 20,000 Macs, beside the same",
        prepare: owner::prepare,
        run: owner::websockets,
    },
    Scenario {
        name: "owner-mixed",
        about: "20,000 Macs, 500 open pages and an import at the same time, beside the same",
        prepare: owner::prepare,
        run: owner::mixed,
    },
    Scenario {
        name: "owner-promises",
        about: "the numbers promised to the owner, beside what the other scenarios of this run have measured",
        prepare: owner::prepare,
        run: owner::promised,
    },
];

impl Scenario {
    /// Whether `name` is its name or that of its family.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('-'))
    }
}

/// What every measurement has at hand.
pub(crate) struct Bench {
    /// Seconds that one measurement takes.
    pub(crate) seconds: f64,
    /// How often each subject is measured.
    pub(crate) rounds: u32,
    /// Whether peers take part.
    pub(crate) peers: bool,
    /// A folder for configurations, sockets and logs; empty at the start.
    pub(crate) folder: PathBuf,
    /// The load generator.
    pub(crate) load: load::Program,
    /// Folder of the optimized programs.
    pub(crate) bin: PathBuf,
    /// An earlier state of this repository that takes part.
    pub(crate) baseline: Option<Baseline>,
    only: Option<String>,
    notes: RefCell<Vec<String>>,
    findings: RefCell<Vec<owner::Finding>>,
}

impl Bench {
    /// Builds what is measured and what measures.
    pub(crate) fn prepare(args: &Args) -> Result<Self> {
        let bin = progress::step("optimized programs", || {
            let shell = run::shell()?;
            let build = cmd!(shell, "cargo build --quiet --locked --release -p santa-load");
            run::output("build the load generator", build)?;
            build::programs(true, None)
        })?;
        // Sockets lie in it, whose paths must stay short.
        let folder = repo::short(&repo::dev("bench"));
        files::remove(&folder)?;
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let load = load::Program::new(bin.join("santa-load"));
        Ok(Self {
            seconds: args.seconds,
            rounds: args.rounds,
            peers: !args.alone,
            folder,
            load,
            bin,
            baseline: args.baseline.as_deref().map(Baseline::prepare).transpose()?,
            only: args.case.clone(),
            notes: RefCell::default(),
            findings: RefCell::default(),
        })
    }

    /// Something that the reader of the report must know, such as a missing peer.
    pub(crate) fn note(&self, text: String) {
        let mut notes = self.notes.borrow_mut();
        if !notes.contains(&text) {
            progress::note(&text);
            notes.push(text);
        }
    }

    /// All of them.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.notes.borrow().clone()
    }

    /// Keeps a median for the scenario that compares them with what was promised.
    pub(crate) fn find(&self, finding: owner::Finding) {
        self.findings.borrow_mut().push(finding);
    }

    /// All that were kept.
    pub(crate) fn findings(&self) -> Vec<owner::Finding> {
        self.findings.borrow().clone()
    }

    /// Whether this case, or this subject of an outcome of its own form, was asked for.
    pub(crate) fn wants(&self, case: &str) -> bool {
        self.only.as_ref().is_none_or(|only| case.contains(only.as_str()))
    }

    /// A fresh folder for one subject.
    pub(crate) fn folder_for(&self, name: &str) -> Result<PathBuf> {
        fresh(&self.folder.join(name))
    }

    /// Measures subjects in turn, A B A B …, and gives their samples. One that
    /// fails gets no figures, and the reason instead.
    ///
    /// # Errors
    /// When the run is interrupted.
    pub(crate) fn alternate<C>(
        &self,
        case: &str,
        subjects: &mut [C],
        name: impl Fn(&C) -> String,
        mut measure: impl FnMut(&mut C) -> Result<Sample>,
    ) -> Result<Case> {
        progress::step(case, || {
            let mut result = Case::new(case, subjects.iter().map(&name));
            for _ in 0..self.rounds {
                for (index, subject) in subjects.iter_mut().enumerate() {
                    run::check()?;
                    if result.rows[index].failure.is_some() {
                        continue;
                    }
                    match measure(subject) {
                        Ok(sample) => result.add(index, sample),
                        Err(error) => {
                            run::check()?;
                            result.fail(index, format!("{error:#}"));
                        }
                    }
                }
            }
            Ok(result)
        })
    }
}

/// An empty folder.
fn fresh(folder: &Path) -> Result<PathBuf> {
    files::remove(folder)?;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder.to_owned())
}
