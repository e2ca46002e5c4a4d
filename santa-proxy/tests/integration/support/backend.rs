//! An instrumented backend on a Unix socket: records every byte and does what
//! the script says.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What to do with a request, once its head and content have been read.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Respond and wait for the next request.
    Respond(Vec<u8>),
    /// Respond and close.
    RespondAndClose(Vec<u8>),
    /// Close without a response.
    Close,
    /// Agree to an upgrade and send back every byte.
    Echo,
    /// Send nothing and wait for the peer to close.
    NoResponse,
    /// Hand the connection to the test.
    HandOver,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Which connection it came on, from 0.
    pub(crate) connection: usize,
}

type Script = Box<dyn FnMut(&Received) -> Act + Send>;

#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    /// Every byte that arrived, whether or not it made a request.
    bytes: Mutex<Vec<u8>>,
    script: Mutex<Option<Script>>,
    handed_over: Mutex<Vec<UnixStream>>,
    /// The open connections by their number.
    open: Mutex<HashMap<usize, UnixStream>>,
    /// Its metrics, as Prometheus text.
    numbers: Mutex<String>,
    connections: Mutex<usize>,
    stopped: AtomicBool,
}

/// A running backend.
pub(crate) struct Backend {
    path: PathBuf,
    shared: Arc<Shared>,
}

/// A response with a length.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

