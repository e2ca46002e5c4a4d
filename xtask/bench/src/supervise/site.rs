//! One supervisor at work in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use xtask::{files, repo, run, wait};

use super::peer::Peer;
use super::process;

/// How often a wait looks again: far below what is measured.
const TICK: Duration = Duration::from_micros(500);
/// Longest anything may take before it counts as never.
pub(super) const TIMEOUT: Duration = Duration::from_secs(15);

/// A child that writes its number and sleeps.
const QUIET_CHILD: &str = "echo $$ > {pid}\nexec sleep 1000000\n";
/// A child that writes ten times the lines of a file once it may.
const CHATTY_CHILD: &str = "echo $$ > {pid}\nwhile [ ! -e {dir}/go ]; do sleep 0.02; done\n: > {dir}/began\n\
     cat {lines} {lines} {lines} {lines} {lines} {lines} {lines} {lines} {lines} {lines}\n\
     : > {dir}/done\nexec sleep 1000000\n";

/// See the module.
pub(super) struct Site {
    pub(super) dir: PathBuf,
    folders: Vec<PathBuf>,
    children: Vec<String>,
    status: Option<Vec<String>>,
    stop: Signal,
    running: Option<Child>,
    pub(super) started: Instant,
}

impl Site {
    /// Sets the folder up; nothing runs yet. `folders` hold programs beside `PATH`.
    pub(super) fn new(
        peer: &Peer,
        children: usize,
        folders: &[PathBuf],
    ) -> Result<(Self, Vec<String>)> {
        let dir = repo::short(&repo::dev("bench-supervise")).join(peer.name);
        files::remove(&dir)?;
        fs::create_dir_all(&dir)?;
        let children: Vec<String> = (0..children).map(|number| format!("child{number}")).collect();
        peer.configure(&dir, &children)?;
        let (run, status) = peer.commands(&dir);
        let site = Self {
            dir,
            folders: folders.to_vec(),
            children,
            status,
            stop: peer.stop,
            running: None,
            started: Instant::now(),
        };
        for name in &site.children {
            site.script(name, QUIET_CHILD)?;
        }
        Ok((site, run))
    }

    fn script(&self, name: &str, text: &str) -> Result<()> {
        let pid = self.dir.join(format!("{name}.pid"));
        let text = text
            .replace("{pid}", &pid.display().to_string())
            .replace("{lines}", &self.dir.join("lines").display().to_string())
            .replace("{dir}", &self.dir.display().to_string());
        Ok(fs::write(self.dir.join(format!("{name}.sh")), text)?)
    }

    /// Lets the first child write the file `lines` ten times.
    pub(super) fn make_chatty(&self) -> Result<()> {
        self.script(&self.children[0], CHATTY_CHILD)
    }

    /// Starts the supervisor with its output going to `output`.
    pub(super) fn start(&mut self, command: &[String], output: Stdio) -> Result<()> {
        let program = super::peer::find(&command[0], &self.folders)
            .with_context(|| format!("{} is not installed", command[0]))?;
        let errors = fs::File::create(self.dir.join("errors"))?;
        let mut command_line = Command::new(program);
        command_line.args(&command[1..]).stdin(Stdio::null()).stdout(output).stderr(errors);
        self.started = Instant::now();
        self.running = Some(command_line.spawn().context("cannot start the supervisor")?);
        Ok(())
    }

    fn pid(&self) -> Result<i32> {
        let child = self.running.as_ref().context("nothing runs")?;
        Ok(i32::try_from(child.id())?)
    }

    /// The number that a child has written.
    pub(super) fn child_pid(&self, index: usize) -> Option<i32> {
        let file = self.dir.join(format!("{}.pid", self.children[index]));
        let text = fs::read_to_string(file).ok()?;
        text.strip_suffix('\n')?.parse().ok()
    }

