//! HTTP/2 requests over TLS: several streams at a time on each connection.

use std::cell::RefCell;
use std::rc::Rc;

use ::http::{HeaderName, HeaderValue, Request};
use anyhow::{Context, Result};
use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::http::{Args, GRACE, PAUSE, check, expected};
use crate::pace::Pace;
use crate::report::{self, Tally};
use crate::target::{NAME, Protocol, Target};

/// What a server may send on one stream before it was read: as much as browsers let it.
const STREAM_WINDOW: u32 = 6 * 1024 * 1024;
/// The same for a connection.
const CONNECTION_WINDOW: u32 = 15 * 1024 * 1024;

/// What all streams of a run share.
struct Run {
    requests: Vec<Request<()>>,
    expected: Vec<Vec<u8>>,
    start: Instant,
    end: Instant,
    tally: RefCell<Tally>,
}

/// What came on one stream.
struct Response {
    status: u16,
    content: u64,
}

/// Carries out a run. The connections are open before it begins; one that the
/// server ends is not opened again, and what was under way on it has failed.
pub(crate) async fn run(args: &Args, streams: u32) -> Result<report::Http> {
    let target = args.common.target_for(Protocol::Http2)?;
    let (requests, expected) = (requests(args)?, expected(args)?);
    let mut connections = Vec::new();
    for _ in 0..args.common.connections {
        connections.push(connect(&target).await?);
    }
    let start = Instant::now();
    let (end, tally) = (start + args.seconds, RefCell::new(Tally::new()?));
    let run = Rc::new(Run { requests, expected, start, end, tally });
    let count = args.common.connections * streams;
    // Neighbors in the schedule are on different connections.
    let tasks: Vec<_> = (0..count)
        .zip(connections.iter().cycle())
        .map(|(index, sender)| {
            let (run, sender) = (Rc::clone(&run), sender.clone());
            let pace = Pace::new(args.rate, count, index);
            spawn_local(async move { run.stream(sender, pace, index as usize).await })
        })
        .collect();
    for task in tasks {
        task.await.context("a stream's task failed")?;
    }
    let tally = run.tally.borrow();
    Ok(report::Http::new(&tally, start.elapsed()))
}

/// Opens a connection, which is driven by a task of its own.
async fn connect(target: &Target) -> Result<SendRequest<Bytes>> {
    let handshake = async {
        let stream = target.connect().await?;
        Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .enable_push(false)
            .handshake(stream)
            .await
            .context("the HTTP/2 handshake failed")
    };
    let (sender, connection) = timeout(GRACE, handshake).await.context("no response in time")??;
    spawn_local(async move {
        // Whatever ends it fails the requests that are under way, which tell of it.
        let _ = connection.await;
    });
    Ok(sender)
}

/// One request for each path.
fn requests(args: &Args) -> Result<Vec<Request<()>>> {
    let request = |path: &String| -> Result<Request<()>> {
        let uri = format!("https://{NAME}{path}");
        let mut request = Request::builder().method(args.method.as_str()).uri(uri).body(())?;
        for field in &args.common.header {
            let (name, value) = field.split_once(':').context("a field is NAME:VALUE")?;
            let name: HeaderName = name.trim().parse().context("a field's name")?;
            let value = HeaderValue::from_str(value.trim()).context("a field's value")?;
            request.headers_mut().append(name, value);
        }
        Ok(request)
    };
    args.path.iter().map(|path| request(path).context("a request")).collect()
}

impl Run {
    /// One request after the other, to the end of the run.
    async fn stream(&self, sender: SendRequest<Bytes>, mut pace: Pace, first: usize) {
        let mut is_new = true;
        let mut next = first;
        while let Some(due) = pace.turn(self.start, self.end).await {
            let work = self.exchange(sender.clone(), next % self.requests.len(), is_new);
            next += 1;
            let done = timeout_at(self.end + GRACE, work).await;
            let done = done.context("no response in time").and_then(|result| result);
            is_new = done.is_err();
            self.count(done, due);
            if is_new {
                sleep(PAUSE).await;
            }
        }
    }

