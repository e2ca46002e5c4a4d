//! Open pages of the console: WebSockets that hear the news, as a browser opens
//! them. A third shows events, a third a list of Macs, a third the overview, which
//! is read again from time to time.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::task::{spawn_blocking, spawn_local};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::http::{exchange_for_content, request};
use crate::report::{self, Held};
use crate::target::{Stream, Target};
use crate::{Common, websocket};

/// Longest that the server may take to say hello.
const GRACE: Duration = Duration::from_secs(10);
/// How often the overview is read again while nothing changes.
const REFRESH: Duration = Duration::from_secs(30);
const MOST: usize = 1 << 20;
/// Bytes of a frame beside its content (RFC 6455, 5.2): more only beyond 65,535.
const FRAME: usize = 4;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// Path of the WebSocket
    #[arg(long, default_value = "/api/v1/live")]
    path: String,
    /// What the overview reads
    #[arg(long, default_value = "/api/v1/overview")]
    overview: String,
    /// Macs in the fleet; Mac number N is called bench-N
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    machines: u32,
    /// Macs in a list
    #[arg(long, default_value_t = 50, value_name = "N")]
    listed: u32,
}

/// What a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Events,
    Machines,
    Overview,
}

impl Page {
    fn of(index: u32) -> Self {
        match index % 3 {
            0 => Self::Events,
            1 => Self::Machines,
            _ => Self::Overview,
        }
    }

    /// What it says that it shows; a list has Macs from one place in the fleet.
    fn watch(self, index: u32, machines: u32, listed: u32) -> Value {
        let first = index.wrapping_mul(7_919);
        let named = |place: u32| format!("bench-{}", first.wrapping_add(place) % machines);
        let shown: Vec<String> = match self {
            Self::Machines => (0..listed.min(machines)).map(named).collect(),
            _ => Vec::new(),
        };
        let topics: &[&str] = if self == Self::Events { &["events"] } else { &[] };
        json!({ "type": "watch", "topics": topics, "machines": shown, "ago": 0 })
    }
}

/// What one page heard.
#[derive(Default)]
struct Heard {
    bytes: Cell<usize>,
    messages: Cell<u64>,
    /// Messages that said that others were lost.
    lagged: Cell<u64>,
}

/// Opens the pages, says so, and counts what they hear until standard input ends.
pub(crate) async fn run(args: Args) -> Result<()> {
    let target = args.common.target()?;
    let failure = Rc::new(RefCell::new(None));
    let mut pages = Vec::new();
    for index in 0..args.common.connections {
        let page = Page::of(index);
        let watch = page.watch(index, args.machines, args.listed);
        let socket = open(&target, &args, &watch).await?;
        pages.push((page, socket));
    }
    let start = Instant::now();
    let mut heard = Vec::new();
    for (page, socket) in pages {
        let counts = Rc::new(Heard::default());
        heard.push(Rc::clone(&counts));
        watch_over(listen(socket, counts), &failure);
        if page == Page::Overview {
            watch_over(
                refresh(target.clone(), args.overview.clone(), args.common.header.clone()),
                &failure,
            );
        }
    }
    report::print(&Held { held: heard.len() as u64 })?;
    let wait = || io::copy(&mut io::stdin().lock(), &mut io::sink());
    spawn_blocking(wait).await?.context("cannot wait for the end of standard input")?;
    if let Some(error) = failure.take() {
        bail!("a page failed: {error}");
    }
    let seconds = start.elapsed().as_secs_f64();
    let rate = |bytes: usize| bytes as f64 / seconds;
    let bytes = || heard.iter().map(|one| one.bytes.get());
    report::print(&report::Consoles {
        seconds,
        messages: heard.iter().map(|one| one.messages.get()).sum(),
        lagged: heard.iter().map(|one| one.lagged.get()).sum(),
        largest: rate(bytes().max().unwrap_or_default()),
        mean: rate(bytes().sum()) / heard.len() as f64,
    })
}

/// Runs a task whose first failure is kept.
fn watch_over(
    task: impl Future<Output = Result<()>> + 'static,
    failure: &Rc<RefCell<Option<String>>>,
) {
    let failure = Rc::clone(failure);
    spawn_local(async move {
        if let Err(error) = task.await {
            failure.borrow_mut().get_or_insert_with(|| format!("{error:#}"));
        }
    });
}

/// Opens a page's WebSocket, hears hello and says what the page shows.
async fn open(target: &Target, args: &Args, watch: &Value) -> Result<WebSocketStream<Stream>> {
    let mut socket = websocket::open(target, &args.path, &args.common.header).await?;
    let hello = timeout(GRACE, socket.next()).await.context("no hello in time")?;
    let hello = hello.context("the server closed the WebSocket")?.context("no hello")?;
    let kind = kind(hello.to_text().context("hello is not text")?)?;
    ensure!(kind == "hello", "the first message is {kind:?} instead of hello");
    socket.send(Message::text(watch.to_string())).await.context("cannot say what is shown")?;
    Ok(socket)
}

/// Counts what a page hears.
async fn listen(mut socket: WebSocketStream<Stream>, heard: Rc<Heard>) -> Result<()> {
    while let Some(message) = socket.next().await {
        let message = message.context("the WebSocket broke")?;
        let Message::Text(text) = message else {
            ensure!(!message.is_close(), "the server closed the WebSocket: {message}");
            continue;
        };
        heard.bytes.set(heard.bytes.get() + text.len() + FRAME);
        heard.messages.set(heard.messages.get() + 1);
        if kind(&text)? == "lagged" {
            heard.lagged.set(heard.lagged.get() + 1);
        }
    }
    bail!("the server closed the WebSocket")
}

/// Reads the overview now and then, as its page does.
async fn refresh(target: Target, path: String, fields: Vec<String>) -> Result<()> {
    let request = request("GET", &path, &fields, b"");
    loop {
        let mut stream = target.connect().await?;
        let (response, _) = exchange_for_content(&mut stream, &request, MOST).await?;
        ensure!(response.status == 200, "{path} was answered with {}", response.status);
        drop(stream);
        sleep(REFRESH).await;
    }
}

/// The type of a message.
fn kind(text: &str) -> Result<String> {
    let message: Value = serde_json::from_str(text).context("a message is not JSON")?;
    Ok(message["type"].as_str().context("a message has no type")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_take_turns_and_each_list_has_macs_of_its_own() {
        let pages: Vec<Page> = (0..4).map(Page::of).collect();
        assert_eq!(pages, [Page::Events, Page::Machines, Page::Overview, Page::Events]);
        let shown = |index: u32| Page::of(index).watch(index, 100_000, 50);
        assert_eq!(shown(0)["topics"], json!(["events"]));
        assert_eq!(shown(1)["machines"].as_array().map(Vec::len), Some(50));
        assert_eq!(shown(1)["machines"][0], "bench-7919");
        assert_ne!(shown(1)["machines"], shown(4)["machines"]);
        assert_eq!(shown(2), json!({ "type": "watch", "topics": [], "machines": [], "ago": 0 }));
    }

    #[test]
    fn a_small_fleet_is_not_listed_twice() {
        let list = Page::Machines.watch(1, 10, 50);
        assert_eq!(list["machines"].as_array().map(Vec::len), Some(10));
    }
}
