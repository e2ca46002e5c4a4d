//! Runs the real santa-supervise on a configuration made for one test.

pub(crate) mod ports;
#[cfg(target_os = "linux")]
pub(crate) mod preload;
#[cfg(target_os = "linux")]
pub(crate) mod privileged;
mod processes;
#[cfg(target_os = "linux")]
pub(crate) mod refused;

use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

#[cfg(target_os = "linux")]
pub(crate) use processes::ticks;
pub(crate) use processes::{holds_in_time, is_alive, kill};

pub(crate) const SUPERVISE: &str = env!("CARGO_BIN_EXE_santa-supervise");
pub(crate) const FAKE: &str = env!("CARGO_BIN_EXE_fake-service");

/// Far longer than anything takes: only a failure waits for it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Makes one test for each seam to the system.
macro_rules! on_every_os {
    ($(fn $name:ident($os:ident) $body:block)+) => {
        $(mod $name {
            #[allow(unused_imports, reason = "not every test uses all of it")]
            use super::*;
            fn promise($os: &str) $body
            #[test]
            #[cfg(target_os = "linux")]
            fn linux() { promise("linux") }
            #[test]
            #[cfg(target_os = "linux")]
            fn linux_without_pidfd() { promise("linux-without-pidfd") }
            #[test]
            fn portable() { promise("portable") }
        })+
    };
}

