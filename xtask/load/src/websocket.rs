//! WebSockets that send a message and wait for its echo.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::{SinkExt, StreamExt};
use tokio::task::spawn_local;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::Common;
use crate::pace::Pace;
use crate::report::{self, Tally};
use crate::target::{NAME, Stream, Target};

/// Longest that opening a connection, or the last echoes, may take.
const GRACE: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// Path of the WebSocket
    #[arg(long)]
    path: String,
    /// Bytes of a message
    #[arg(long, default_value_t = 64, value_name = "N")]
    size: usize,
    /// How long, once all connections are open
    #[arg(long, default_value = "2", value_name = "SECONDS", value_parser = crate::seconds)]
    seconds: Duration,
    /// Messages a second of all connections together; without it as fast as they come back
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
}

/// Small buffers: there are many connections and the messages are short.
pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default().read_buffer_size(4096).write_buffer_size(0)
}

/// Opens a WebSocket.
pub(crate) async fn open(
    target: &Target,
    path: &str,
    fields: &[String],
) -> Result<WebSocketStream<Stream>> {
    let mut request = format!("ws://{NAME}{path}").into_client_request().context("the path")?;
    for field in fields {
        let (name, value) = field.split_once(':').context("a field is NAME:VALUE")?;
        let name: HeaderName = name.trim().parse().context("a field's name")?;
        let value = HeaderValue::from_str(value.trim()).context("a field's value")?;
        request.headers_mut().insert(name, value);
    }
    let handshake = async {
        let stream = target.connect().await?;
        tokio_tungstenite::client_async_with_config(request, stream, Some(config()))
            .await
            .context("the WebSocket handshake failed")
    };
    let (socket, _) = timeout(GRACE, handshake).await.context("no WebSocket in time")??;
    Ok(socket)
}

/// Carries out a run.
pub(crate) async fn run(args: Args) -> Result<report::WebSocket> {
    ensure!(args.rate.is_none_or(|rate| rate > 0.0), "--rate must be above 0");
    let target = args.common.target()?;
    let mut sockets = Vec::new();
    for _ in 0..args.common.connections {
        sockets.push(open(&target, &args.path, &args.common.header).await?);
    }
    let tally = Rc::new(RefCell::new(Tally::new()?));
    let message = message(args.size);
    let start = Instant::now();
    let end = start + args.seconds;
    let tasks: Vec<_> = (0u32..)
        .zip(sockets)
        .map(|(index, mut socket)| {
            let pace = Pace::new(args.rate, args.common.connections, index);
            let (tally, message) = (Rc::clone(&tally), message.clone());
            spawn_local(async move {
                if let Err(error) = talk(&mut socket, pace, &message, start, end, &tally).await {
                    tally.borrow_mut().error(&error);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.context("a connection's task failed")?;
    }
    let tally = tally.borrow();
    Ok(report::WebSocket {
        responses: tally.responses(),
        errors: tally.errors,
        first_error: tally.first_error.clone(),
        seconds: start.elapsed().as_secs_f64(),
        latency: tally.latency(),
    })
}

async fn talk(
    socket: &mut WebSocketStream<Stream>,
    mut pace: Pace,
    message: &Message,
    start: Instant,
    end: Instant,
    tally: &RefCell<Tally>,
) -> Result<()> {
    while let Some(due) = pace.turn(start, end).await {
        let echo = echo(socket, message);
        timeout_at(end + GRACE, echo).await.context("no echo in time")??;
        tally.borrow_mut().response(due.elapsed());
    }
    Ok(())
}

/// A message of this many bytes.
pub(crate) fn message(size: usize) -> Message {
    Message::text("x".repeat(size))
}

/// Sends a message and waits for the same to come back.
pub(crate) async fn echo(socket: &mut WebSocketStream<Stream>, message: &Message) -> Result<()> {
    socket.send(message.clone()).await.context("cannot send a message")?;
    let echo = socket.next().await.context("the server closed the WebSocket")?;
    ensure!(echo.context("no echo")? == *message, "the echo is not what was sent");
    Ok(())
}
