//! A fleet of Macs that sync with a SantaServer, open loop: each sync begins
//! when it is due, on a connection of its own, and asks for its four stages one
//! after the other. Or only uploads of events, as fast as they are taken.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until, timeout};

use crate::Common;
use crate::events::upload;
use crate::http::{exchange_for_content, request};
use crate::report::{self, Tally};
use crate::target::{Stream, Target};

/// A Mac's own limit for a response.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest that syncs may take after the end of a run.
const GRACE: Duration = Duration::from_secs(10);
const BUFFER: usize = 256 * 1024;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// Macs in the fleet; Mac number N is called bench-N
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    machines: u32,
    /// Number of the Mac that syncs first
    #[arg(long, default_value_t = 0, value_name = "N")]
    first: u32,
    /// Seconds between two syncs of a Mac
    #[arg(long, default_value = "600", value_name = "SECONDS", value_parser = crate::seconds)]
    interval: Duration,
    /// Events in each sync or upload
    #[arg(long, default_value_t = 10, value_name = "N")]
    events: u32,
    /// How often each page of rules is asked for
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Pages of rules after which a Mac gives up; without it, all are fetched
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pages: Option<u32>,
    /// Only upload events, over `--connections`, as fast as they are taken
    #[arg(long)]
    uploads: bool,
    /// Programs that the events are about
    #[arg(long, default_value_t = 2_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    programs: u32,
    /// How long
    #[arg(long, default_value = "10", value_name = "SECONDS", value_parser = crate::seconds)]
    seconds: Duration,
}

/// What all Macs of a run share.
struct Run {
    args: Args,
    target: Target,
    fields: Vec<String>,
    start: Instant,
    all: RefCell<Tally>,
    stages: [RefCell<Tally>; 4],
    /// For whole syncs, what their Macs waited for responses.
    waits: RefCell<Tally>,
    syncs: Cell<u64>,
    events: Cell<u64>,
    rules: Cell<u64>,
}

/// The stages in their order.
const STAGES: [&str; 4] = ["preflight", "eventupload", "ruledownload", "postflight"];

/// Carries out a run.
pub(crate) async fn run(args: Args) -> Result<report::Fleet> {
    let mut fields = args.common.header.clone();
    fields.push("Content-Type: application/json".to_owned());
    fields.push("User-Agent: santactl-sync/2026.7".to_owned());
    fields.push("Accept-Encoding: gzip, deflate".to_owned());
    let run = Rc::new(Run {
        target: args.common.target()?,
        fields,
        start: Instant::now(),
        all: RefCell::new(Tally::new()?),
        stages: [
            RefCell::new(Tally::new()?),
            RefCell::new(Tally::new()?),
            RefCell::new(Tally::new()?),
            RefCell::new(Tally::new()?),
        ],
        waits: RefCell::new(Tally::new()?),
        syncs: Cell::new(0),
        events: Cell::new(0),
        rules: Cell::new(0),
        args,
    });
    if run.args.uploads {
        run.upload_for_all().await?
    } else {
        run.sync_for_all().await?
    }
    let all = run.all.borrow();
    Ok(report::Fleet {
        syncs: run.syncs.get(),
        responses: all.responses(),
        refused: all.refused,
        errors: all.errors,
        first_error: all.first_error.clone(),
        events: run.events.get(),
        rules: run.rules.get(),
        seconds: run.start.elapsed().as_secs_f64(),
        latency: all.latency(),
        sync: run.waits.borrow().latency(),
        stages: STAGES
            .iter()
            .zip(&run.stages)
            .map(|(name, tally)| ((*name).to_owned(), tally.borrow().latency()))
            .collect(),
    })
}

impl Run {
    async fn sync_for_all(self: &Rc<Self>) -> Result<()> {
        let between = self.args.interval / self.args.machines;
        let mut tasks = tokio::task::JoinSet::new();
        let mut number = 0;
        loop {
            let due = self.start + between * number;
            if due >= self.start + self.args.seconds {
                break;
            }
            sleep_until(due).await;
            let machine = (self.args.first + number) % self.args.machines;
            let run = Rc::clone(self);
            tasks.spawn_local(async move { run.sync_until_done(machine, due).await });
            number += 1;
            while tasks.try_join_next().is_some() {}
        }
        let rest = async { while tasks.join_next().await.is_some() {} };
        timeout(GRACE, rest).await.context("syncs were still under way at the end")
    }

    async fn sync_until_done(&self, machine: u32, due: Instant) {
        match self.sync(machine, due).await {
            Ok(waited) => {
                self.waits.borrow_mut().response(waited);
                self.syncs.set(self.syncs.get() + 1);
            }
            Err(error) => self.all.borrow_mut().error(&error),
        }
    }

