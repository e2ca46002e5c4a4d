//! The servers that are compared, each set up as their experts would: the
//! configurations lie beside this file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::process::geteuid;
use xtask::tools::system;
use xtask::{ports, run};

use super::scenario::Bench;
use super::subject::Subject;

/// A server that can be set up for the same job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    Nginx,
    /// nginx with an access log as it is without more words: written line by line.
    NginxWritingAtOnce,
    Santa,
    /// santa-proxy of an earlier commit.
    Baseline,
    HaProxy,
    Caddy,
}

/// What a server is to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job<'a> {
    /// Folder of the files it serves.
    pub(crate) www: &'a Path,
    /// Socket of the backend behind `/api/`.
    pub(crate) backend: &'a Path,
    /// Folder with `certificate.pem` and `key.pem`.
    pub(crate) tls: &'a Path,
    /// Whether it writes an access log.
    pub(crate) log: bool,
}

/// A server that runs.
pub(crate) struct Running {
    /// Its processes.
    pub(crate) subject: Subject,
    /// Its address in the clear.
    pub(crate) plain: String,
    /// Its address for TLS.
    pub(crate) secure: String,
}

/// The configuration of santa-proxy for these loads, among the benchmarks of any checkout.
const SANTA_TOML: &str = "peers/santa.toml";

/// In the order of the tables; the first is what the others are compared with.
pub(crate) const FOR_FILES: &[Server] = &[Server::Nginx, Server::Santa, Server::Caddy];
/// The same, for what is passed on to a backend.
pub(crate) const FOR_BACKENDS: &[Server] =
    &[Server::Nginx, Server::Santa, Server::HaProxy, Server::Caddy];

impl Server {
    /// Its name in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::NginxWritingAtOnce => "nginx, log not buffered",
            Self::Santa => "santa-proxy",
            Self::Baseline => "santa-proxy, baseline",
            Self::HaProxy => "HAProxy",
            Self::Caddy => "Caddy",
        }
    }

    /// The program, and the package that has it, both under one name.
    fn program(self) -> &'static str {
        match self {
            Self::Nginx | Self::NginxWritingAtOnce => "nginx",
            Self::Santa | Self::Baseline => "santa-proxy",
            Self::HaProxy => "haproxy",
            Self::Caddy => "caddy",
        }
    }

    /// Where its program is, which may first have to be installed; nothing,
    /// with a note in the report, when it cannot be had.
    pub(crate) fn ensure_installed(self, bench: &Bench) -> Option<PathBuf> {
        match self {
            Self::Santa => return Some(bench.bin.join(self.program())),
            Self::Baseline => return Some(bench.baseline.as_ref()?.bin().join(self.program())),
            _ => {}
        }
        let program = self.program();
        if let Some(found) = find(program) {
            return Some(found);
        }
        if system::installs() {
            // A package that is not to be had leaves a note below.
            let _ = system::install(self.name(), &[program]);
        }
        let found = find(program);
        if found.is_none() {
            let name = self.name();
            bench.note(format!("{name} is not installed: sudo apt-get install {program}"));
        }
        found
    }

    /// Starts it; nothing when it is not installed or not wanted.
    pub(crate) fn start(self, bench: &Bench, job: &Job<'_>) -> Result<Option<Running>> {
        if !matches!(self, Self::Santa | Self::Baseline) && !bench.peers {
            return Ok(None);
        }
        let Some(program) = self.ensure_installed(bench) else { return Ok(None) };
        let name = self.name();
        let log = match self {
            Self::NginxWritingAtOnce => "writing",
            Self::Baseline if job.log => "baseline-logged",
            Self::Baseline => "baseline-silent",
            _ if job.log => "logged",
            _ => "silent",
        };
        let folder = bench.folder_for(&format!("{}-{log}", self.program()))?;
        let port = ports::in_a_row(2)?;
        let [plain, secure] = [port, port + 1].map(|port| format!("127.0.0.1:{port}"));
        let file = self.configure(bench, &folder, job, &plain, &secure)?;
        let file = file.to_string_lossy().into_owned();
        let args: Vec<&str> = match self {
            Self::Nginx | Self::NginxWritingAtOnce => vec!["-c", &file, "-e", "stderr"],
            Self::Santa | Self::Baseline => vec!["--config", &file],
            Self::HaProxy => vec!["-db", "-f", &file],
            Self::Caddy => vec!["run", "--adapter", "caddyfile", "--config", &file],
        };
        let mut subject = Subject::start(name, &folder, &program, &args)?;
        subject.wait_for(&plain)?;
        subject.wait_for(&secure)?;
        Ok(Some(Running { subject, plain, secure }))
    }

    /// Writes its configuration.
    fn configure(
        self,
        bench: &Bench,
        folder: &Path,
        job: &Job<'_>,
        plain: &str,
        secure: &str,
    ) -> Result<PathBuf> {
        let earlier = match (self, &bench.baseline) {
            (Self::Baseline, Some(baseline)) => baseline.text(SANTA_TOML)?,
            _ => String::new(),
        };
        let (name, template) = match self {
            Self::Baseline => ("santa.toml", earlier.as_str()),
            Self::Nginx | Self::NginxWritingAtOnce => ("nginx.conf", include_str!("nginx.conf")),
            Self::Santa => ("santa.toml", include_str!("santa.toml")),
            Self::HaProxy => ("haproxy.cfg", include_str!("haproxy.cfg")),
            Self::Caddy => ("Caddyfile", include_str!("Caddyfile")),
        };
        if self == Self::HaProxy {
            let pair = ["certificate.pem", "key.pem"].map(|name| fs::read(job.tls.join(name)));
            let [certificate, key] = pair;
            let both = [certificate?, key?].concat();
            fs::write(folder.join("both.pem"), both).context("cannot write both.pem")?;
        }
        let text = filled(template, &self.values(folder, job, plain, secure));
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// What stands for the placeholders of its configuration.
    fn values(
        self,
        folder: &Path,
        job: &Job<'_>,
        plain: &str,
        secure: &str,
    ) -> Vec<(&'static str, String)> {
        let path = |path: &Path| path.display().to_string();
        let tls = path(job.tls);
        let user = if geteuid().is_root() { "root" } else { "nobody" };
        // Caddy answers for the host of its address alone; without one, for all.
        let port = |address: &str| address.rsplit(':').next().unwrap_or_default().to_owned();
        let caddy = self == Self::Caddy;
        let plain = if caddy { format!("http://:{}", port(plain)) } else { plain.to_owned() };
        vec![
            ("FOLDER", path(folder)),
            ("WWW", path(job.www)),
            ("BACKEND", path(job.backend)),
            ("USER", user.to_owned()),
            ("PLAIN", plain),
            ("SECURE_URL", format!("https://:{}", port(secure))),
            ("SECURE", secure.to_owned()),
            ("TLS", format!("tls {tls}/certificate.pem {tls}/key.pem")),
            ("LOG", self.log(folder, job.log)),
            (
                "LOGGER",
                if job.log { "log stdout format raw local0".to_owned() } else { String::new() },
            ),
            (
                "LOGGING",
                if job.log { "log global\n    option httplog".to_owned() } else { String::new() },
            ),
        ]
    }

    fn log(self, folder: &Path, on: bool) -> String {
        let folder = folder.display();
        match (self, on) {
            (Self::Nginx, true) => format!("{folder}/access.log json buffer=32k flush=1s"),
            (Self::NginxWritingAtOnce, true) => format!("{folder}/access.log json"),
            (Self::Nginx | Self::NginxWritingAtOnce, false) => "off".to_owned(),
            (Self::Caddy, true) => "log {\n\t\toutput stdout\n\t\tformat json\n\t}".to_owned(),
            (Self::Caddy, false) => String::new(),
            (Self::Santa | Self::Baseline | Self::HaProxy, on) => on.to_string(),
        }
    }
}

