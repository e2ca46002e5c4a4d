//! HTTP/1.1 requests, one at a time on each connection; [`http2`] has those over streams.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, timeout_at};

use crate::Common;
use crate::content::{Chunk, Content};
use crate::http2;
use crate::message::Response;
use crate::pace::Pace;
use crate::report::{self, Tally};
use crate::target::{NAME, Stream, Target};

/// Longest that responses may take after the end of a run.
pub(crate) const GRACE: Duration = Duration::from_secs(5);
/// Pause after a failure, so that a dead server is not hammered.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);
/// Size of the buffer responses are read into.
const BUFFER: usize = 64 * 1024;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Path to ask for; several are asked for in turn
    #[arg(long, required = true)]
    pub(crate) path: Vec<String>,
    /// Method of the requests
    #[arg(long, default_value = "GET")]
    pub(crate) method: String,
    /// File with the content of each request
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// File with the content that responses must have, with status 200; one for each
    /// path. The length is checked every time, the bytes once on each connection or stream.
    #[arg(long, value_name = "FILE")]
    expect: Vec<PathBuf>,
    /// Open a connection for each request
    #[arg(long)]
    close: bool,
    /// Speak HTTP/2 over TLS, with this many streams at a time on each connection
    #[arg(
        long,
        value_name = "N",
        requires = "ca",
        conflicts_with_all = ["close", "body"],
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) streams: Option<u32>,
    /// How long
    #[arg(long, default_value = "2", value_name = "SECONDS", value_parser = crate::seconds)]
    pub(crate) seconds: Duration,
    /// Requests a second of all connections together; without it as fast as they are answered
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<f64>,
}

/// What all connections of a run share.
struct Run {
    target: Target,
    requests: Vec<Vec<u8>>,
    expected: Vec<Vec<u8>>,
    to_head: bool,
    close: bool,
    start: Instant,
    end: Instant,
    tally: RefCell<Tally>,
}

/// Carries out a run.
pub(crate) async fn run(args: Args) -> Result<report::Http> {
    ensure!(args.rate.is_none_or(|rate| rate > 0.0), "--rate must be above 0");
    if let Some(streams) = args.streams {
        return http2::run(&args, streams).await;
    }
    let start = Instant::now();
    let run = Rc::new(Run {
        target: args.common.target()?,
        requests: requests(&args)?,
        expected: expected(&args)?,
        to_head: args.method == "HEAD",
        close: args.close,
        start,
        end: start + args.seconds,
        tally: RefCell::new(Tally::new()?),
    });
    let count = args.common.connections;
    let tasks: Vec<_> = (0..count)
        .map(|index| {
            let (run, pace) = (Rc::clone(&run), Pace::new(args.rate, count, index));
            spawn_local(async move { run.connection(pace, index as usize).await })
        })
        .collect();
    for task in tasks {
        task.await.context("a connection's task failed")?;
    }
    let tally = run.tally.borrow();
    Ok(report::Http::new(&tally, start.elapsed()))
}

fn read_file(file: &PathBuf) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// The content expected for each path, or none at all.
pub(crate) fn expected(args: &Args) -> Result<Vec<Vec<u8>>> {
    let fits = args.expect.is_empty() || args.expect.len() == args.path.len();
    ensure!(fits, "--expect must be given as often as --path, or not at all");
    args.expect.iter().map(read_file).collect()
}

/// One request for each path, ready to be sent.
fn requests(args: &Args) -> Result<Vec<Vec<u8>>> {
    let body = args.body.as_ref().map(read_file).transpose()?.unwrap_or_default();
    let mut fields = args.common.header.clone();
    if args.body.is_some() {
        fields.push(format!("Content-Length: {}", body.len()));
    }
    if args.close {
        fields.push("Connection: close".to_owned());
    }
    Ok(args.path.iter().map(|path| request(&args.method, path, &fields, &body)).collect())
}

