//! The binary under test, with a directory, a configuration and a console of
//! its own.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::client::Client;
use super::eventually;

/// Part of every secret that a test sends; no line of a log may have it.
pub(crate) const SECRET: &str = "s3cret";

/// What editors and package managers leave in the console's folder.
pub(crate) const BACKUPS: [&str; 12] = [
    "file.txt~",
    "file.txt.bak",
    "file.txt.Old",
    "file.txt.orig",
    "file.txt.swp",
    "file.txt.swo",
    "file.txt.save",
    "file.txt.tmp",
    "deep/#file.txt#",
    "deep/file.txt.~3~",
    "file.txt.bak.gz",
    "deep.bak/file.txt",
];

/// A proxy about to be started.
pub(crate) struct Setup {
    pub(crate) directory: TempDir,
    environment: Vec<(String, String)>,
    read_log: bool,
    open_files: Option<u32>,
}

/// A running proxy; killed when dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    /// Its admin listener, after `Setup::with_admin`.
    admin: Option<SocketAddr>,
    pub(crate) directory: TempDir,
    pub(crate) child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Setup {
    /// A console of a few files, no backend, one worker.
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("proxy-").tempdir().expect("directory");
        let setup = Self { directory, environment: Vec::new(), read_log: true, open_files: None };
        setup.file("index.html", "<!doctype html><title>console</title>\n");
        setup.file("file.txt", "0123456789abcdefghijklmnopqrstuvwxyz");
        // Its time is no longer within the present second, which would be a weak validator.
        let past = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        let file = setup.directory.path().join("www/file.txt");
        let file = std::fs::File::options().write(true).open(file).expect("file");
        file.set_modified(past).expect("its time");
        setup.file("_app/immutable/app.js", "console.log('the whole application')");
        setup.file("_app/immutable/app.js.gz", "gzip form");
        setup.file("_app/immutable/app.js.br", "br form");
        setup.file("_app/immutable/app.js.zst", "zstd form");
        setup.file(".env", "secret");
        setup.file("deep/.git/config", "secret");
        for name in BACKUPS {
            setup.file(name, "secret");
        }
        setup.file(".well-known/security.txt", "Contact: mailto:x@example.org");
        let config = include_str!("proxy.toml")
            .replace("@DIRECTORY@", &setup.directory.path().display().to_string());
        std::fs::write(setup.directory.path().join("santa.toml"), config).expect("config");
        setup.set("PROXY__WORKERS", "1")
    }

    /// Overrides a value of the configuration.
    pub(crate) fn set(mut self, key: &str, value: &str) -> Self {
        self.environment.push((format!("SANTA__{key}"), value.to_owned()));
        self
    }

    /// Adds a table to the configuration.
    pub(crate) fn section(self, name: &str, lines: &str) -> Self {
        let text = std::fs::read_to_string(self.config()).expect("config");
        std::fs::write(self.config(), format!("{text}\n[{name}]\n{lines}\n")).expect("config");
        self
    }

    /// Sets a variable of the environment as it is.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With an admin listener on any free port.
    pub(crate) fn with_admin(self) -> Self {
        self.set("ADMIN__LISTEN", "127.0.0.1:0")
    }

    /// With an inherited public listener. Its number is reached by naming filler descriptors.
    pub(crate) fn inheriting(self, listener: &TcpListener) -> Self {
        rustix::io::fcntl_setfd(listener, rustix::io::FdFlags::empty()).expect("keep open");
        let place = usize::try_from(listener.as_raw_fd() - 3).expect("a descriptor from 3 on");
        let names = "other:".repeat(place) + "http";
        self.variable("LISTEN_FDS", &(place + 1).to_string()).variable("LISTEN_FDNAMES", &names)
    }

    /// Returns it so many descriptors and no more.
    pub(crate) fn with_open_files(mut self, most: u32) -> Self {
        self.open_files = Some(most);
        self
    }

    /// Leaves the log unread, as a stalled reader would.
    pub(crate) fn with_stalled_log(mut self) -> Self {
        self.read_log = false;
        self
    }

    /// Writes a file of the console.
    pub(crate) fn file(&self, name: &str, content: &str) {
        write_file(self.directory.path(), name, content);
    }

    /// Path of the backend's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("backend.sock")
    }

    /// Path of the configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.directory.path().join("santa.toml")
    }

    /// The command that serves this configuration.
    pub(crate) fn command(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_santa-proxy");
        let mut command = match self.open_files {
            None => Command::new(program),
            Some(most) => {
                let mut command = Command::new("/bin/sh");
                command.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &most.to_string(), program]);
                command
            }
        };
        command.arg("--config").arg(self.config());
        command.env_clear().envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    /// Starts it and waits until it serves.
    pub(crate) fn start(self) -> Proxy {
        let mut child = self.command().spawn().expect("the proxy starts");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        // A request that waited may be served and logged before that.
        let mut before = Vec::new();
        let (address, admin) = loop {
            let mut line = String::new();
            output.read_line(&mut line).expect("a line");
            assert!(!line.is_empty(), "it ended instead of serving: {before:?}");
            let address = field(&line, "address").parse();
            let admin = field(&line, "admin_address").parse().ok();
            before.push(line);
            if let Ok(address) = address {
                break (address, admin);
            }
        };
        let lines = Arc::new(Mutex::new(before));
        let kept = Arc::clone(&lines);
        if self.read_log {
            std::thread::spawn(move || {
                for line in output.lines().map_while(Result::ok) {
                    kept.lock().expect("lock").push(line);
                }
            });
        } else {
            // The pipe stays open and is never read again.
            std::mem::forget(output);
        }
        Proxy { address, admin, directory: self.directory, child, lines }
    }
}

fn write_file(directory: &Path, name: &str, content: &str) {
    let path = directory.join("www").join(name);
    std::fs::create_dir_all(path.parent().expect("parent")).expect("directory");
    std::fs::write(path, content).expect("file");
}

impl Proxy {
    /// The log lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("lock").clone()
    }

    /// The address of its admin listener.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin.expect("started with an admin listener")
    }

    /// The text of `/metrics`.
    pub(crate) fn metrics(&self) -> String {
        Client::connect(self.admin()).get("/metrics").text()
    }

    /// The value of a metric without labels, or with the labels in `name`.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.metrics();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} in {text}")).parse().expect("a number")
    }

    /// Waits for a log line with `text` and gives it.
    pub(crate) fn line_with(&self, text: &str) -> String {
        let mut found = None;
        eventually(&format!("the log has {text:?}: {:?}", self.lines()), || {
            found = self.lines().into_iter().find(|line| line.contains(text));
            found.is_some()
        });
        found.unwrap_or_default()
    }

    /// Writes a file of the console.
    pub(crate) fn file(&self, name: &str, content: &str) {
        write_file(self.directory.path(), name, content);
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.child.id()).expect("pid");
        let pid = rustix::process::Pid::from_raw(pid).expect("pid");
        rustix::process::kill_process(pid, signal).expect("signal");
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("wait")
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the proxy ends", || {
            status = self.has_ended();
            status.is_some()
        });
        status.expect("ended")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            let lines = self.lines();
            let shown = lines.iter().find(|line| line.contains(SECRET));
            assert!(shown.is_none(), "a secret in the log: {shown:?}");
        }
    }
}

/// The value of a string field of a JSON line.
pub(crate) fn field(line: &str, name: &str) -> String {
    let start = format!("\"{name}\":\"");
    let rest = line.split_once(&start).map_or("", |(_, rest)| rest);
    rest.split('"').next().unwrap_or_default().to_owned()
}
