//! A steady stream of requests that counts every one that fails. Clients do not
//! try again: what a client sees is what is counted.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Served by the backend itself, without a database.
const PATH: &str = "/api/v1/docs/page.css";
/// Clients of one stream; enough that a pause of a second delays none.
const CLIENTS: u32 = 64;
/// Longest a request may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Where requests go.
#[derive(Clone)]
pub(crate) enum Target {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

/// What became of the requests of one stream.
#[derive(Default)]
pub(crate) struct Tally {
    /// Of those that were answered with 200, in milliseconds.
    pub(crate) latencies: Vec<f64>,
    pub(crate) failed: u64,
    /// Of the failed ones, those whose connection was refused.
    pub(crate) refused: u64,
    pub(crate) reasons: BTreeMap<String, u64>,
}

impl Tally {
    fn add(&mut self, begun: Instant, result: io::Result<()>) {
        match result {
            Ok(()) => self.latencies.push(begun.elapsed().as_secs_f64() * 1_000.0),
            Err(error) => {
                self.failed += 1;
                let refused = [ErrorKind::ConnectionRefused, ErrorKind::NotFound];
                self.refused += u64::from(refused.contains(&error.kind()));
                *self.reasons.entry(error.to_string()).or_default() += 1;
            }
        }
    }

    /// Those of two streams.
    pub(crate) fn join(mut self, other: Self) -> Self {
        self.latencies.extend(other.latencies);
        self.failed += other.failed;
        self.refused += other.refused;
        for (reason, count) in other.reasons {
            *self.reasons.entry(reason).or_default() += count;
        }
        self
    }
}

/// A connection of either kind.
enum Connection {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Connection {
    fn open(target: &Target) -> io::Result<Self> {
        Ok(match target {
            Target::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(TIMEOUT))?;
                Self::Unix(stream)
            }
            Target::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_read_timeout(Some(TIMEOUT))?;
                Self::Tcp(stream)
            }
        })
    }

    /// Whether the other side has not closed it meanwhile: every pool of
    /// connections looks before it uses one again.
    fn is_open(&mut self) -> bool {
        let mut byte = [0];
        let looked = self.set_nonblocking(true).and_then(|()| match self {
            Self::Unix(stream) => stream.read(&mut byte),
            Self::Tcp(stream) => stream.read(&mut byte),
        });
        let quiet = looked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        quiet && self.set_nonblocking(false).is_ok()
    }

    fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_nonblocking(on),
            Self::Tcp(stream) => stream.set_nonblocking(on),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.write_all(bytes),
            Self::Tcp(stream) => stream.write_all(bytes),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

/// `rate` requests a second until `done`, on kept or on fresh connections.
pub(crate) fn stream(target: &Target, keep_alive: bool, rate: u32, done: &AtomicBool) -> Tally {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                scope.spawn(move || client(target, keep_alive, begun, number, rate, done))
            })
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap_or_default())
            .fold(Tally::default(), Tally::join)
    })
}

/// One client: its share of the stream, each request at its own time.
fn client(
    target: &Target,
    keep_alive: bool,
    begun: Instant,
    number: u32,
    rate: u32,
    done: &AtomicBool,
) -> Tally {
    let mut tally = Tally::default();
    let mut connection: Option<Connection> = None;
    for turn in 0.. {
        let due = Duration::from_secs_f64(f64::from(turn * CLIENTS + number) / f64::from(rate));
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        if done.load(Ordering::Relaxed) {
            break;
        }
        let asked = Instant::now();
        let kept = connection.take().and_then(|mut kept| kept.is_open().then_some(kept));
        let result = kept
            .map_or_else(|| Connection::open(target), Ok)
            .and_then(|mut stream| Ok((ask(&mut stream, keep_alive)?, stream)));
        tally.add(
            asked,
            result.map(|(stays, stream)| connection = (keep_alive && stays).then_some(stream)),
        );
    }
    tally
}

/// One request; whether the connection may be used again.
fn ask(stream: &mut Connection, keep_alive: bool) -> io::Result<bool> {
    let kind = if keep_alive { "keep-alive" } else { "close" };
    stream.write_all(
        format!("GET {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: {kind}\r\n\r\n").as_bytes(),
    )?;
    let mut answer = Vec::new();
    let mut buffer = [0u8; 16 * 1024];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            let what =
                if answer.is_empty() { "closed without an answer" } else { "answer cut off" };
            return Err(io::Error::new(ErrorKind::UnexpectedEof, what));
        }
        answer.extend_from_slice(&buffer[..read]);
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        if !head.starts_with("http/1.1 200") {
            return Err(io::Error::other(head.lines().next().unwrap_or_default().to_owned()));
        }
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        let length: usize = length
            .and_then(|length| length.trim().parse().ok())
            .ok_or_else(|| io::Error::other("an answer without content-length"))?;
        if answer.len() >= end + 4 + length {
            return Ok(!head.contains("connection: close"));
        }
    }
}