impl Backend {
    /// Listens and responds to every request with `ok`.
    pub(crate) fn start(path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("bind");
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                if accepting.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let number = {
                    let mut connections = accepting.connections.lock().expect("lock");
                    *connections += 1;
                    *connections - 1
                };
                let clone = stream.try_clone().expect("clone");
                accepting.open.lock().expect("lock").insert(number, clone);
                let shared = Arc::clone(&accepting);
                thread::spawn(move || serve(stream, number, &shared));
            }
        });
        Self { path: path.to_owned(), shared }
    }

    /// Decides about each request from now on.
    pub(crate) fn script(&self, script: impl FnMut(&Received) -> Act + Send + 'static) {
        *self.shared.script.lock().expect("lock") = Some(Box::new(script));
    }

    /// Does the same with every request from now on.
    pub(crate) fn always(&self, act: Act) {
        self.script(move |_| act.clone());
    }

    /// Sets its metrics.
    pub(crate) fn set_metrics(&self, numbers: &str) {
        numbers.clone_into(&mut self.shared.numbers.lock().expect("lock"));
    }

    /// The requests so far, without those for its numbers.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("lock").clone()
    }

    /// Every byte so far; clears them and the requests.
    pub(crate) fn take_bytes(&self) -> Vec<u8> {
        self.shared.received.lock().expect("lock").clear();
        std::mem::take(&mut self.shared.bytes.lock().expect("lock"))
    }

    /// Whether any byte has arrived since they were taken.
    pub(crate) fn has_bytes(&self) -> bool {
        !self.shared.bytes.lock().expect("lock").is_empty()
    }

    /// The next connection that was handed over.
    pub(crate) fn handed_over(&self) -> UnixStream {
        let mut stream = None;
        super::eventually("a connection is handed over", || {
            stream = self.shared.handed_over.lock().expect("lock").pop();
            stream.is_some()
        });
        let stream = stream.expect("handed over");
        stream.set_read_timeout(Some(super::TIMEOUT)).expect("timeout");
        stream
    }

    /// Number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        *self.shared.connections.lock().expect("lock")
    }

    /// Closes every open connection, as a stopping server does with idle ones.
    pub(crate) fn close_all(&self) {
        for (_, stream) in self.shared.open.lock().expect("lock").drain() {
            // It may be closed already.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Stops listening and removes the socket.
    pub(crate) fn stop(self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then closes the listener.
        let _ = UnixStream::connect(&self.path);
        self.close_all();
        std::fs::remove_file(&self.path).expect("socket file");
    }
}

fn serve(mut stream: UnixStream, connection: usize, shared: &Shared) {
    let mut buffer = Vec::new();
    while let Some(received) = receive(&mut stream, &mut buffer, connection, shared) {
        if received.head.starts_with("GET /metrics ") {
            let _ = stream.write_all(&ok(&shared.numbers.lock().expect("lock")));
            break;
        }
        let act = match shared.script.lock().expect("lock").as_mut() {
            Some(script) => script(&received),
            None => Act::Respond(ok("ok")),
        };
        shared.received.lock().expect("lock").push(received);
        let alive = match act {
            Act::Respond(bytes) => stream.write_all(&bytes).is_ok(),
            Act::RespondAndClose(bytes) => {
                let _ = stream.write_all(&bytes);
                false
            }
            Act::Close => false,
            Act::NoResponse => {
                let _ = stream.read(&mut [0; 1]);
                false
            }
            Act::Echo => {
                echo(&mut stream, &buffer);
                false
            }
            Act::HandOver => {
                shared.handed_over.lock().expect("lock").push(stream);
                return;
            }
        };
        if !alive {
            break;
        }
    }
    // Closed at once, as real servers do. The reset shows the peer that its late request was
    // not read; a shutdown before would hide that.
    shared.open.lock().expect("lock").remove(&connection);
}

fn more(stream: &mut UnixStream, buffer: &mut Vec<u8>, shared: &Shared) -> bool {
    let mut piece = [0; 64 * 1024];
    let count = stream.read(&mut piece).unwrap_or(0);
    buffer.extend_from_slice(&piece[..count]);
    shared.bytes.lock().expect("lock").extend_from_slice(&piece[..count]);
    count > 0
}

fn find(buffer: &[u8], needle: &[u8]) -> Option<usize> {
    buffer.windows(needle.len()).position(|window| window == needle)
}

/// One whole request; nothing when the connection ends before.
fn receive(
    stream: &mut UnixStream,
    buffer: &mut Vec<u8>,
    connection: usize,
    shared: &Shared,
) -> Option<Received> {
    let end = loop {
        match find(buffer, b"\r\n\r\n") {
            Some(end) => break end + 4,
            None => more(stream, buffer, shared).then_some(())?,
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    buffer.drain(..end);
    let lower = head.to_ascii_lowercase();
    let mut body = Vec::new();
    if lower.contains("expect: 100-continue") {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    if let Some((_, rest)) = lower.split_once("\r\ncontent-length: ") {
        let length: usize = rest.split("\r\n").next()?.parse().ok()?;
        while buffer.len() < length {
            more(stream, buffer, shared).then_some(())?;
        }
        body = buffer.drain(..length).collect();
    } else if lower.contains("\r\ntransfer-encoding: chunked\r\n") {
        while chunk(stream, buffer, shared, &mut body)? {}
    }
    Some(Received { head, body, connection })
}

/// One chunk; false after the last.
fn chunk(
    stream: &mut UnixStream,
    buffer: &mut Vec<u8>,
    shared: &Shared,
    body: &mut Vec<u8>,
) -> Option<bool> {
    let line = loop {
        match find(buffer, b"\r\n") {
            Some(end) => break end,
            None => more(stream, buffer, shared).then_some(())?,
        }
    };
    let size = usize::from_str_radix(std::str::from_utf8(&buffer[..line]).ok()?, 16).ok()?;
    while buffer.len() < line + 2 + size + 2 {
        more(stream, buffer, shared).then_some(())?;
    }
    body.extend_from_slice(&buffer[line + 2..line + 2 + size]);
    buffer.drain(..line + 2 + size + 2);
    Some(size > 0)
}

fn echo(stream: &mut UnixStream, early: &[u8]) {
    let agreed =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    if stream.write_all(agreed).is_err() || stream.write_all(early).is_err() {
        return;
    }
    let mut piece = [0; 4096];
    while let Ok(count) = stream.read(&mut piece) {
        if count == 0 || stream.write_all(&piece[..count]).is_err() {
            return;
        }
    }
}