/// A directory, a configuration, and the santa-supervise that runs on it.
pub(crate) struct Supervisor {
    pub(crate) dir: TempDir,
    os: String,
    text: String,
    proxy_socket: bool,
    variables: Vec<(&'static str, PathBuf)>,
    child: Option<Child>,
}

impl Supervisor {
    pub(crate) fn new(os: &str) -> Self {
        let dir =
            tempfile::Builder::new().prefix("supervise-").tempdir().expect("temporary directory");
        Self {
            dir,
            os: os.to_owned(),
            text: String::new(),
            proxy_socket: false,
            variables: Vec::new(),
            child: None,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Adds a Unix socket `DIR/NAME.sock`.
    pub(crate) fn socket(self, name: &str) -> Self {
        let listen = format!("unix:{}", self.path(&format!("{name}.sock")).display());
        self.socket_at(name, &listen)
    }

    pub(crate) fn socket_at(mut self, name: &str, listen: &str) -> Self {
        self.proxy_socket |= name == "main";
        self.text += &format!("[socket.{name}]\nlisten = \"{listen}\"\n");
        self
    }

    /// Adds a service that runs the fake with `steps`. `{dir}` stands for the
    /// directory; `more` are further keys.
    pub(crate) fn service(self, name: &str, steps: &[&str], more: &str) -> Self {
        let args: Vec<String> = steps.iter().map(|step| format!("{step:?}")).collect();
        let more = format!("args = [{}]\n{more}", args.join(", "));
        self.program(name, FAKE, &more)
    }

    pub(crate) fn program(mut self, name: &str, command: &str, more: &str) -> Self {
        let more = more.replace("{dir}", &self.dir.path().display().to_string());
        self.text += &format!("[[service]]\nname = \"{name}\"\ncommand = {command:?}\n{more}\n");
        self
    }

    /// Lets `{dir}` stand for the directory in steps, too.
    pub(crate) fn replacing_dir(mut self) -> Self {
        self.text = self.text.replace("{dir}", &self.dir.path().display().to_string());
        self
    }

    /// For a test that writes `[socket.main]` itself.
    pub(crate) fn without_main_socket(mut self) -> Self {
        self.proxy_socket = true;
        self
    }

    pub(crate) fn extra(mut self, text: &str) -> Self {
        self.text += text;
        self.text += "\n";
        self
    }

    /// Sets a variable of santa-supervise itself.
    pub(crate) fn setting(mut self, name: &'static str, value: &Path) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// The variables of santa-supervise itself.
    pub(crate) fn variables(&self) -> Vec<(&'static str, PathBuf)> {
        self.variables.clone()
    }

    /// Writes the configuration: what every one needs, then what was added.
    pub(crate) fn write(&self) -> PathBuf {
        let path = self.path("santa.toml");
        let main = if self.proxy_socket { "" } else { "[socket.main]\nlisten = \"127.0.0.1:1\"\n" };
        let dir = self.dir.path().display();
        let text = format!(
            "version = 1\n[paths]\nwww = \"/tmp\"\napp = \"/tmp\"\nbin = \"/tmp\"\npython = \"/tmp\"\n\
             [admin]\nlisten = \"\"\n[supervisor]\ncontrol_socket = \"{dir}/control.sock\"\n\
             shutdown_timeout = \"50s\"\n[proxy]\nsocket = \"main\"\nupstream = \"main\"\n{main}{}",
            self.text
        );
        fs::write(&path, text).expect("configuration");
        path
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(SUPERVISE);
        command.arg("--config").arg(self.path("santa.toml")).env("SANTA_SUPERVISE_OS", &self.os);
        command
    }

    /// Starts it; its log goes to `DIR/log`.
    pub(crate) fn start(self) -> Self {
        let log = File::create(self.path("log")).expect("log");
        self.start_into(log.into())
    }

    pub(crate) fn start_into(self, stdout: Stdio) -> Self {
        let command = self.command();
        self.run(command, stdout)
    }

    /// Starts it as the command of another program.
    pub(crate) fn start_through(self, program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).arg(SUPERVISE).arg("--config").arg(self.path("santa.toml"));
        command.env("SANTA_SUPERVISE_OS", &self.os);
        let log = File::create(self.path("log")).expect("log");
        self.run(command, log.into())
    }

    /// Starts it as systemd starts the service of a socket: with `fd` as descriptor 3, and
    /// `variables` besides `LISTEN_PID`.
    pub(crate) fn start_inheriting(self, fd: OwnedFd, variables: &[(&str, &str)]) -> Self {
        const LAUNCH: &str = "export LISTEN_PID=${LISTEN_PID:-$$}; exec \"$@\" 3<&0 </dev/null";
        let mut command = Command::new("sh");
        command
            .args(["-c", LAUNCH, "sh", SUPERVISE, "run", "--config"])
            .arg(self.path("santa.toml"));
        command.env("SANTA_SUPERVISE_OS", &self.os).envs(variables.iter().copied()).stdin(fd);
        let log = File::create(self.path("log")).expect("log");
        self.spawn(&mut command, log.into())
    }

    /// Starts it with `--with-parent`; [`Self::let_go`] ends its input.
    pub(crate) fn start_with_parent(self) -> Self {
        let mut command = self.command();
        command.args(["run", "--with-parent"]).stdin(Stdio::piped());
        let log = File::create(self.path("log")).expect("log");
        self.spawn(&mut command, log.into())
    }

    /// Closes our end of its standard input.
    pub(crate) fn let_go(&mut self) {
        drop(self.child.as_mut().expect("started").stdin.take());
    }

    /// Starts it where the kernel refuses it a system call.
    #[cfg(target_os = "linux")]
    pub(crate) fn start_refusing(self, call: refused::Refused) -> Self {
        let mut command = self.command();
        refused::refuse(&mut command, call);
        let log = File::create(self.path("log")).expect("log");
        self.run(command, log.into())
    }

    /// Starts it where a system call hangs forever.
    #[cfg(target_os = "linux")]
    pub(crate) fn start_hanging(self, call: i64) -> Self {
        let mut command = self.command();
        refused::hang(&mut command, call);
        let log = File::create(self.path("log")).expect("log");
        self.run(command, log.into())
    }

    fn run(self, mut command: Command, stdout: Stdio) -> Self {
        self.spawn(command.arg("run").stdin(Stdio::null()), stdout)
    }

    fn spawn(mut self, command: &mut Command, stdout: Stdio) -> Self {
        self.write();
        let errors = File::create(self.path("errors")).expect("errors");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let child = command.stdout(stdout).stderr(errors).spawn();
        self.child = Some(child.expect("santa-supervise starts"));
        self
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.as_ref().expect("started").id().cast_signed()
    }

    pub(crate) fn signal(&self, signal: i32) {
        kill(self.pid(), signal);
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let child = self.child.as_mut().expect("started");
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("wait") {
                self.child = None;
                return status;
            }
            if begun.elapsed() > TIMEOUT {
                panic!("santa-supervise does not end; log:\n{}", self.log());
            }
            sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.as_mut().expect("started").try_wait().expect("wait").is_none()
    }

    /// Stops it with SIGTERM; gives the exit code.
    pub(crate) fn stop(&mut self) -> i32 {
        self.signal(libc::SIGTERM);
        self.wait().code().expect("an exit code")
    }

    /// Runs a client command.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().expect("client runs")
    }

    pub(crate) fn ctl_ok(&self, arguments: &[&str]) -> String {
        let output = self.ctl(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {out}{err}\nlog:\n{}", self.log());
        out
    }

    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.ctl_ok(&["status", "--json"])).expect("JSON")
    }

