//! Load from `santa-load` (`xtask/load/`), on the cores that subjects do not use.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::child::ChildGuard;
use super::subject::pinned;

/// The core of the load generator and of what is behind the subjects.
pub(crate) const LOAD_CORE: usize = 1;
/// Fields as a browser sends them.
const BROWSER: [&str; 9] = [
    "User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "Accept: */*",
    "Accept-Language: en-GB,en;q=0.9",
    "Accept-Encoding: gzip, deflate, br",
    "Referer: https://santa.example.org/machines",
    "Sec-Fetch-Dest: empty",
    "Sec-Fetch-Mode: cors",
    "Sec-Fetch-Site: same-origin",
    "Cookie: session=4f1c0b5d7a9e4c52b6a8d0e1f2a3b4c5",
];

/// The load generator.
#[derive(Clone)]
pub(crate) struct Program(PathBuf);

/// A run of `santa-load http` or `santa-load ws`, to be completed and started.
pub(crate) struct Load {
    /// `http` or `ws`.
    pub(crate) kind: &'static str,
    /// The server: `ADDRESS:PORT` or `unix:/path`.
    pub(crate) to: String,
    /// Paths; several are asked for in turn.
    pub(crate) paths: Vec<String>,
    /// Files with the content that responses must have; one for each path, or none
    /// where the echo is compared.
    pub(crate) expect: Vec<PathBuf>,
    /// Connections at a time.
    pub(crate) connections: u32,
    /// How long, in seconds.
    pub(crate) seconds: f64,
    /// Requests a second; nothing: as fast as they are answered.
    pub(crate) rate: Option<f64>,
    /// A connection for each request.
    pub(crate) close: bool,
    /// TLS, with this authority.
    pub(crate) authority: Option<PathBuf>,
    /// HTTP/2, with this many streams on each connection.
    pub(crate) streams: Option<u32>,
    /// More arguments of `santa-load`.
    pub(crate) more: Vec<String>,
    /// Others who are slow meanwhile.
    pub(crate) beside: Option<Slow>,
}

/// Clients whose requests never end.
#[derive(Clone, Copy)]
pub(crate) struct Slow {
    /// What is slow: `head` or `body`.
    pub(crate) part: &'static str,
    /// Connections at a time.
    pub(crate) connections: u32,
    /// Addresses that they come from.
    pub(crate) addresses: u8,
}

/// What came of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    /// Responses or echoes.
    pub(crate) responses: f64,
    /// Responses a second.
    pub(crate) rate: f64,
    /// Latency that half kept, in microseconds.
    pub(crate) p50: f64,
    /// Latency that 95 of 100 kept, in microseconds.
    pub(crate) p95: f64,
    /// Latency that 99 of 100 kept, in microseconds.
    pub(crate) p99: f64,
}

/// What idle connections are.
pub(crate) struct Hold<'h> {
    /// The server.
    pub(crate) to: &'h str,
    /// What each asks for once, or where the WebSockets are.
    pub(crate) path: &'h str,
    /// TLS, with this authority.
    pub(crate) authority: Option<PathBuf>,
    /// WebSockets, which exchange one message.
    pub(crate) websocket: bool,
}

/// Open pages of the console, which are counted until [`Consoles::finish`].
pub(crate) struct Consoles(Held, BufReader<ChildStdout>);

/// What open pages heard.
pub(crate) struct Heard {
    /// Bytes a second of the page that heard most.
    pub(crate) largest: f64,
    /// Bytes a second of a page on average.
    pub(crate) mean: f64,
    /// Messages that said that others were lost.
    pub(crate) lagged: f64,
    /// What all pages read again, a second.
    pub(crate) reads: f64,
}

/// Connections that are kept idle, or the canned backend; ended when dropped.
pub(crate) struct Held(ChildGuard);

impl Program {
    /// The program at `path`.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    fn command(&self) -> Command {
        pinned(LOAD_CORE, &self.0)
    }

    /// Runs a load to its end.
    ///
    /// # Errors
    /// When the generator fails, or one request failed or was refused.
    pub(crate) fn run(&self, load: &Load) -> Result<Outcome> {
        let _slow = load.beside.as_ref().map(|slow| self.slow(slow, load)).transpose()?;
        let output = self
            .command()
            .arg(load.kind)
            .args(load.arguments())
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start the load generator")?;
        ensure!(output.status.success(), "the load generator failed ({})", output.status);
        let line = String::from_utf8_lossy(&output.stdout);
        Outcome::read(&serde_json::from_str(&line).context("the load generator's result")?)
    }

    /// Runs a fleet to its end, whatever its requests are answered with.
    pub(crate) fn fleet(&self, load: &Fleet) -> Result<FleetOutcome> {
        let output = Command::new(&self.0)
            .arg("fleet")
            .args(load.arguments())
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start the load generator")?;
        ensure!(output.status.success(), "the load generator failed ({})", output.status);
        let line = String::from_utf8_lossy(&output.stdout);
        FleetOutcome::read(&serde_json::from_str(&line).context("the load generator's result")?)
    }

    /// Opens this many idle connections and keeps them while the result lives.
    pub(crate) fn hold(&self, hold: &Hold<'_>, connections: u32) -> Result<Held> {
        let mut command = self.command();
        command.args(["hold", "--to", hold.to, "--path", hold.path, "--connections"]);
        command.arg(connections.to_string());
        command.args(hold.websocket.then_some("--websocket"));
        command.args(hold.authority.as_ref().map(|file| format!("--ca={}", file.display())));
        Held::start(command)
    }

    /// Opens this many pages of a console whose fleet has `machines`, unpinned as the fleet.
    pub(crate) fn consoles(
        &self,
        to: &str,
        cookie: &str,
        pages: u32,
        machines: u32,
    ) -> Result<Consoles> {
        let mut command = Command::new(&self.0);
        command.args(["consoles", "--to", to]);
        command.arg(format!("--connections={pages}")).arg(format!("--machines={machines}"));
        command.arg(format!("--header=Cookie: {cookie}"));
        let (held, output) = Held::begin(command)?;
        Ok(Consoles(held, output))
    }

    /// Has clients begin requests of this load that never end, while the result lives.
    fn slow(&self, slow: &Slow, load: &Load) -> Result<Held> {
        let Slow { part, connections, addresses } = slow;
        let mut command = self.command();
        command.args(["slow", "--to", &load.to, "--part", part]);
        command.args(load.paths.first().map(|path| format!("--path={path}")));
        command.arg(format!("--connections={connections}"));
        command.arg(format!("--addresses={addresses}"));
        Held::start(command)
    }

    /// Starts the canned backend.
    pub(crate) fn backend(&self, socket: &Path) -> Result<Held> {
        let mut command = self.command();
        command.args(["serve", "--listen"]).arg(format!("unix:{}", socket.display()));
        Held::start(command)
    }

    /// Writes `ca.pem`, `certificate.pem` and `key.pem` into `folder`.
    pub(crate) fn certificate(&self, folder: &Path) -> Result<()> {
        let made = Command::new(&self.0).args(["certificate", "--directory"]).arg(folder).status();
        ensure!(made.context("cannot start the load generator")?.success(), "no certificate");
        Ok(())
    }
}

/// A run of `santa-load fleet`; it is not pinned, as little as what answers it.
pub(crate) struct Fleet {
    to: String,
    machines: u32,
    first: u32,
    interval: f64,
    seconds: f64,
    /// Events in each sync or upload.
    pub(crate) events: u32,
    /// How often each page of rules is asked for.
    pub(crate) repeat: u32,
    /// Pages of rules after which a Mac gives up its sync.
    pub(crate) pages: Option<u32>,
    /// Only uploads of events, over this many connections, as fast as they are taken.
    pub(crate) uploads: Option<u32>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct FleetOutcome {
    /// Responses to all stages.
    pub(crate) responses: f64,
    /// Syncs that came to their end, if any did.
    pub(crate) syncs: Option<f64>,
    /// Events that were accepted.
    pub(crate) events: f64,
    /// How long it took.
    pub(crate) seconds: f64,
    /// Latency that half of the responses kept, in microseconds.
    pub(crate) p50: f64,
    /// Latency that 95 of 100 responses kept, in microseconds.
    pub(crate) p95: f64,
    /// Latency that 99 of 100 responses kept, in microseconds.
    pub(crate) p99: f64,
    /// What half of the Macs waited at most for all responses of a sync, in microseconds.
    pub(crate) sync: f64,
    /// Requests that failed or were refused.
    pub(crate) failed: f64,
    failure: Option<String>,
}

impl Fleet {
    /// This many Macs that sync once in `interval` seconds each, beginning with number `first`.
    pub(crate) fn new(to: &str, machines: u32, first: u32, interval: f64, seconds: f64) -> Self {
        let to = to.to_owned();
        let (events, repeat, pages, uploads) = (10, 1, None, None);
        Self { to, machines, first, interval, seconds, events, repeat, pages, uploads }
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--to={}", self.to),
            format!("--machines={}", self.machines),
            format!("--first={}", self.first),
            format!("--interval={}", self.interval),
            format!("--seconds={}", self.seconds),
            format!("--events={}", self.events),
            format!("--repeat={}", self.repeat),
        ];
        arguments.extend(self.pages.map(|pages| format!("--pages={pages}")));
        if let Some(connections) = self.uploads {
            arguments.extend(["--uploads".to_owned(), format!("--connections={connections}")]);
        }
        arguments
    }
}

impl FleetOutcome {
    fn read(value: &Value) -> Result<Self> {
        let figure = |place: &Value, name: &str| {
            place[name].as_f64().with_context(|| format!("the load generator names no {name}"))
        };
        let failed = figure(value, "errors")? + figure(value, "refused")?;
        let why = value["first_error"].as_str().unwrap_or("a status other than 200");
        let latency = &value["latency"];
        Ok(Self {
            responses: figure(value, "responses")?,
            syncs: Some(figure(value, "syncs")?).filter(|syncs| *syncs > 0.0),
            events: figure(value, "events")?,
            seconds: figure(value, "seconds")?,
            p50: figure(latency, "p50_us")?,
            p95: figure(latency, "p95_us")?,
            p99: figure(latency, "p99_us")?,
            sync: figure(&value["sync"], "p50_us")?,
            failed,
            failure: (failed > 0.0)
                .then(|| format!("{failed} requests failed; the first with: {why}")),
        })
    }

    /// An error when one request failed or none was answered.
    pub(crate) fn whole(&self) -> Result<()> {
        if let Some(failure) = &self.failure {
            anyhow::bail!("{failure}");
        }
        ensure!(self.responses > 0.0, "no response came");
        Ok(())
    }
}

impl Load {
    /// Requests for `path` over 64 kept connections, with a browser's fields. What
    /// comes must be what is in the file `expect`.
    pub(crate) fn http(to: &str, path: &str, expect: PathBuf, seconds: f64) -> Self {
        Self {
            kind: "http",
            to: to.to_owned(),
            paths: vec![path.to_owned()],
            expect: vec![expect],
            connections: 64,
            seconds,
            rate: None,
            close: false,
            authority: None,
            streams: None,
            beside: None,
            more: BROWSER.iter().map(|field| format!("--header={field}")).collect(),
        }
    }

    /// Messages over WebSockets to `path`.
    pub(crate) fn websockets(to: &str, path: &str, connections: u32, seconds: f64) -> Self {
        let http = Self::http(to, path, PathBuf::new(), seconds);
        Self { kind: "ws", connections, expect: Vec::new(), more: Vec::new(), ..http }
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--to={}", self.to),
            format!("--connections={}", self.connections),
            format!("--seconds={}", self.seconds),
        ];
        arguments.extend(self.paths.iter().map(|path| format!("--path={path}")));
        arguments.extend(self.expect.iter().map(|file| format!("--expect={}", file.display())));
        arguments.extend(self.rate.map(|rate| format!("--rate={rate}")));
        arguments.extend(self.close.then(|| "--close".to_owned()));
        arguments.extend(self.authority.as_ref().map(|file| format!("--ca={}", file.display())));
        arguments.extend(self.streams.map(|streams| format!("--streams={streams}")));
        arguments.extend(self.more.iter().cloned());
        arguments
    }
}

impl Outcome {
    fn read(value: &Value) -> Result<Self> {
        let count = |name: &str| value[name].as_u64().unwrap_or(0);
        let failed = count("errors") + count("refused");
        let why = value["first_error"].as_str().unwrap_or("a status of 400 or more");
        ensure!(failed == 0, "{failed} requests failed; the first with: {why}");
        let responses = value["responses"].as_f64().context("no count of responses")?;
        let seconds = value["seconds"].as_f64().context("no duration")?;
        ensure!(responses > 0.0, "no response came");
        let latency = |name: &str| {
            value["latency"][name].as_f64().with_context(|| format!("no latency {name}"))
        };
        let (p50, p95, p99) = (latency("p50_us")?, latency("p95_us")?, latency("p99_us")?);
        Ok(Self { responses, rate: responses / seconds, p50, p95, p99 })
    }
}

impl Held {
    /// Starts a command and waits for its line.
    fn start(command: Command) -> Result<Self> {
        Self::begin(command).map(|(held, _)| held)
    }

    /// The same; what it says after that line is read from the result.
    fn begin(mut command: Command) -> Result<(Self, BufReader<ChildStdout>)> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the load generator")?;
        let output = child.stdout.take().context("no output of the load generator")?;
        let (held, mut output) = (Self(ChildGuard(child)), BufReader::new(output));
        let mut line = String::new();
        output.read_line(&mut line).context("the load generator's line")?;
        ensure!(!line.is_empty(), "the load generator ended early; its message is above");
        Ok((held, output))
    }
}

impl Consoles {
    /// Closes the pages and gives what they heard.
    pub(crate) fn finish(self) -> Result<Heard> {
        let Self(mut held, output) = self;
        drop(held.0.0.stdin.take());
        let result: Value = serde_json::from_reader(output)
            .context("the pages had no result; the load generator's message is above")?;
        let figure = |name: &str| {
            result[name].as_f64().with_context(|| format!("the load generator names no {name}"))
        };
        Ok(Heard {
            largest: figure("largest")?,
            mean: figure("mean")?,
            lagged: figure("lagged")?,
            reads: figure("reads")? / figure("seconds")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn result(errors: u64, refused: u64) -> Value {
        json!({
            "responses": 100, "errors": errors, "refused": refused, "first_error": "cut off",
            "seconds": 2.0, "latency": { "p50_us": 5.0, "p95_us": 8.0, "p99_us": 9.0 },
        })
    }

    #[test]
    fn a_run_with_a_failure_has_no_figures() {
        let outcome = Outcome::read(&result(0, 0)).expect("figures");
        assert_eq!(outcome, Outcome { responses: 100.0, rate: 50.0, p50: 5.0, p95: 8.0, p99: 9.0 });
        let error = Outcome::read(&result(1, 0)).expect_err("an error").to_string();
        assert!(error.contains("cut off"), "{error}");
        assert!(Outcome::read(&result(0, 1)).is_err());
    }

    #[test]
    fn a_load_says_everything_to_the_generator() {
        let mut load = Load::http("127.0.0.1:1", "/a", "/f".into(), 0.5);
        load.paths.push("/b".to_owned());
        load.rate = Some(8000.0);
        load.close = true;
        let line = load.arguments().join(" ");
        assert!(line.starts_with(
            "--to=127.0.0.1:1 --connections=64 --seconds=0.5 --path=/a --path=/b --expect=/f --rate=8000 --close --header="
        ), "{line}");
    }
}
