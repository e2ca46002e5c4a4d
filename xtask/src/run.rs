//! The only place that starts programs which run to their end: an explicit
//! directory, output kept for the error message, and an end on Ctrl-C.

use std::fmt;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail, ensure};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use xshell::{Cmd, Shell};

use crate::guard::Guarded;
use crate::{guard, private};

/// How much of a failed program's output an error shows, in lines.
const SHOWN_LINES: usize = 60;

/// How the line of an error begins that names the file with the whole output.
pub(crate) const WHOLE_OUTPUT: &str = "all of it: ";

/// How cargo's messages for programs begin; its words for people are beside them.
const FOR_PROGRAMS: &str = "{\"reason\":";

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The work was interrupted by Ctrl-C or SIGTERM: exit code 130, no message.
#[derive(Debug)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// From here on SIGINT, SIGTERM and SIGHUP set a flag instead of ending the
/// process, so that what was started can be stopped.
pub fn catch_interrupts() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot handle Ctrl-C")?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            INTERRUPTED.store(true, Ordering::SeqCst);
            guard::interrupt();
        }
    });
    Ok(())
}

/// Whether an error is Ctrl-C, or comes from work that Ctrl-C has cut off.
pub(crate) fn is_interruption(error: &anyhow::Error) -> bool {
    error.is::<Interrupted>() || interrupted()
}

/// Whether Ctrl-C was pressed.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Forgets an earlier Ctrl-C, so that the next one is noticed.
pub(crate) fn rearm() {
    INTERRUPTED.store(false, Ordering::SeqCst);
}

/// An error when Ctrl-C was pressed.
pub fn check() -> Result<()> {
    if interrupted() { Err(Interrupted.into()) } else { Ok(()) }
}

/// This program's file, also after another build has put a new one in its place.
pub fn own_program() -> Result<PathBuf> {
    let path = std::env::current_exe().context("cannot find out where this program is")?;
    // That is what Linux says of a file that was replaced.
    let replaced =
        path.to_str().and_then(|path| path.strip_suffix(" (deleted)")).map(PathBuf::from);
    Ok(replaced.filter(|_| !path.exists()).unwrap_or(path))
}

/// A shell whose commands (`cmd!`) run in `directory`.
pub fn shell_in(directory: &Path) -> Result<Shell> {
    let shell = Shell::new().context("cannot find out the working directory")?;
    shell.change_dir(directory);
    Ok(shell)
}

/// A shell in the repository's root.
pub fn shell() -> Result<Shell> {
    shell_in(crate::repo::root())
}

/// Runs a command quietly to its end and gives its standard output; its last
/// lines are shown only when it fails. `what` completes "cannot …".
pub fn output(what: &str, command: Cmd<'_>) -> Result<String> {
    output_of(what, command, "")
}

/// The same with something to read on its standard input.
pub fn output_of(what: &str, command: Cmd<'_>, input: &str) -> Result<String> {
    check()?;
    let line = command.to_string();
    let output = collect(command.env("NO_COLOR", "1").into(), input);
    check()?;
    let output = output.with_context(|| format!("cannot {what}: `{line}` does not start"))?;
    if !output.status.success() {
        let both = [output.stdout, output.stderr].concat();
        let both = String::from_utf8_lossy(&both);
        let lines = both.lines().filter(|line| !line.starts_with(FOR_PROGRAMS));
        let tail = kept(what, &lines.collect::<Vec<_>>().join("\n"));
        bail!("cannot {what}: `{line}` ended with {}\n{tail}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Starts a program in a process group of its own, which ends with this process.
fn start(command: &mut Command) -> std::io::Result<(Child, Option<Guarded>)> {
    guard::prepare();
    let child = command.process_group(0).spawn()?;
    let guarded = guard::watch(&child);
    if interrupted() {
        // Ctrl-C came between the last look and the start.
        guard::interrupt();
    }
    Ok((child, guarded))
}

/// Runs a command quietly to its end, however it ends.
pub fn ended(what: &str, command: Cmd<'_>) -> Result<Output> {
    check()?;
    let line = command.to_string();
    let output = collect(command.env("NO_COLOR", "1").into(), "");
    check()?;
    output.with_context(|| format!("cannot {what}: `{line}` does not start"))
}

/// Runs a program to its end and keeps what it prints.
fn collect(mut command: Command, input: &str) -> std::io::Result<Output> {
    command.stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() });
    let (mut child, _guarded) = start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading says why itself.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output()
}

/// Runs a command to its end with its output on the terminal.
pub fn shown(what: &str, command: Cmd<'_>) -> Result<()> {
    check()?;
    let line = command.to_string();
    let mut command: Command = command.into();
    let child = start(command.stdin(Stdio::null()));
    let status = child.and_then(|(mut child, _guarded)| child.wait());
    check()?;
    let status = status.with_context(|| format!("cannot {what}: `{line}` does not start"))?;
    ensure!(status.success(), "cannot {what}: `{line}` ended with {status}; its output is above");
    Ok(())
}

/// The last lines of a failed program's output; all of it is kept in a file
/// when lines had to be left out.
fn kept(what: &str, output: &str) -> String {
    let shown = tail(output);
    if shown.len() >= output.trim_end().len() {
        return shown;
    }
    let name = what.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let path = crate::repo::dev("logs").join(format!("{name}.log"));
    match private::log(&path).and_then(|mut log| Ok(log.write_all(output.as_bytes())?)) {
        Ok(()) => format!("{WHOLE_OUTPUT}{}\n{shown}", crate::repo::shown(&path)),
        Err(_) => shown,
    }
}

/// The last lines of a program's output, marked when some were left out.
pub fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.trim_end().lines().collect();
    let hidden = lines.len().saturating_sub(SHOWN_LINES);
    let mut shown = lines[hidden..].join("\n");
    if hidden > 0 {
        shown = format!("… {hidden} lines left out\n{shown}");
    }
    shown
}

/// A program found in `PATH`.
pub fn find(program: &str) -> Option<PathBuf> {
    which::which(program).ok()
}
