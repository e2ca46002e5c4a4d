//! The numbers of santa-supervise, over its control socket, for the one page
//! that tells of all parts.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tokio::net::UnixStream;

/// Longest it may take to answer; a page without its numbers is better than none.
const PATIENCE: Duration = Duration::from_secs(2);
/// More than any answer has.
const LONGEST: usize = 4 * 1024 * 1024;

/// Its answer to a request for its numbers.
#[derive(Deserialize)]
struct Answer {
    ok: bool,
    message: String,
}

/// Its numbers as Prometheus text; or a comment that says why there are none.
pub(super) async fn numbers(control: &Path) -> String {
    let asked = tokio::time::timeout(PATIENCE, ask(control)).await;
    match asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(text) => text,
        Err(error) => format!("# santa-supervise does not answer: {error}\n"),
    }
}

async fn ask(control: &Path) -> io::Result<String> {
    let stream = UnixStream::connect(control).await?;
    stream.writable().await?;
    // A new connection has room for this.
    stream.try_write(b"{\"op\":\"metrics\"}\n")?;
    let mut answer = Vec::new();
    let mut buffer = [0u8; 16 * 1024];
    while !answer.ends_with(b"\n") && answer.len() < LONGEST {
        stream.readable().await?;
        match stream.try_read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => answer.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    let Answer { ok, message } = serde_json::from_slice(&answer)?;
    // A refusal is one line for people.
    if ok { Ok(message) } else { Err(io::Error::other(message.replace('\n', " "))) }
}
