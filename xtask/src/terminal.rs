//! Output for the terminal, or for the file or pipe in its place. `println!` panics when
//! the disk with that file is full, or when the reader has seen enough; work goes on
//! instead, and an output that got lost is an error in the end.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::Mutex;

use anyhow::{Context as _, Result};

static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

/// Writes a formatted line of output.
#[macro_export]
macro_rules! out {
    ($($words:tt)*) => { $crate::terminal::output(format_args!($($words)*)) };
}

/// Writes a line about the work.
#[macro_export]
macro_rules! err {
    ($($words:tt)*) => { $crate::terminal::remark(format_args!($($words)*)) };
}

/// Writes a line of output.
pub fn output(line: Arguments<'_>) {
    if let Err(error) = write(io::stdout().lock(), line)
        && error.kind() != ErrorKind::BrokenPipe
        && let Ok(mut lost) = LOST.lock()
    {
        lost.get_or_insert(error);
    }
}

/// Writes a line about the work.
pub fn remark(line: Arguments<'_>) {
    // Nobody could read an error about it.
    let _ = write(io::stderr().lock(), line);
}

/// In one piece, so that lines of several processes do not mix.
fn write(mut target: impl Write, line: Arguments<'_>) -> io::Result<()> {
    target.write_all(format!("{line}\n").as_bytes())?;
    target.flush()
}

/// An error when output got lost.
pub(crate) fn check() -> Result<()> {
    let lost = LOST.lock().ok().and_then(|mut lost| lost.take());
    lost.map_or(Ok(()), |error| Err(error).context("cannot write the output"))
}
