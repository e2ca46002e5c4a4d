//! The development environment: `docker/santa.toml` with other paths, ports and a few
//! more services. What differs from the container is decided in [`derive`].

mod derive;
mod secrets;

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result};
use santa_config::Config;
use serde_json::json;

pub(crate) use secrets::Secrets;

use crate::tools::postgres;
use crate::{private, repo};

/// Longest directory in which sockets still fit (`sun_path`, and PostgreSQL
/// adds 18 bytes of name).
const LONGEST_SOCKET_DIRECTORY: usize = 80;

/// What answers when the backend with its database, and Vite behind the proxy, are
/// there. Vite serves its own client without a line in the log.
pub(crate) const PROBES: [&str; 2] = ["/health/ready", "/@vite/client"];

/// What is to run, and with what.
pub struct Layout {
    /// Folder that keeps the configuration, sockets, data and credentials.
    pub home: PathBuf,
    /// The public port on 127.0.0.1; the next two are taken as well.
    pub port: u16,
    /// Folder of the two Rust binaries.
    pub bin: PathBuf,
    /// The built console, or the development server that answers instead.
    pub console: Source,
    /// A database to use, or the directory of PostgreSQL's own programs.
    pub database: Database,
}

/// Where the console and the backend come from.
pub enum Source {
    /// As in the container: the files of this folder, and a backend that does not reload.
    Built(PathBuf),
    /// Vite and the reloading backend.
    Watched {
        /// The node program.
        node: PathBuf,
    },
}

/// The database to use.
pub enum Database {
    /// Someone else's.
    Url(String),
    /// Ours, started from the programs in this directory.
    Embedded(PathBuf),
}

/// A development environment that has been written to its home folder.
pub struct DevEnvironment {
    /// The derived configuration file.
    pub file: PathBuf,
    /// The same, read as the parts read it.
    pub config: Config,
    pub(crate) secrets: Secrets,
    /// Base URL of the console.
    pub(crate) url: String,
}

impl Layout {
    fn address(&self, offset: u16) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port + offset))
    }

    /// Every address that must be free: public, Vite, operators.
    pub fn addresses(&self) -> [SocketAddr; 3] {
        [0, 1, 2].map(|offset| self.address(offset))
    }

    /// The folder of the cluster, when ours is used.
    pub(crate) fn cluster(&self) -> PathBuf {
        self.home.join("postgres")
    }

    /// Where sockets go: in the home folder unless its path is too long, or has a
    /// character that PostgreSQL, its clients or an address take for their own.
    pub fn sockets(&self) -> PathBuf {
        let inside = self.home.join("run");
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
        let bytes = inside.as_os_str().as_encoded_bytes();
        if bytes.len() <= LONGEST_SOCKET_DIRECTORY && bytes.iter().all(plain) {
            return inside;
        }
        repo::short(&self.home)
    }

    /// The folder of the built console; Vite answers in its place where it runs.
    fn www(&self) -> PathBuf {
        match &self.console {
            Source::Built(folder) => folder.clone(),
            Source::Watched { .. } => repo::dist("www"),
        }
    }

    fn database_url(&self) -> String {
        match &self.database {
            // A brace would begin a reference in the configuration.
            Database::Url(url) => url.replace('{', "%7B"),
            Database::Embedded(_) => {
                format!(
                    "postgresql://{}@/{}?host={}",
                    postgres::USER,
                    postgres::DATABASE,
                    self.sockets().display()
                )
            }
        }
    }

    /// Derives the configuration and checks it as the parts will read it;
    /// writes nothing.
    pub(crate) fn check(&self) -> Result<()> {
        self.derived(&Secrets::keep(&self.home)?).map(drop)
    }

    /// Writes the configuration and the credentials into the home folder.
    pub fn write(&self) -> Result<DevEnvironment> {
        fs::create_dir_all(&self.home)
            .with_context(|| format!("cannot create {}", repo::shown(&self.home)))?;
        private::folder(&self.sockets())?;
        let secrets = Secrets::keep(&self.home)?;
        let (text, config) = self.derived(&secrets)?;
        let file = self.home.join("santa.toml");
        private::write(&file, &text)?;
        let url = format!("http://{}", self.address(0));
        self.write_credentials(&secrets, &url)?;
        Ok(DevEnvironment { file, config, secrets, url })
    }

    fn write_credentials(&self, secrets: &Secrets, url: &str) -> Result<()> {
        let credentials = json!({
            "url": url,
            "admin": { "username": secrets.username, "password": secrets.password },
            "enrollment_secret": secrets.enrollment,
            "database_url": self.database_url(),
            "admin_listener": format!("http://{}", self.address(2)),
        });
        private::write(&self.home.join("credentials.json"), &format!("{credentials:#}\n"))
    }
}

