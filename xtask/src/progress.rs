//! What people see of long work: a line when a piece is done, a reminder when
//! it takes long, color only on a terminal.

use std::io::IsTerminal;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::Result;

/// When a piece of work says that it has begun: what is done sooner says only that.
const BEGUN: Duration = Duration::from_millis(400);
/// How often a long piece of work says that it is still going on.
const REMINDER: Duration = Duration::from_secs(15);

/// Whether standard error takes color (`NO_COLOR` is respected).
pub(crate) fn colored() -> bool {
    std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn paint(code: &str, text: &str) -> String {
    if colored() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// For errors.
pub fn red(text: &str) -> String {
    paint("1;31", text)
}

/// For success.
pub fn green(text: &str) -> String {
    paint("32", text)
}

/// For what needs attention.
pub fn yellow(text: &str) -> String {
    paint("33", text)
}

/// For what is secondary.
pub(crate) fn dim(text: &str) -> String {
    paint("2", text)
}

/// A duration as people read it: `0.42 s`, `12.3 s`, `2 min 05 s`.
pub(crate) fn time(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 10.0 {
        format!("{seconds:.2} s")
    } else if seconds < 120.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{} min {:02} s", duration.as_secs() / 60, duration.as_secs() % 60)
    }
}

/// A remark that is not an error.
pub fn note(text: &str) {
    err!("{} {text}", dim("·"));
}

/// Something that needs attention but does not stop the work.
pub fn warn(text: &str) {
    err!("{} {text}", yellow("!"));
}

/// Does one piece of work and says when it is done and how long it took; says that
/// it has begun unless it is done at once, and reminds while it takes long.
pub fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    step_above(Duration::ZERO, what, work)
}

/// The same for work that is usually done before: says nothing when it was.
pub(crate) fn quiet_step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    step_above(BEGUN, what, work)
}

fn step_above<T>(shortest: Duration, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let (done, waiting) = mpsc::channel::<()>();
    let result = std::thread::scope(|scope| {
        scope.spawn(move || {
            let late = |wait| waiting.recv_timeout(wait) == Err(mpsc::RecvTimeoutError::Timeout);
            if late(BEGUN) {
                err!("{} {what}", dim("…"));
                while late(REMINDER) {
                    err!("{} {what} {}", dim("…"), dim(&time(start.elapsed())));
                }
            }
        });
        let result = work();
        drop(done);
        result
    });
    let elapsed = start.elapsed();
    let taken = dim(&time(elapsed));
    match &result {
        Ok(_) if elapsed < shortest => {}
        Ok(_) => err!("{} {what} {taken}", green("✓")),
        Err(error) if crate::run::is_interruption(error) => {}
        Err(_) => err!("{} {what} {taken}", red("✗")),
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_naturally() {
        let shown = [420, 12_340, 125_000].map(|ms| time(Duration::from_millis(ms)));
        assert_eq!(shown, ["0.42 s", "12.3 s", "2 min 05 s"]);
    }
}
