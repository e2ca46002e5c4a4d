//! Talks to the running santa-supervise over its control socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::cli::{Command, Common, OnService, Until};
use crate::protocol::{Answer, Explanation, Request, ServiceUsage, Status};

use super::{Failure, config_path, exit, print, print_some, show};

/// Timeout of a request that waits for no service.
const QUICK: Duration = Duration::from_secs(10);

pub(super) fn perform(common: &Common, command: Command) -> Result<i32, Failure> {
    match command {
        Command::Status { json } => {
            let status: Status = Connection::open(common, Some(QUICK))?.ask(&Request::Status)?;
            print(exit::OK, |output| show::status(output, &status, json))
        }
        Command::Start(on) => act(common, &on, Request::Start { name: on.name.clone() }),
        Command::Stop(on) => act(common, &on, Request::Stop { name: on.name.clone() }),
        Command::Restart(on) => act(common, &on, Request::Restart { name: on.name.clone() }),
        Command::RollingRestart(on) => {
            act(common, &on, Request::RollingRestart { name: on.name.clone() })
        }
        Command::Wait { on, until } => {
            let ready = until == Until::Ready;
            act(common, &on, Request::Wait { name: on.name.clone(), ready })
        }
        Command::Reload(on) => act(common, &on, Request::Reload { name: on.name.clone() }),
        Command::ReloadConfig { json } => ask_quickly(common, &Request::ReloadConfig, json),
        Command::Signal { name, signal, json } => {
            ask_quickly(common, &Request::Signal { name, signal }, json)
        }
        Command::Metrics { json } => ask_quickly(common, &Request::Metrics, json),
        Command::Explain { name, json } => {
            let request = Request::Explain { name };
            let found: Vec<Explanation> = Connection::open(common, Some(QUICK))?.ask(&request)?;
            print(exit::OK, |output| show::explanations(output, &found, json))
        }
        Command::Top { every, once, json } => watch_usage(common, every, once, json),
        Command::Logs { name, follow, lines, json } => {
            Connection::open(common, None)?.watch(&Request::Logs { name, lines, follow }, json)
        }
        Command::Events { json } => Connection::open(common, None)?.watch(&Request::Events, json),
        Command::Shutdown { timeout, json } => shut_down(common, timeout, json),
        Command::Healthcheck { ready, json } => check_health(common, ready, json),
        Command::Run { .. } | Command::Check { .. } => unreachable!("done without a connection"),
    }
}

fn act(common: &Common, on: &OnService, request: Request) -> Result<i32, Failure> {
    let answer = Connection::open(common, Some(on.timeout))?.ask(&request)?;
    report(&answer, on.json)
}

fn ask_quickly(common: &Common, request: &Request, json: bool) -> Result<i32, Failure> {
    report(&Connection::open(common, Some(QUICK))?.ask(request)?, json)
}

/// Prints what services use until the output is closed.
fn watch_usage(common: &Common, every: Duration, once: bool, json: bool) -> Result<i32, Failure> {
    let mut connection = Connection::open(common, Some(QUICK))?;
    let mut before: Option<Vec<ServiceUsage>> = None;
    loop {
        let now: Vec<ServiceUsage> = connection.ask(&Request::Usage)?;
        let read = print_some(|output| show::usage(output, before.as_deref(), &now, every, json))?;
        if !read || once || json {
            return Ok(exit::OK);
        }
        before = Some(now);
        std::thread::sleep(every);
    }
}

fn shut_down(common: &Common, timeout: Duration, json: bool) -> Result<i32, Failure> {
    let mut connection = Connection::open(common, Some(timeout))?;
    let answer: Answer = connection.ask(&Request::Shutdown)?;
    // The connection ends when santa-supervise does.
    while connection.line()?.is_some() {}
    report(&Answer { message: "stopped".to_owned(), ..answer }, json)
}

/// For HEALTHCHECK: nothing but 0 and 1.
fn check_health(common: &Common, ready: bool, json: bool) -> Result<i32, Failure> {
    let asked = Connection::open(common, Some(QUICK));
    match asked.and_then(|mut connection| connection.ask::<Answer>(&Request::Health { ready })) {
        Ok(answer) => report(&answer, json),
        Err(failure) => report(&Answer { ok: false, message: failure.message }, json),
    }
}

