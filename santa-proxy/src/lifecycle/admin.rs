//! The admin listener: `/metrics` of proxy, supervisor and backend, on an address of its
//! own and never on the public port. Runs on the main thread.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpStream};

use super::{backend_metrics, supervisor_client};
use crate::exposition::Format;
use crate::http::field::Name;
use crate::http::reject::phrase;
use crate::http::request::{HeadLimits, Request};
use crate::http::scan::{Found, Scan};
use crate::io::buffer::Buffer;
use crate::io::stream::Stream;
use crate::log::sink::Sink;
use crate::metrics::{WorkerMetrics, addresses, render};

const LIMITS: HeadLimits = HeadLimits { head: 8192, target: 1024, fields: 64 };
/// Scrapes that may wait.
const BACKLOG: i32 = 64;
/// How long a scrape may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The admin listener and the sources of its metrics.
#[derive(Debug)]
pub(super) struct Admin {
    listener: TcpListener,
    workers: Arc<[Arc<WorkerMetrics>]>,
    sink: Sink,
    /// The control socket of santa-supervise.
    control_socket: PathBuf,
}

impl Admin {
    /// Binds the listener.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub(super) fn bind(
        address: SocketAddr,
        workers: Arc<[Arc<WorkerMetrics>]>,
        sink: Sink,
        control_socket: PathBuf,
    ) -> Result<Self> {
        let listener = listen(address)
            .with_context(|| format!("binding the admin listener ([admin] listen) to {address}"))?;
        Ok(Self { listener, workers, sink, control_socket })
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// When the kernel does not tell it.
    pub(super) fn address(&self) -> Result<SocketAddr> {
        self.listener.local_addr().context("reading the address of the admin listener")
    }

    /// Serves until the task ends.
    pub(super) async fn run(self) {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let workers = Arc::clone(&self.workers);
            let (sink, control_socket) = (self.sink.clone(), self.control_socket.clone());
            tokio::task::spawn_local(async move {
                let served = serve(stream, &workers, &sink, &control_socket);
                // A scrape that fails is the scraper's to report.
                let _ = tokio::time::timeout(TIMEOUT, served).await;
            });
        }
    }
}

/// Binds the listener such that the next process can, too, while this one still
/// drains.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = santa_config::listen_tcp(address, BACKLOG, true)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Serves one request and closes.
async fn serve(
    stream: TcpStream,
    workers: &[Arc<WorkerMetrics>],
    sink: &Sink,
    control_socket: &Path,
) -> std::io::Result<()> {
    let mut stream = Stream::Tcp(stream);
    let (mut reader, mut writer) = stream.split();
    let mut buffer = Buffer::default();
    let mut scan = Scan::default();
    let (status, format) = loop {
        if reader.fill(&mut buffer).await? == 0 {
            return Ok(());
        }
        match scan.advance(buffer.filled(), &LIMITS.scan_rules()) {
            Ok(Found::More(_)) => {}
            Ok(Found::Head(span)) => match Request::parse(buffer.filled(), &span, &LIMITS) {
                Ok(request) => {
                    let accepted = Format::accepted(request.fields.all(Name::Accept));
                    break (status(&request), accepted);
                }
                Err(reject) => break (reject.status, Format::Prometheus),
            },
            Err(_) => break (400, Format::Prometheus),
        }
    };
    let (kind, text) = match status {
        200 => {
            let own = render(workers, sink.dropped(), format);
            let backend = backend_metrics::collect(addresses(workers)).await;
            let all = own + &backend + &supervisor_client::metrics(control_socket).await;
            (format.content_type(), format.of_prometheus(all))
        }
        _ => ("text/plain; charset=utf-8", format!("{status} {}\n", phrase(status))),
    };
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        phrase(status),
        text.len()
    );
    writer.write_all([head.as_bytes(), text.as_bytes(), &[]]).await?;
    writer.shutdown().await
}

fn status(request: &Request<'_>) -> u16 {
    match (request.method, request.target.path) {
        ("GET", b"/metrics") => 200,
        (_, b"/metrics") => 405,
        _ => 404,
    }
}