    /// One sync of a Mac that keeps its hash; gives how long it waited for responses.
    async fn sync(&self, machine: u32, due: Instant) -> Result<Duration> {
        let mut stream = self.target.connect().await?;
        let name = format!("bench-{machine}");
        let hash = format!("{machine:032x}");
        let preflight = format!(
            "{{\"serial_num\":\"C02{machine:09}\",\"hostname\":\"{name}.example.com\",\"os_version\":\"15.6.1\",\
             \"os_build\":\"24G90\",\"model_identifier\":\"Mac15,7\",\"santa_version\":\"2026.7.1\",\
             \"primary_user\":\"user{machine}\",\"client_mode\":\"LOCKDOWN\",\"machine_id\":\"{name}\",\
             \"rulesHash\":\"{hash}\"}}"
        );
        let (response, mut waited) =
            self.stage(&mut stream, 0, &name, preflight.as_bytes(), due).await?;
        let kind = text_after(&response, b"\"sync_type\":\"").unwrap_or("NORMAL").to_owned();
        if self.args.events > 0 {
            let body = self.events_of(machine);
            waited += self.stage(&mut stream, 1, &name, &body, Instant::now()).await?.1;
            self.events.set(self.events.get() + u64::from(self.args.events));
        }
        let mut received = 0;
        let mut cursor = String::new();
        for number in 1.. {
            let body = match cursor.as_str() {
                "" => format!("{{\"machine_id\":\"{name}\"}}"),
                cursor => format!("{{\"cursor\":\"{cursor}\",\"machine_id\":\"{name}\"}}"),
            };
            for _ in 1..self.args.repeat {
                self.stage(&mut stream, 2, &name, body.as_bytes(), Instant::now()).await?;
            }
            let (page, wait) =
                self.stage(&mut stream, 2, &name, body.as_bytes(), Instant::now()).await?;
            waited += wait;
            received += memchr::memmem::find_iter(&page, b"\"identifier\":").count();
            match text_after(&page, b"\"cursor\":\"") {
                Some(next) if !next.is_empty() => next.clone_into(&mut cursor),
                _ => break,
            }
            if Some(number) == self.args.pages {
                self.rules.set(self.rules.get() + received as u64);
                return Ok(waited);
            }
        }
        self.rules.set(self.rules.get() + received as u64);
        let postflight = format!(
            "{{\"rules_received\":{received},\"rules_processed\":{received},\"machine_id\":\"{name}\",\
             \"syncType\":\"{kind}\",\"rulesHash\":\"{hash}\"}}"
        );
        waited += self.stage(&mut stream, 3, &name, postflight.as_bytes(), Instant::now()).await?.1;
        Ok(waited)
    }

    async fn upload_for_all(self: &Rc<Self>) -> Result<()> {
        let end = self.start + self.args.seconds;
        let tasks: Vec<_> = (0..self.args.common.connections)
            .map(|index| {
                let run = Rc::clone(self);
                spawn_local(async move { run.upload_until(end, index).await })
            })
            .collect();
        for task in tasks {
            task.await.context("a connection's task failed")?;
        }
        Ok(())
    }

    async fn upload_until(&self, end: Instant, index: u32) {
        let mut machine = self.args.first + index;
        let mut stream = None;
        while Instant::now() < end {
            machine = (machine + self.args.common.connections) % self.args.machines;
            let body = self.events_of(machine);
            if let Err(error) = self.upload(&mut stream, machine, &body).await {
                self.all.borrow_mut().error(&error);
                stream = None;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    async fn upload(&self, stream: &mut Option<Stream>, machine: u32, body: &[u8]) -> Result<()> {
        let stream = match stream {
            Some(stream) => stream,
            None => stream.insert(self.target.connect().await?),
        };
        let name = format!("bench-{machine}");
        self.stage(stream, 1, &name, body, Instant::now()).await?;
        self.events.set(self.events.get() + u64::from(self.args.events));
        Ok(())
    }

    fn events_of(&self, machine: u32) -> Vec<u8> {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs_f64();
        upload(machine, self.args.events, self.args.programs, since)
    }

    /// Posts one stage; gives the content of its response and how long that took.
    async fn stage(
        &self,
        stream: &mut Stream,
        stage: usize,
        machine: &str,
        body: &[u8],
        due: Instant,
    ) -> Result<(Vec<u8>, Duration)> {
        let name = STAGES[stage];
        let packed = miniz_oxide::deflate::compress_to_vec_zlib(body, 1);
        let mut fields = self.fields.clone();
        fields.push("Content-Encoding: deflate".to_owned());
        fields.push(format!("Content-Length: {}", packed.len()));
        let path = format!("/api/santa/{name}/{machine}");
        let request = request("POST", &path, &fields, &packed);
        let work = exchange_for_content(stream, &request, BUFFER);
        let (response, content) = timeout(TIMEOUT, work)
            .await
            .with_context(|| format!("{name}: no response in time"))??;
        let wait = due.elapsed();
        for tally in [&self.all, &self.stages[stage]] {
            tally.borrow_mut().response(wait);
        }
        if response.status != 200 {
            self.all.borrow_mut().refused += 1;
        }
        ensure!(response.status == 200, "{name} was answered with {}", response.status);
        let content = if response.gzip { crate::events::gunzip(&content)? } else { content };
        Ok((content, wait))
    }
}

/// The text between a mark and the next quote.
fn text_after<'a>(content: &'a [u8], mark: &[u8]) -> Option<&'a str> {
    let start = memchr::memmem::find(content, mark)? + mark.len();
    let length = memchr::memchr(b'"', &content[start..])?;
    std::str::from_utf8(&content[start..start + length]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_and_kinds_are_read_from_answers() {
        let page = br#"{"rules":[],"cursor":"abc"}"#;
        assert_eq!(text_after(page, b"\"cursor\":\""), Some("abc"));
        assert_eq!(text_after(page, b"\"sync_type\":\""), None);
    }
}