/// A request as bytes.
pub(crate) fn request(method: &str, path: &str, fields: &[String], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {NAME}\r\n");
    for field in fields {
        head.push_str(field);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

impl Run {
    /// Serves one connection's schedule to the end of the run.
    async fn connection(&self, mut pace: Pace, first: usize) {
        let mut stream: Option<Stream> = None;
        let mut buffer = vec![0; BUFFER];
        let mut next = first;
        while let Some(due) = pace.turn(self.start, self.end).await {
            let which = next % self.requests.len();
            next += 1;
            let work = self.exchange(&mut stream, which, &mut buffer);
            let done = timeout_at(self.end + GRACE, work).await;
            let done = done.context("no response in time").and_then(|result| result);
            let failed = done.is_err();
            if self.count(done, due) {
                continue;
            }
            stream = None;
            if failed {
                sleep(PAUSE).await;
            }
        }
    }

    /// Counts an exchange; gives whether its connection is used again.
    fn count(&self, done: Result<Response>, due: Instant) -> bool {
        let mut tally = self.tally.borrow_mut();
        match done {
            Ok(response) => {
                tally.response(due.elapsed());
                tally.bytes += response.content;
                tally.refused += u64::from(response.status >= 400);
                response.keep && !self.close
            }
            Err(error) => {
                tally.error(&error);
                false
            }
        }
    }

    async fn exchange(
        &self,
        stream: &mut Option<Stream>,
        which: usize,
        buffer: &mut [u8],
    ) -> Result<Response> {
        let expected = self.expected.get(which);
        let is_new = stream.is_none();
        let stream = match stream {
            Some(stream) => stream,
            None => stream.insert(self.target.connect().await?),
        };
        let (mut at, mut same) = (0, true);
        let compare = |piece: &[u8]| {
            if let Some(expected) = expected.filter(|_| is_new) {
                same &= expected.get(at..at + piece.len()) == Some(piece);
                at += piece.len();
            }
        };
        let request = &self.requests[which];
        let response = exchange(stream, request, buffer, self.to_head, compare).await?;
        if let Some(expected) = expected {
            check(response.status, response.content, expected.len(), same)?;
        }
        Ok(response)
    }
}

/// Whether a response is the one that was meant.
pub(crate) fn check(status: u16, content: u64, length: usize, same: bool) -> Result<()> {
    ensure!(
        status == 200 && content == length as u64,
        "answered with {status} and {content} bytes instead of 200 and {length}"
    );
    ensure!(same, "the content is not what it should be");
    Ok(())
}

/// Sends a request and reads past its response, whose content is shown to `see`.
pub(crate) async fn exchange(
    stream: &mut Stream,
    request: &[u8],
    buffer: &mut [u8],
    to_head: bool,
    mut see: impl FnMut(&[u8]),
) -> Result<Response> {
    stream.write_all(request).await.context("cannot send a request")?;
    stream.flush().await.context("cannot send a request")?;
    let mut filled = 0;
    let mut response = loop {
        ensure!(filled < buffer.len(), "the head of the response is too long");
        filled += read(stream, &mut buffer[filled..]).await?;
        if let Some(response) = Response::read(&buffer[..filled], to_head)? {
            break response;
        }
    };
    let mut content = match response.chunked {
        true => Content::Chunks(Chunk::Size(None)),
        false => Content::Length(response.content),
    };
    response.content = 0;
    let mut count = |piece: &[u8]| {
        response.content += piece.len() as u64;
        see(piece);
    };
    let mut piece = response.head..filled;
    while !content.take(&buffer[piece], &mut count)? {
        piece = 0..read(stream, buffer).await?;
    }
    Ok(response)
}

async fn read(stream: &mut Stream, buffer: &mut [u8]) -> Result<usize> {
    let count = stream.read(buffer).await.context("cannot read a response")?;
    ensure!(count > 0, "the server closed the connection before its response was complete");
    Ok(count)
}

/// Sends a request and returns its response with all of its content.
pub(crate) async fn exchange_for_content(
    stream: &mut Stream,
    request: &[u8],
    most: usize,
) -> Result<(Response, Vec<u8>)> {
    stream.write_all(request).await.context("cannot send a request")?;
    stream.flush().await.context("cannot send a request")?;
    let mut bytes = Vec::with_capacity(4 * 1024);
    loop {
        let count = stream.read_buf(&mut bytes).await.context("cannot read a response")?;
        ensure!(count > 0, "the server closed the connection before its response was complete");
        let Some(response) = Response::read(&bytes, false)? else { continue };
        ensure!(!response.chunked, "the response comes in chunks instead of with a length");
        let whole = response.head + usize::try_from(response.content)?;
        ensure!(whole <= most, "the response is too long");
        if bytes.len() >= whole {
            let content = bytes[response.head..whole].to_vec();
            return Ok((response, content));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_only_when_it_is_the_one_that_was_meant() {
        assert!(check(200, 5, 5, true).is_ok());
        for wrong in [check(404, 5, 5, true), check(200, 4, 5, true)] {
            let message = wrong.expect_err("a wrong response").to_string();
            assert!(message.ends_with("instead of 200 and 5"), "{message}");
        }
        assert!(check(200, 5, 5, false).is_err());
    }

    #[test]
    fn content_is_seen_in_full_and_no_byte_more_is_taken_for_it() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        runtime.block_on(async { see_contents().await });
    }

    async fn see_contents() {
        let (fixed, chunked) = ("Content-Length: 5", "Transfer-Encoding: chunked");
        for (field, sent, seen) in [
            (fixed, "hello", Some("hello")),
            (fixed, "hello!", None),
            (fixed, "hel", None),
            (chunked, "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", Some("hello")),
            (chunked, "3\r\nhel\r\n", None),
        ] {
            let (near, mut far) = tokio::io::duplex(256);
            let head = format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n");
            far.write_all(format!("{head}{sent}").as_bytes()).await.expect("sent");
            far.shutdown().await.expect("ended");
            let (mut stream, mut buffer) = (Box::new(near) as Stream, [0; 64]);
            let mut content = Vec::new();
            let see = |piece: &[u8]| content.extend_from_slice(piece);
            let done = exchange(&mut stream, b"GET", &mut buffer, false, see).await;
            assert_eq!(done.is_ok().then_some(content), seen.map(|text| text.as_bytes().to_vec()));
        }
    }
}