/// A program in `PATH` or where servers are kept, which is not in everybody's.
fn find(program: &str) -> Option<PathBuf> {
    let kept = Path::new("/usr/sbin").join(program);
    run::find(program).or_else(|| kept.exists().then_some(kept))
}

/// The template with `@NAME@` replaced by its value.
pub(crate) fn filled(template: &str, values: &[(&str, String)]) -> String {
    let replace =
        |text: String, (name, value): &(&str, String)| text.replace(&format!("@{name}@"), value);
    values.iter().fold(template.to_owned(), replace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placeholder_has_a_value() {
        let folder = Path::new("/f");
        let job = Job { www: folder, backend: folder, tls: folder, log: true };
        for (server, template) in [
            (Server::Nginx, include_str!("nginx.conf")),
            (Server::Santa, include_str!("santa.toml")),
            (Server::HaProxy, include_str!("haproxy.cfg")),
            (Server::Caddy, include_str!("Caddyfile")),
        ] {
            let text = filled(template, &server.values(folder, &job, "P", "S"));
            let left = text.split('@').skip(1).step_by(2).find(|word| {
                !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase())
            });
            assert_eq!(left, None, "{}", server.name());
        }
    }

    #[test]
    fn our_own_configuration_is_one_that_the_proxy_takes() {
        let folder = Path::new("/f");
        let job = Job { www: folder, backend: folder, tls: folder, log: true };
        let values = Server::Santa.values(folder, &job, "127.0.0.1:1", "127.0.0.1:2");
        let text = filled(include_str!("santa.toml"), &values);
        let file = tempfile::NamedTempFile::new().expect("file");
        fs::write(file.path(), text).expect("written");
        santa_config::load(file.path(), &santa_config::Env::new()).expect("valid");
    }
}
