//! The one thread that writes the log. It alone may be held up by a slow or
//! stuck reader: what does not fit into the queue meanwhile is dropped and
//! counted. Of services it knows only the names.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::clock;
use crate::pressure::Pressure;
use crate::record::{Chunk, OWN_NAME, Stream, Style};

/// How much is formatted before it is written.
const BATCH: usize = 64 * 1024;

/// What our own events may take beyond the capacity, in bytes: a service that
/// fills the queue must not keep its own end out of the log. Beyond that they are
/// dropped, too.
const ROOM_FOR_EVENTS: usize = 256 * 1024;

/// How often a log that cannot be written is reported.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// The handle of the writing thread.
#[derive(Debug, Clone)]
pub struct Log {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    /// Something was queued or written.
    changed: Condvar,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Queue {
    chunks: VecDeque<Arc<Chunk>>,
    bytes: usize,
    /// Dropped lines not reported yet, by service.
    dropped: BTreeMap<Arc<str>, u64>,
    /// Dropped lines ever, by service.
    dropped_ever: BTreeMap<Arc<str>, u64>,
    /// Why the output last refused what was written to it.
    refusal: Option<io::Error>,
    writing: bool,
    pressure: Pressure,
}

impl Queue {
    fn drop_lines(&mut self, service: &Arc<str>, lines: u64) {
        *self.dropped_ever.entry(Arc::clone(service)).or_default() += lines;
        *self.dropped.entry(Arc::clone(service)).or_default() += lines;
    }
}

impl Log {
    /// Starts the thread. It writes to `output`; at most `capacity` bytes wait.
    ///
    /// # Errors
    /// The system refuses another thread.
    pub fn start(
        output: impl Write + AsFd + Send + 'static,
        style: Style,
        capacity: usize,
    ) -> io::Result<Self> {
        let shared = Shared { queue: Mutex::default(), changed: Condvar::new(), capacity };
        let log = Self { shared: Arc::new(shared) };
        let writer = log.clone();
        thread::Builder::new()
            .name("log".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || writer.write(output, style))?;
        Ok(log)
    }

    /// Queues a chunk, or drops and counts it when the queue is full. Never
    /// waits for the reader.
    pub fn push(&self, chunk: Arc<Chunk>) {
        let mut queue = self.lock();
        let own = if chunk.stream == Stream::Event { ROOM_FOR_EVENTS } else { 0 };
        if queue.bytes + chunk.weight() <= self.shared.capacity + own {
            queue.bytes += chunk.weight();
            queue.chunks.push_back(chunk);
            let bytes = queue.bytes;
            queue.pressure.added(Instant::now(), bytes, self.shared.capacity);
        } else {
            queue.drop_lines(&chunk.service, chunk.lines().count() as u64);
        }
        drop(queue);
        self.shared.changed.notify_all();
    }

    /// Whether services should be read no further for a moment.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.lock().pressure.holds(Instant::now())
    }

