//! Open pages of the console: WebSockets that hear the news, as a browser opens
//! them. A third shows events, a third a list of Macs, a third the overview; what
//! the news make a browser read again, they read.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io;
use std::mem::take;
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
/// How often a page looks what to read again: a list reads a changed Mac within a second.
const TICK: Duration = Duration::from_secs(1);
/// Time between two reads of a whole page, in a fleet as large as those of the benchmarks.
const PAUSE: Duration = Duration::from_secs(10);
/// Longest between two reads of the overview while Macs sync.
const LONGEST: Duration = Duration::from_secs(30);
/// Changed Macs above which a list is read as a whole.
const FEW: usize = 5;
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
    /// Where the REST interface begins
    #[arg(long, default_value = "/api/v1")]
    rest: String,
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
        let topics: &[&str] = if self == Self::Machines { &[] } else { &["events"] };
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
    reads: Cell<u64>,
    news: RefCell<News>,
}

/// What the page has to read again because of what it heard.
#[derive(Debug, Default, PartialEq, Eq)]
struct News {
    /// Machines synced, which only lets others become overdue.
    passed: bool,
    /// The page's numbers or its list.
    whole: bool,
    /// The latest blocked executions, some of which were not told in full.
    blocked: bool,
    /// Single Macs of a list.
    machines: BTreeSet<String>,
}

impl News {
    fn hear(&mut self, page: Page, message: &Value) {
        match (page, message["type"].as_str()) {
            (Page::Overview, Some("event")) => {
                self.whole = true;
                self.blocked |= message["event"].is_null() && counts_blocked(message);
            }
            (Page::Overview | Page::Machines, Some("syncs")) => {
                self.passed = true;
                self.whole |= message["changed"].as_u64() > Some(0);
            }
            (Page::Machines, Some("sync")) => {
                self.machines.extend(message["machine_id"].as_str().map(str::to_owned));
            }
            _ => {}
        }
    }
}

fn counts_blocked(message: &Value) -> bool {
    let decisions = message["decisions"].as_object();
    decisions.is_some_and(|counts| counts.keys().any(|decision| decision.starts_with("BLOCK")))
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
        watch_over(listen(socket, page, Rc::clone(&counts)), &failure);
        let reader = Reader {
            target: target.clone(),
            rest: args.rest.clone(),
            fields: args.common.header.clone(),
            listed: args.listed,
            heard: counts,
        };
        watch_over(reader.follow(page), &failure);
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
        reads: heard.iter().map(|one| one.reads.get()).sum(),
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
    let hello: Value = serde_json::from_str(hello.to_text().context("hello is not text")?)
        .context("the first message is not JSON")?;
    let kind = kind(&hello)?;
    ensure!(kind == "hello", "the first message is {kind:?} instead of hello");
    socket.send(Message::text(watch.to_string())).await.context("cannot say what is shown")?;
    Ok(socket)
}

/// Counts what a page hears.
async fn listen(mut socket: WebSocketStream<Stream>, page: Page, heard: Rc<Heard>) -> Result<()> {
    while let Some(message) = socket.next().await {
        let message = message.context("the WebSocket broke")?;
        let Message::Text(text) = message else {
            ensure!(!message.is_close(), "the server closed the WebSocket: {message}");
            continue;
        };
        heard.bytes.set(heard.bytes.get() + text.len() + FRAME);
        heard.messages.set(heard.messages.get() + 1);
        let message: Value = serde_json::from_str(&text).context("a message is not JSON")?;
        if kind(&message)? == "lagged" {
            heard.lagged.set(heard.lagged.get() + 1);
        }
        heard.news.borrow_mut().hear(page, &message);
    }
    bail!("the server closed the WebSocket")
}

/// Reads what a page shows when the news say so.
struct Reader {
    target: Target,
    rest: String,
    fields: Vec<String>,
    listed: u32,
    heard: Rc<Heard>,
}

impl Reader {
    async fn follow(self, page: Page) -> Result<()> {
        let mut read_at: Option<Instant> = None;
        let mut blocked_at: Option<Instant> = None;
        let passed = |at: Option<Instant>, pause| at.is_none_or(|at| at.elapsed() >= pause);
        if page == Page::Events {
            return Ok(()); // what it shows is in the news
        }
        loop {
            let mut news = take(&mut *self.heard.news.borrow_mut());
            let many = news.machines.len() > FEW;
            let due = news.whole && passed(read_at, PAUSE)
                || page == Page::Overview && news.passed && passed(read_at, LONGEST)
                || many;
            if due {
                read_at = Some(Instant::now());
                self.get(&self.whole(page)).await?;
            } else {
                self.heard.news.borrow_mut().whole |= news.whole;
            }
            if news.blocked && passed(blocked_at, PAUSE) {
                blocked_at = Some(Instant::now());
                self.get("/events?decision=blocked&limit=8").await?;
            } else {
                self.heard.news.borrow_mut().blocked |= news.blocked;
            }
            for machine in take(&mut news.machines) {
                if !many {
                    self.get(&format!("/machines/{machine}")).await?;
                }
            }
            sleep(TICK).await;
        }
    }

    fn whole(&self, page: Page) -> String {
        match page {
            Page::Overview => "/overview".to_owned(),
            _ => format!("/machines?limit={}", self.listed),
        }
    }

    async fn get(&self, path: &str) -> Result<()> {
        let path = format!("{}{path}", self.rest);
        let request = request("GET", &path, &self.fields, b"");
        let mut stream = self.target.connect().await?;
        let (response, _) = exchange_for_content(&mut stream, &request, MOST).await?;
        ensure!(response.status == 200, "{path} was answered with {}", response.status);
        self.heard.reads.set(self.heard.reads.get() + 1);
        Ok(())
    }
}

/// The type of a message.
fn kind(message: &Value) -> Result<&str> {
    message["type"].as_str().context("a message has no type")
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
        let events = json!({ "type": "watch", "topics": ["events"], "machines": [], "ago": 0 });
        assert_eq!(shown(2), events);
    }

    #[test]
    fn a_page_reads_what_the_news_concern() {
        let heard = |page: Page, message: Value| {
            let mut news = News::default();
            news.hear(page, &message);
            news
        };
        let event = |event: Value, decision: &str| json!({ "type": "event", "event": event, "decisions": { decision: 3 } });
        let whole = News { whole: true, ..News::default() };
        let blocked = News { whole: true, blocked: true, ..News::default() };
        let hidden = Value::Null;
        assert_eq!(heard(Page::Overview, event(json!({}), "BLOCK_UNKNOWN")), whole);
        assert_eq!(heard(Page::Overview, event(hidden.clone(), "ALLOW_UNKNOWN")), whole);
        assert_eq!(heard(Page::Overview, event(hidden.clone(), "BLOCK_UNKNOWN")), blocked);
        assert_eq!(heard(Page::Machines, event(hidden, "BLOCK_UNKNOWN")), News::default());
        let quiet = json!({ "type": "syncs", "changed": 0 });
        assert_eq!(heard(Page::Overview, quiet.clone()), News { passed: true, ..News::default() });
        assert!(!heard(Page::Machines, quiet).whole);
        assert!(heard(Page::Machines, json!({ "type": "syncs", "changed": 1 })).whole);
        let sync = json!({ "type": "sync", "machine_id": "bench-1" });
        assert_eq!(heard(Page::Machines, sync).machines.len(), 1);
    }

    #[test]
    fn a_small_fleet_is_not_listed_twice() {
        let list = Page::Machines.watch(1, 10, 50);
        assert_eq!(list["machines"].as_array().map(Vec::len), Some(10));
    }
}
