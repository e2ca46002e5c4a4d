//! The control socket of santa-supervise, as far as this proxy asks: numbers for
//! the one page that tells of all parts, and the states of services.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tokio::net::UnixStream;

/// Longest an answer may take; whoever asks can do without it.
const PATIENCE: Duration = Duration::from_secs(2);
/// More than any answer has.
const LONGEST: usize = 4 * 1024 * 1024;

/// Its answer to a request for its numbers.
#[derive(Deserialize)]
struct Answer {
    ok: bool,
    message: String,
}

/// What is used of its answer to a request for the state of everything.
#[derive(Deserialize)]
struct Status {
    services: Vec<ServiceState>,
}

/// The state of one instance of a service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct ServiceState {
    /// The service.
    pub(crate) name: String,
    /// Its number, from 0.
    pub(crate) instance: u32,
    /// Its phase: see docs/supervise-states.md.
    pub(crate) state: String,
}

/// Its numbers as Prometheus text; or a comment that says why there are none.
pub(crate) async fn numbers(control: &Path) -> String {
    let text = async {
        let Answer { ok, message } = serde_json::from_slice(&ask(control, "metrics").await?)?;
        // A refusal is one line for people.
        if ok { Ok(message) } else { Err(io::Error::other(message.replace('\n', " "))) }
    };
    text.await.unwrap_or_else(|error| format!("# santa-supervise does not answer: {error}\n"))
}

/// The states of all services.
///
/// # Errors
/// When it cannot be reached or does not answer in time.
pub(crate) async fn states(control: &Path) -> io::Result<Vec<ServiceState>> {
    let Status { services } = serde_json::from_slice(&ask(control, "status").await?)?;
    Ok(services)
}

async fn ask(control: &Path, what: &str) -> io::Result<Vec<u8>> {
    let answer = async {
        let stream = request(control, what).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\n") && answer.len() < LONGEST {
            read(&stream, &mut answer).await?;
        }
        Ok(answer)
    };
    let in_time = tokio::time::timeout(PATIENCE, answer).await;
    in_time.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// What it does from now on, told as it happens.
#[derive(Debug)]
pub(crate) struct Changes(UnixStream);

impl Changes {
    /// Begins to listen.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub(crate) async fn follow(control: &Path) -> io::Result<Self> {
        let stream = tokio::time::timeout(PATIENCE, request(control, "events")).await;
        stream.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map(Self)
    }

    /// Waits until something has happened. Can be given up at any moment.
    ///
    /// # Errors
    /// When it is gone.
    pub(crate) async fn next(&self) -> io::Result<()> {
        read(&self.0, &mut Vec::new()).await
    }
}

async fn request(control: &Path, what: &str) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(control).await?;
    stream.writable().await?;
    // A new connection has room for this.
    stream.try_write(format!("{{\"op\":\"{what}\"}}\n").as_bytes())?;
    Ok(stream)
}

/// Adds what is there; waits until something is.
async fn read(stream: &UnixStream, text: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0u8; 16 * 1024];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                text.extend_from_slice(&buffer[..read]);
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