    /// Lines dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.lock().dropped_ever.values().sum()
    }

    /// Lines of one service dropped so far.
    #[must_use]
    pub fn dropped_of(&self, service: &str) -> u64 {
        self.lock().dropped_ever.get(service).copied().unwrap_or(0)
    }

    /// Waits until everything is written. Gives up when the reader takes
    /// nothing for as long as `timeout`, or is still not done after `longest`.
    pub fn flush(&self, timeout: Duration, longest: Duration) {
        let end = Instant::now() + longest;
        let mut until = end.min(Instant::now() + timeout);
        let mut queue = self.lock();
        let mut waiting = queue.bytes;
        while queue.writing || !queue.chunks.is_empty() {
            if queue.bytes < waiting {
                waiting = queue.bytes;
                until = end.min(Instant::now() + timeout);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.shared.changed.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, mut output: impl Write + AsFd, style: Style) {
        let mut text = Vec::with_capacity(BATCH);
        let mut ends = Vec::new();
        // Whether a refusal has left half a record behind.
        let mut torn = false;
        let mut complained: Option<Instant> = None;
        loop {
            let batch = self.next_batch();
            text.clear();
            ends.clear();
            if torn {
                text.push(b'\n');
            }
            for chunk in &batch.chunks {
                chunk.write(style, &mut text);
                ends.push(text.len());
            }
            let mut written = 0;
            // A closed or failing output must not end anything: what it
            // refuses is lost like what nobody reads.
            let refusal = write_all(&mut output, &text, &mut written).err();
            if written > 0 {
                torn = text[written - 1] != b'\n';
            }
            if let Some(refusal) = refusal {
                if complained.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
                    complained = Some(Instant::now());
                    complain(&refusal);
                }
                self.lose(batch, &ends, &text, written, refusal);
            } else {
                complained = None;
            }
            text.shrink_to(2 * BATCH);
        }
    }

    /// Counts the lines of a batch of which only `written` bytes went out.
    fn lose(&self, batch: Batch, ends: &[usize], text: &[u8], written: usize, refusal: io::Error) {
        let mut queue = self.lock();
        queue.refusal = Some(refusal);
        let reports = batch.reported.len();
        // A report that was lost is made again.
        for ((service, lines), end) in batch.reported.into_iter().zip(ends) {
            if *end > written {
                *queue.dropped.entry(service).or_default() += lines;
            }
        }
        for (index, chunk) in batch.chunks.iter().enumerate().skip(reports) {
            let begin = if index == 0 { 0 } else { ends[index - 1] };
            let lost = &text[begin.max(written).min(ends[index])..ends[index]];
            let lines = memchr::memchr_iter(b'\n', lost).count() as u64;
            if lines > 0 {
                queue.drop_lines(&chunk.service, lines);
            }
        }
    }

    /// Waits for the next chunks to write, reports of dropped lines first.
    fn next_batch(&self) -> Batch {
        let mut queue = self.lock();
        queue.writing = false;
        self.shared.changed.notify_all();
        while queue.chunks.is_empty() {
            queue = self.shared.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.writing = true;
        let refusal = queue.refusal.take();
        let reported = std::mem::take(&mut queue.dropped);
        let mut chunks: Vec<_> = reported
            .iter()
            .map(|(service, lines)| Arc::new(dropped_note(service, *lines, refusal.as_ref())))
            .collect();
        let mut bytes = 0;
        while bytes < BATCH {
            let Some(chunk) = queue.chunks.pop_front() else { break };
            bytes += chunk.text.len();
            queue.bytes -= chunk.weight();
            chunks.push(chunk);
        }
        let left = queue.bytes;
        queue.pressure.taken(Instant::now(), left, self.shared.capacity);
        Batch { reported, chunks }
    }
}

/// What is written at once.
struct Batch {
    /// Dropped lines that the first chunks report, one each.
    reported: BTreeMap<Arc<str>, u64>,
    chunks: Vec<Arc<Chunk>>,
}

fn dropped_note(service: &str, lines: u64, refusal: Option<&io::Error>) -> Chunk {
    let why = match refusal {
        None => "the reader of the log is too slow".to_owned(),
        Some(refusal) => format!("the log could not be written ({refusal})"),
    };
    let message = format!("dropped {lines} lines of {service}: {why}");
    let record = serde_json::json!({
        "level": "warning", "message": message, "event": "dropped", "name": service, "lines": lines,
    });
    Chunk {
        service: OWN_NAME.into(),
        stream: Stream::Event,
        at: clock::now(),
        text: format!("{record}\n").into_bytes(),
        unfinished: false,
    }
}

/// Reports on standard error, if that does not block, that records are lost: a log
/// that cannot be written cannot say so itself.
fn complain(refusal: &io::Error) {
    let errors = io::stderr();
    let mut fds = [rustix::event::PollFd::new(&errors, rustix::event::PollFlags::OUT)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    if rustix::event::poll(&mut fds, Some(&now)) == Ok(1)
        && fds[0].revents().contains(rustix::event::PollFlags::OUT)
    {
        crate::stderr::complain(&format!(
            "the log cannot be written to standard output: {refusal}; its records are lost, and `santa-supervise status` counts them"
        ));
    }
}

/// Writes everything, also to an output that another holder of the same pipe
/// has made non-blocking. `written` tells how far it came.
fn write_all(output: &mut (impl Write + AsFd), text: &[u8], written: &mut usize) -> io::Result<()> {
    while *written < text.len() {
        match output.write(&text[*written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(more) => *written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut fds = [rustix::event::PollFd::new(output, rustix::event::PollFlags::OUT)];
                rustix::event::poll(&mut fds, None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;

    /// Far longer than anything takes.
    const TIMEOUT: Duration = Duration::from_secs(60);

    fn chunk(text: String) -> Arc<Chunk> {
        Arc::new(Chunk {
            service: "app".into(),
            stream: Stream::Stdout,
            at: 0,
            text: text.into_bytes(),
            unfinished: false,
        })
    }

    #[test]
    fn events_have_some_room_of_their_own_and_no_more() {
        let (_read, write) = crate::os::pipe().expect("pipe");
        let log = Log::start(File::from(write), Style::Json, 100_000).expect("thread");
        let event = |text: &str| {
            let chunk = chunk(format!("{{\"message\":\"{text}\"}}\n"));
            let own = Chunk { service: OWN_NAME.into(), stream: Stream::Event, ..(*chunk).clone() };
            Arc::new(own)
        };
        for number in 0..3_000 {
            log.push(chunk(format!("{number} {}\n", "x".repeat(90))));
        }
        log.push(event("news"));
        assert_eq!(log.dropped_of(OWN_NAME), 0);
        for _ in 0..10_000 {
            log.push(event(&"y".repeat(200)));
        }
        assert!(log.dropped_of(OWN_NAME) > 5_000, "{}", log.dropped_of(OWN_NAME));
        assert!(log.lock().bytes <= 100_000 + ROOM_FOR_EVENTS);
    }

    #[test]
    fn a_stuck_reader_costs_lines_and_the_count_is_reported() {
        let (read, write) = crate::os::pipe().expect("pipe");
        let log = Log::start(File::from(write), Style::Json, 100_000).expect("thread");
        for number in 0..3_000 {
            log.push(chunk(format!("{number} {}\n", "x".repeat(90))));
        }
        assert!(log.dropped() > 0);
        let reader = thread::spawn(move || {
            let mut text = Vec::new();
            let mut reader = File::from(read);
            let mut buffer = [0; 65_536];
            while !String::from_utf8_lossy(&text).contains("end of test") {
                let read = reader.read(&mut buffer).expect("read");
                text.extend_from_slice(&buffer[..read]);
            }
            String::from_utf8(text).expect("UTF-8")
        });
        log.flush(TIMEOUT, TIMEOUT);
        log.push(chunk("end of test\n".to_owned()));
        let text = reader.join().expect("reader");
        let lines = text.lines().filter(|line| line.contains("xxx")).count() as u64;
        assert_eq!(lines + log.dropped(), 3_000);
        let reported: u64 = text
            .lines()
            .filter_map(|line| {
                serde_json::from_str::<serde_json::Value>(line).ok()?["lines"].as_u64()
            })
            .sum();
        assert_eq!(reported, log.dropped());
    }

    #[test]
    fn a_closed_output_holds_nothing_up() {
        let (read, write) = crate::os::pipe().expect("pipe");
        drop(read);
        let log = Log::start(File::from(write), Style::Json, 10_000).expect("thread");
        log.push(chunk("nobody reads this\n".to_owned()));
        log.flush(TIMEOUT, TIMEOUT);
        assert!(log.lock().chunks.is_empty());
    }
}