impl DevEnvironment {
    /// Paths that answer 200 when the whole chain works.
    pub(crate) fn probes(&self) -> [&'static str; 2] {
        if self.config.proxy.console.upstream.is_some() { PROBES } else { [PROBES[0], "/"] }
    }
}

/// The environment of the backend's tools (migrations, OpenAPI) here.
pub(crate) fn backend_environment(environment: &DevEnvironment) -> BTreeMap<String, String> {
    let backend = environment.config.services.iter().find(|service| service.name == "backend");
    backend.map(|service| service.env.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use santa_config::Env;

    use super::*;

    fn layout(home: &Path, console: Source, database: Database) -> Layout {
        Layout { home: home.to_owned(), port: 40_000, bin: "/bin".into(), console, database }
    }

    fn watched() -> Source {
        Source::Watched { node: "/usr/bin/node".into() }
    }

    #[test]
    fn the_derived_configuration_is_valid_and_private_to_its_owner() {
        let home = tempfile::tempdir().expect("temporary folder");
        let database = Database::Url("postgresql://me:p$w@db/santa".to_owned());
        let environment = layout(home.path(), watched(), database).write().expect("valid");
        let mode = |path: &Path| fs::metadata(path).expect("exists").permissions().mode() & 0o777;
        assert_eq!(mode(&environment.file), 0o600);
        assert_eq!(mode(&home.path().join("credentials.json")), 0o600);
        let env = backend_environment(&environment);
        assert_eq!(env["DATABASE_URL"], "postgresql://me:p$w@db/santa");
        assert_eq!(environment.config.proxy.console.upstream.map(|vite| vite.port()), Some(40_001));
    }

    #[test]
    fn a_second_start_keeps_names_and_secrets() {
        let home = tempfile::tempdir().expect("temporary folder");
        let database = || Database::Url("postgresql://db/santa".to_owned());
        let first =
            layout(home.path(), Source::Built("/www".into()), database()).write().expect("valid");
        let second = layout(home.path(), watched(), database()).write().expect("valid");
        assert_eq!(first.secrets.password, second.secrets.password);
        assert_eq!(first.secrets.enrollment, second.secrets.enrollment);
    }

    #[test]
    fn the_built_configuration_runs_the_services_of_the_container() {
        let home = tempfile::tempdir().expect("temporary folder");
        let database = Database::Url("postgresql://db/santa".to_owned());
        let environment =
            layout(home.path(), Source::Built("/www".into()), database).write().expect("valid");
        let shipped =
            santa_config::load(&repo::path("docker/santa.toml"), &Env::new()).expect("valid");
        for service in &shipped.services {
            let same = environment.config.services.iter().find(|other| other.name == service.name);
            assert_eq!(same.map(|other| &other.args), Some(&service.args), "{}", service.name);
        }
    }

    #[test]
    fn any_path_reaches_the_services_as_it_is() {
        let base = tempfile::tempdir().expect("temporary folder");
        for name in ["a b", "#%+&", "$HOME", "${X}", "{fd:x}", "{paths.www}/{instance}", "é'\"\\"]
        {
            let home = base.path().join(name);
            fs::create_dir_all(&home).expect("made");
            let mut layout = layout(&home, watched(), Database::Embedded(home.join("pg/bin")));
            layout.bin = home.join("bin");
            let environment = layout.write().unwrap_or_else(|error| panic!("{name}: {error:#}"));
            fs::create_dir_all(home.join("bin")).expect("made");
            let same = |path: &Path| {
                fs::canonicalize(path).ok() == fs::canonicalize(home.join("bin")).ok()
            };
            assert!(
                same(&environment.config.paths.bin),
                "{name}: {:?}",
                environment.config.paths.bin
            );
            let database = environment.config.services.iter().find(|one| one.name == "database");
            let data = database.expect("there").args.iter().skip_while(|word| *word != "-D").nth(1);
            let data = fs::canonicalize(Path::new(data.expect("-D")).parent().expect("a folder"));
            assert_eq!(data.ok(), fs::canonicalize(&home).ok(), "{name}");
            let sockets = layout.sockets();
            assert!(!sockets.to_string_lossy().contains(['{', '$', ',', '#', ' ']), "{sockets:?}");
            fs::remove_dir_all(sockets).expect("removed");
            let _ = fs::remove_file(repo::short(&home).with_extension("link"));
        }
    }

    #[test]
    fn sockets_move_to_a_short_folder_when_the_path_is_too_long() {
        let deep = PathBuf::from(format!("/home/{}", "x".repeat(90)));
        let sockets =
            layout(&deep, Source::Built("/www".into()), Database::Url(String::new())).sockets();
        assert!(sockets.as_os_str().len() <= LONGEST_SOCKET_DIRECTORY, "{sockets:?}");
        let near = layout(
            Path::new("/home/me/.dev"),
            Source::Built("/www".into()),
            Database::Url(String::new()),
        )
        .sockets();
        assert_eq!(near, Path::new("/home/me/.dev/run"));
    }
}
