//! Connections that do nothing after their first response or echo: for what each of
//! them costs in memory.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::timeout;

use crate::report::{self, Held};
use crate::{Common, http, websocket};

/// Longest that the first response on a connection may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of the message that a WebSocket exchanges before it is idle.
const SIZE: usize = 64;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// Path asked for once on each connection, or of the WebSocket
    #[arg(long)]
    path: String,
    /// WebSockets instead of kept HTTP connections
    #[arg(long)]
    websocket: bool,
}

/// Opens the connections and keeps them until standard input ends.
pub(crate) async fn run(args: Args) -> Result<()> {
    let target = args.common.target()?;
    let (path, fields) = (args.path.as_str(), args.common.header.as_slice());
    let mut sockets = Vec::new();
    let mut streams = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    let request = http::request("GET", path, fields, b"");
    for _ in 0..args.common.connections {
        if args.websocket {
            let mut socket = websocket::open(&target, path, fields).await?;
            let message = websocket::message(SIZE);
            let echo = websocket::echo(&mut socket, &message);
            timeout(TIMEOUT, echo).await.context("no echo in time")??;
            sockets.push(socket);
            continue;
        }
        let first = async {
            let mut stream = target.connect().await?;
            let response =
                http::exchange(&mut stream, &request, &mut buffer, false, |_| {}).await?;
            ensure!(response.status == 200, "{path} was answered with {}", response.status);
            ensure!(response.keep, "the server does not keep the connection open");
            Ok(stream)
        };
        streams.push(timeout(TIMEOUT, first).await.context("no response in time")??);
    }
    let held = (sockets.len() + streams.len()) as u64;
    report::print(&Held { held })?;
    // Nothing else is to be done meanwhile, so the thread may block.
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())
        .context("cannot wait for the end of standard input")?;
    Ok(())
}
