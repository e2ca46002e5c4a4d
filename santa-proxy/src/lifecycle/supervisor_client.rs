//! A client of santa-supervise's control socket, for what this proxy needs: its metrics
//! for the common `/metrics` page, and the states of services.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tokio::net::UnixStream;

use crate::upstream::membership::InstanceState;

/// How long a response may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// More than any response has.
const MAX_RESPONSE: usize = 4 * 1024 * 1024;

/// The response to a request for its metrics.
#[derive(Deserialize)]
struct Metrics {
    ok: bool,
    message: String,
}

/// The part used of the response to a request for the state of everything.
#[derive(Deserialize)]
struct Status {
    services: Vec<InstanceState>,
}

/// Its metrics as Prometheus text, or a comment that says why there are none.
pub(super) async fn metrics(control_socket: &Path) -> String {
    let text = async {
        let Metrics { ok, message } =
            serde_json::from_slice(&request(control_socket, "metrics").await?)?;
        // A refusal is one line for people.
        if ok { Ok(message) } else { Err(io::Error::other(message.replace('\n', " "))) }
    };
    text.await.unwrap_or_else(|error| format!("# santa-supervise does not respond: {error}\n"))
}

/// The states of all instances of all services.
///
/// # Errors
/// When it cannot be reached or does not respond in time.
pub(super) async fn instance_states(control_socket: &Path) -> io::Result<Vec<InstanceState>> {
    let Status { services } = serde_json::from_slice(&request(control_socket, "status").await?)?;
    Ok(services)
}

async fn request(control_socket: &Path, op: &str) -> io::Result<Vec<u8>> {
    let response = async {
        let stream = send(control_socket, op).await?;
        let mut response = Vec::new();
        while !response.ends_with(b"\n") && response.len() < MAX_RESPONSE {
            read(&stream, &mut response).await?;
        }
        Ok(response)
    };
    let in_time = tokio::time::timeout(TIMEOUT, response).await;
    in_time.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// A subscription to its events.
#[derive(Debug)]
pub(super) struct Events(UnixStream);

impl Events {
    /// Subscribes.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub(super) async fn subscribe(control_socket: &Path) -> io::Result<Self> {
        let stream = tokio::time::timeout(TIMEOUT, send(control_socket, "events")).await;
        stream.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map(Self)
    }

    /// Waits for the next event. Can be dropped at any time.
    ///
    /// # Errors
    /// When the connection is lost.
    pub(super) async fn next(&self) -> io::Result<()> {
        read(&self.0, &mut Vec::new()).await
    }
}

async fn send(control_socket: &Path, op: &str) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(control_socket).await?;
    stream.writable().await?;
    // A new connection has room for this.
    stream.try_write(format!("{{\"op\":\"{op}\"}}\n").as_bytes())?;
    Ok(stream)
}

/// Appends what has arrived; waits until something has.
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