    fn count(&self, done: Result<Response>, due: Instant) {
        let mut tally = self.tally.borrow_mut();
        match done {
            Ok(response) => {
                tally.response(due.elapsed());
                tally.bytes += response.content;
                tally.refused += u64::from(response.status >= 400);
            }
            Err(error) => tally.error(&error),
        }
    }

    async fn exchange(
        &self,
        sender: SendRequest<Bytes>,
        which: usize,
        is_new: bool,
    ) -> Result<Response> {
        let expected = self.expected.get(which);
        let mut sender = sender.ready().await.context("cannot send a request")?;
        let request = self.requests[which].clone();
        let (response, _) = sender.send_request(request, true).context("cannot send a request")?;
        let (head, mut body) = response.await.context("cannot read a response")?.into_parts();
        let (mut content, mut same) = (0, true);
        while let Some(piece) = body.data().await {
            let piece = piece.context("cannot read a response")?;
            if let Some(expected) = expected.filter(|_| is_new) {
                same &= expected.get(content..content + piece.len()) == Some(&piece[..]);
            }
            content += piece.len();
            body.flow_control().release_capacity(piece.len()).context("cannot read on")?;
        }
        let response = Response { status: head.status.as_u16(), content: content as u64 };
        if let Some(expected) = expected {
            check(response.status, response.content, expected.len(), same)?;
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use clap::Parser;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

    use super::*;
    use crate::certificate;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    /// Responds on every stream with `hello`, in two frames.
    async fn serve(listener: TcpListener, tls: TlsAcceptor) {
        loop {
            let (stream, _) = listener.accept().await.expect("accepted");
            let stream = tls.accept(stream).await.expect("greeted");
            spawn_local(async move {
                let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let head = ::http::Response::new(());
                    let mut body = respond.send_response(head, false).expect("sent");
                    body.send_data(Bytes::from_static(b"hel"), false).expect("sent");
                    body.send_data(Bytes::from_static(b"lo"), true).expect("sent");
                }
            });
        }
    }

    fn acceptor(folder: &Path, protocol: &[u8]) -> TlsAcceptor {
        let certificate = CertificateDer::from_pem_file(folder.join("certificate.pem"));
        let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).expect("key");
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.expect("certificate")], key)
            .expect("pair");
        config.alpn_protocols = vec![protocol.to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    /// A run of three streams on each of two connections against such a server.
    async fn load(protocol: &[u8], expected: &str) -> Result<report::Http> {
        let folder = tempfile::tempdir()?;
        certificate::write(folder.path())?;
        let file = folder.path().join("expected");
        std::fs::write(&file, expected)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let to = format!("--to={}", listener.local_addr()?);
        let server = spawn_local(serve(listener, acceptor(folder.path(), protocol)));
        let ca = format!("--ca={}", folder.path().join("ca.pem").display());
        let expect = format!("--expect={}", file.display());
        let given = ["load", &to, &ca, &expect, "--path=/", "--connections=2", "--seconds=0.1"];
        let args = Cli::parse_from(given.into_iter().chain(["--streams=3"])).args;
        let outcome = run(&args, 3).await;
        server.abort();
        outcome
    }

    #[test]
    fn streams_count_only_the_answers_that_were_meant() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build_local(tokio::runtime::LocalOptions::default())
            .expect("runtime");
        runtime.block_on(async {
            let good = load(b"h2", "hello").await.expect("a run");
            assert!(good.responses >= 6 && good.errors == 0, "{good:?}");
            assert_eq!(good.bytes, good.responses * 5);
            for wrong in ["hellO", "hell", "hello!"] {
                let bad = load(b"h2", wrong).await.expect("a run");
                assert!(bad.responses == 0 && bad.errors > 0, "{bad:?}");
            }
            let error = load(b"http/1.1", "hello").await.expect_err("no HTTP/2");
            assert!(format!("{error:#}").contains("TLS"), "{error:#}");
        });
    }
}
