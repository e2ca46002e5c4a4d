//! Clients that keep a server busy without ever finishing a request: each begins
//! one, goes on byte by byte, and starts again when it is turned away.

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use crate::report::{self, Held};
use crate::target::Place;

/// Between two bytes of a client.
const PAUSE: Duration = Duration::from_secs(1);
/// Before a client that was turned away comes back.
const REST: Duration = Duration::from_millis(200);
/// Longest until every client has begun.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Length of a body that never arrives.
const LENGTH: usize = 1000;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The server: ADDRESS:PORT of this machine
    #[arg(long, value_name = "ADDRESS")]
    to: Place,
    /// Connections at a time
    #[arg(long, default_value_t = 2000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Addresses (127.0.1.1 and on) that they come from in turn
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u8).range(1..255))]
    addresses: u8,
    /// What is slow
    #[arg(long, value_enum)]
    part: Part,
    /// Path of the requests
    #[arg(long)]
    path: String,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The head
    Head,
    /// The body
    Body,
}

impl Args {
    /// What each client sends at once; it goes on with a byte a second.
    fn beginning(&self) -> String {
        let line = format!("POST {} HTTP/1.1\r\n", self.path);
        match self.part {
            Part::Head => line,
            Part::Body => format!("{line}Host: localhost\r\nContent-Length: {LENGTH}\r\n\r\n{{"),
        }
    }
}

/// Keeps the clients at it until standard input ends.
pub(crate) async fn run(args: Args) -> Result<()> {
    let Place::Tcp(to) = args.to else { bail!("--to must be ADDRESS:PORT") };
    let beginning: Rc<str> = args.beginning().into();
    let mut first = Vec::new();
    for number in 0..args.connections {
        let host = u8::try_from(number % u32::from(args.addresses)).unwrap_or_default() + 1;
        let from = Ipv4Addr::new(127, 0, 1, host);
        first.push(begin(to, from, &beginning).await.map(|stream| (from, stream))?);
    }
    report::print(&Held { held: first.len() as u64 })?;
    for (from, stream) in first {
        let beginning = Rc::clone(&beginning);
        tokio::task::spawn_local(async move {
            let mut stream = Some(stream);
            loop {
                if let Some(stream) = stream.take() {
                    trickle(stream).await;
                }
                sleep(REST).await;
                stream = begin(to, from, &beginning).await.ok();
            }
        });
    }
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // Whatever ends it, the attack is over.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = ended.send(());
    });
    end.await.context("cannot wait for the end of standard input")
}

async fn begin(to: SocketAddr, from: Ipv4Addr, beginning: &str) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into()).with_context(|| format!("cannot bind to {from}"))?;
    let connecting = timeout(TIMEOUT, socket.connect(to)).await.context("no connection in time")?;
    let mut stream = connecting.with_context(|| format!("cannot connect to {to}"))?;
    stream.write_all(beginning.as_bytes()).await?;
    Ok(stream)
}

/// Sends byte after byte until the server closes the connection.
async fn trickle(mut stream: TcpStream) {
    let mut response = [0; 512];
    loop {
        match timeout(PAUSE, stream.read(&mut response)).await {
            Ok(Ok(count)) if count > 0 => {}
            Ok(_) => return,
            Err(_) if stream.write_all(b"x").await.is_err() => return,
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_begins_properly_and_does_not_end() {
        let mut args = Args {
            to: "127.0.0.1:1".parse().expect("an address"),
            connections: 1,
            addresses: 1,
            part: Part::Head,
            path: "/api/x".to_owned(),
        };
        assert_eq!(args.beginning(), "POST /api/x HTTP/1.1\r\n");
        args.part = Part::Body;
        let (head, body) = args
            .beginning()
            .split_once("\r\n\r\n")
            .map(|(h, b)| (h.to_owned(), b.len()))
            .expect("a head");
        assert!(head.ends_with("Content-Length: 1000") && body < LENGTH);
    }
}