    /// Waits until `condition` holds; how long that took since `begun`.
    pub(super) fn until(
        &self,
        what: &str,
        begun: Instant,
        mut condition: impl FnMut() -> bool,
    ) -> Result<Duration> {
        let mut taken = Duration::ZERO;
        let there = wait::until(TIMEOUT, TICK, || {
            taken = begun.elapsed();
            Ok(condition())
        })?;
        if !there {
            let errors = fs::read_to_string(self.dir.join("errors")).unwrap_or_default();
            bail!("{what}: not within {TIMEOUT:?}\n{}", run::tail(&errors));
        }
        Ok(taken)
    }

    /// Waits until every child has written its number; the time since the start.
    pub(super) fn all_spawned(&self) -> Result<Duration> {
        let all = || (0..self.children.len()).all(|index| self.child_pid(index).is_some());
        self.until("all children run", self.started, all)
    }

    /// Kills the first child; how long until the next one has written its number.
    pub(super) fn kill_first(&self) -> Result<Duration> {
        let before = self.child_pid(0).context("no child runs")?;
        let begun = Instant::now();
        process::signal(before, Signal::KILL);
        self.until("the child is started again", begun, || {
            self.child_pid(0).is_some_and(|pid| pid != before)
        })
    }

    /// The supervisor's own processes: its tree without the children.
    pub(super) fn own_processes(&self) -> Result<std::collections::BTreeSet<i32>> {
        let mut own = process::tree(self.pid()?);
        for index in 0..self.children.len() {
            let child = self.child_pid(index).map(process::tree).unwrap_or_default();
            own.retain(|pid| !child.contains(pid));
        }
        Ok(own)
    }

    /// Runs the command that shows the state; how long it took.
    pub(super) fn ask_status(&self) -> Result<Option<Duration>> {
        let Some(words) = &self.status else { return Ok(None) };
        let program = super::peer::find(&words[0], &self.folders)
            .with_context(|| format!("{} is not installed", words[0]))?;
        let begun = Instant::now();
        let output = Command::new(program).args(&words[1..]).stdin(Stdio::null()).output()?;
        let taken = begun.elapsed();
        if !output.status.success() {
            bail!("`{}` failed: {}", words.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(Some(taken))
    }

    /// Asks it to stop; how long until it and all its children have ended.
    /// None when it left some alive, which are killed then.
    pub(super) fn stop(&mut self) -> Result<Option<Duration>> {
        let all = process::tree(self.pid()?);
        let begun = Instant::now();
        process::signal(self.pid()?, self.stop);
        let mut child = self.running.take().context("nothing runs")?;
        let gone = self.until("everything has ended", begun, || {
            matches!(child.try_wait(), Ok(Some(_))) && !all.iter().any(|pid| process::lives(*pid))
        });
        if gone.is_err() {
            run::check()?;
            kill(&all);
            let _ = child.kill();
            let _ = child.wait();
        }
        Ok(gone.ok())
    }
}

fn kill(pids: &std::collections::BTreeSet<i32>) {
    for pid in pids {
        process::signal(*pid, Signal::KILL);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(child) = &mut self.running {
            let pid = i32::try_from(child.id()).unwrap_or(0);
            kill(&process::tree(pid));
            let _ = child.wait();
        }
    }
}

/// How long a child takes to write its number without a supervisor.
pub(super) fn own_start(dir: &Path) -> Result<Duration> {
    let (script, pid) = (dir.join("alone.sh"), dir.join("alone.pid"));
    let _ = fs::remove_file(&pid);
    fs::write(&script, QUIET_CHILD.replace("{pid}", &pid.display().to_string()))?;
    let begun = Instant::now();
    let mut child = Command::new("/bin/sh").arg(&script).spawn()?;
    let says = || fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n'));
    let started = wait::until(TIMEOUT, TICK, || Ok(says()));
    let taken = begun.elapsed();
    child.kill()?;
    child.wait()?;
    ensure!(started?, "a shell does not start within {TIMEOUT:?}");
    Ok(taken)
}