fn report(answer: &Answer, json: bool) -> Result<i32, Failure> {
    let code = if answer.ok { exit::OK } else { exit::FAILED };
    if !json && !answer.ok {
        // As with any other message, it does not matter whether someone reads it.
        let _ = writeln!(io::stderr(), "{}", answer.message);
        return Ok(code);
    }
    print(code, |output| match json {
        true => writeln!(output, "{}", serde_json::json!(answer)),
        false => writeln!(output, "{}", answer.message),
    })
}

/// Connects within `timeout`: one whose queue is full makes others wait.
fn connect(path: &Path, timeout: Option<Duration>) -> io::Result<UnixStream> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket, sockopt};
    let fd = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    sockopt::set_socket_timeout(&fd, sockopt::Timeout::Send, timeout)?;
    connect(&fd, &SocketAddrUnix::new(path)?)?;
    Ok(fd.into())
}

/// A connection to the control socket.
struct Connection {
    reader: BufReader<UnixStream>,
    path: PathBuf,
}

impl Connection {
    /// Connects; every answer must come within `timeout`.
    fn open(common: &Common, timeout: Option<Duration>) -> Result<Self, Failure> {
        let path = match &common.socket {
            Some(path) => path.clone(),
            None => {
                santa_config::control_socket(&config_path(common), &santa_config::process_env())
                    .map_err(|found| Failure { message: found.to_string(), code: exit::CONFIG })?
            }
        };
        // Zero would mean no timeout at all.
        let timeout = timeout.map(|timeout| timeout.max(Duration::from_millis(1)));
        let stream = connect(&path, timeout).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => Failure {
                message: format!(
                    "santa-supervise does not accept connections on {}; is it stopped, or the machine overloaded?",
                    path.display()
                ),
                code: exit::TIMEOUT,
            },
            _ => Failure {
                message: format!(
                    "no santa-supervise answers on {}: {error}; is it running with this configuration?",
                    path.display()
                ),
                code: exit::NOT_RUNNING,
            },
        })?;
        let _ = stream.set_read_timeout(timeout);
        Ok(Self { reader: BufReader::new(stream), path })
    }

    fn send(&mut self, request: &Request) -> Result<(), Failure> {
        let line = format!("{}\n", serde_json::json!(request));
        match self.reader.get_mut().write_all(line.as_bytes()) {
            // It has closed the connection, after a line that says why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            sent => sent.map_err(|error| self.broken(&error)),
        }
    }

    fn ask<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T, Failure> {
        self.send(request)?;
        let line = self.line()?.ok_or_else(|| self.broken(&io::ErrorKind::UnexpectedEof.into()))?;
        serde_json::from_str(&line).map_err(|_| {
            // The only other thing that is ever answered is a refusal.
            let message =
                serde_json::from_str::<Answer>(&line).map_or(line, |answer| answer.message);
            Failure { message, code: exit::FAILED }
        })
    }

    /// Prints records until the other side ends.
    fn watch(&mut self, request: &Request, json: bool) -> Result<i32, Failure> {
        self.send(request)?;
        while let Some(line) = self.line()? {
            if let Ok(refusal) = serde_json::from_str::<Answer>(&line) {
                return Err(Failure { message: refusal.message, code: exit::FAILED });
            }
            let read = print_some(|output| match json {
                true => writeln!(output, "{line}"),
                false => show::record(output, &line),
            })?;
            if !read {
                break;
            }
        }
        Ok(exit::OK)
    }

    fn line(&mut self) -> Result<Option<String>, Failure> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(line.trim_end().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(self.broken(&error)),
        }
    }

    fn broken(&self, error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Failure {
                message: "not done within --timeout; `santa-supervise status` shows where it is"
                    .to_owned(),
                code: exit::TIMEOUT,
            },
            _ => Failure {
                message: format!("the connection to {} was lost: {error}", self.path.display()),
                code: exit::FAILED,
            },
        }
    }
}