    /// The entry of `NAME` or `NAME:INSTANCE`.
    pub(crate) fn service_status(&self, name: &str) -> Value {
        let (name, instance) =
            name.split_once(':').map_or((name, 0), |(name, n)| (name, n.parse().expect("number")));
        let status = self.status();
        let all = status["services"].as_array().expect("services");
        let found = all.iter().find(|one| one["name"] == name && one["instance"] == instance);
        found.cloned().expect("known service")
    }

    pub(crate) fn state(&self, name: &str) -> String {
        self.service_status(name)["state"].as_str().expect("state").to_owned()
    }

    pub(crate) fn service_pid(&self, name: &str) -> i32 {
        i32::try_from(self.service_status(name)["pid"].as_i64().expect("a pid")).expect("a pid")
    }

    pub(crate) fn wait_for_state(&self, name: &str, state: &str) {
        self.wait_for_control();
        self.until(&format!("{name} is {state}"), || self.state(name) == state);
    }

    pub(crate) fn wait_for_control(&self) {
        self.until("the control socket answers", || {
            UnixStream::connect(self.path("control.sock")).is_ok()
        });
    }

    /// Waits until a condition holds; tells the log when it never does.
    pub(crate) fn until(&self, what: &str, condition: impl FnMut() -> bool) {
        if !holds_in_time(condition) {
            panic!("in vain: {what}; log:\n{}\nerrors:\n{}", self.log(), self.errors());
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read(self.path("log")).map(|bytes| text(&bytes)).unwrap_or_default()
    }

    pub(crate) fn errors(&self) -> String {
        fs::read(self.path("errors")).map(|bytes| text(&bytes)).unwrap_or_default()
    }

    /// The log as JSON; every line must be. Complete only after the end: the
    /// log is written by a thread of its own.
    pub(crate) fn records(&self) -> Vec<Value> {
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        };
        self.log().lines().map(parse).collect()
    }

    /// All messages of one service.
    pub(crate) fn messages(&self, service: &str) -> Vec<String> {
        let own = self.records().into_iter().filter(|record| record["service"] == service);
        own.map(|record| record["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Reads a number that a child writes to a file.
    pub(crate) fn number_in(&self, name: &str) -> i32 {
        let mut number = None;
        self.until(&format!("{name} holds a number"), || {
            number = self.read(name).trim().parse().ok();
            number.is_some()
        });
        number.expect("a number")
    }

    /// What lies in the directory beside the log and the configuration.
    pub(crate) fn leftover_files(&self) -> Vec<String> {
        let ours = ["santa.toml", "log", "errors"];
        let entries = fs::read_dir(self.dir.path()).expect("directory");
        let names =
            entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned());
        names.filter(|name| !ours.contains(&name.as_str())).collect()
    }

    /// Speaks the protocol itself.
    pub(crate) fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.path("control.sock")).expect("control socket");
        stream.set_read_timeout(Some(TIMEOUT)).expect("timeout");
        stream
    }

    pub(crate) fn send(&self, text: &[u8]) -> UnixStream {
        let mut stream = self.connect();
        stream.write_all(text).expect("send");
        stream
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Only after a failed test: every other one has stopped it. An orderly
        // stop first, because children outlive a killed supervisor on some
        // systems.
        if let Some(child) = &mut self.child {
            let pid = rustix::process::Pid::from_child(child);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let begun = Instant::now();
            while matches!(child.try_wait(), Ok(None)) && begun.elapsed() < Duration::from_secs(10)
            {
                sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
