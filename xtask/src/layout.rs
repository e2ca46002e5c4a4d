//! The development house: `docker/santa.toml` with other paths, ports and a few
//! more services. Everything that differs from the container is decided here.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use santa_config::{Address, Config, Env};
use serde_json::json;
use toml::{Table, Value};

use crate::odd_paths::{self, literal};
use crate::tools::postgres;
use crate::{repo, run};

/// Longest directory in which sockets still fit (`sun_path`, and PostgreSQL
/// adds 18 bytes of name).
const LONGEST_SOCKET_DIRECTORY: usize = 80;

/// What answers when the backend with its database, and Vite behind the proxy, are
/// there. Vite serves its own client without a line in the log.
pub(crate) const PROBES: [&str; 2] = ["/health/ready", "/@vite/client"];

/// What is to run, and with what.
pub(crate) struct Plan {
    /// Folder that keeps the configuration, sockets, data and credentials.
    pub(crate) home: PathBuf,
    /// The public port on 127.0.0.1; the next two are taken as well.
    pub(crate) port: u16,
    /// Folder of the two Rust binaries.
    pub(crate) bin: PathBuf,
    /// The built console, or the development server that answers instead.
    pub(crate) console: Source,
    /// A database to use, or the directory of PostgreSQL's own programs.
    pub(crate) database: Database,
}

/// Where the console and the backend come from.
pub(crate) enum Source {
    /// As in the container: files, and a backend that does not reload.
    Built,
    /// Vite and the reloading backend.
    Watched {
        /// The node program.
        node: PathBuf,
    },
}

/// The database to use.
pub(crate) enum Database {
    /// Someone else's.
    Url(String),
    /// Ours, started from the programs in this directory.
    Embedded(PathBuf),
}

/// The names and secrets that a first run makes up and later runs keep.
pub(crate) struct Secrets {
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) enrollment: String,
    key: String,
}

/// A plan that has been written down.
pub(crate) struct House {
    /// The derived configuration file.
    pub(crate) file: PathBuf,
    /// The same, read as the parts read it.
    pub(crate) config: Config,
    pub(crate) secrets: Secrets,
    /// Base URL of the console.
    pub(crate) url: String,
}

impl Plan {
    fn address(&self, offset: u16) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port + offset))
    }

    /// Every address that must be free: public, Vite, operators.
    pub(crate) fn addresses(&self) -> [SocketAddr; 3] {
        [0, 1, 2].map(|offset| self.address(offset))
    }

    /// The folder of the cluster, when ours is used.
    pub(crate) fn cluster(&self) -> PathBuf {
        self.home.join("postgres")
    }

    /// Where sockets go: in the home folder unless its path is too long, or has a
    /// character that PostgreSQL, its clients or an address take for their own.
    pub(crate) fn sockets(&self) -> PathBuf {
        let inside = self.home.join("run");
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
        let bytes = inside.as_os_str().as_encoded_bytes();
        if bytes.len() <= LONGEST_SOCKET_DIRECTORY && bytes.iter().all(plain) {
            return inside;
        }
        repo::short(&self.home)
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
    pub(crate) fn write(&self) -> Result<House> {
        for folder in [self.home.clone(), self.sockets()] {
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot create {}", repo::shown(&folder)))?;
        }
        fs::set_permissions(self.sockets(), fs::Permissions::from_mode(0o700))?;
        let secrets = Secrets::keep(&self.home)?;
        let (text, config) = self.derived(&secrets)?;
        let file = self.home.join("santa.toml");
        secret_file(&file, &text)?;
        let url = format!("http://{}", self.address(0));
        self.write_credentials(&secrets, &url)?;
        Ok(House { file, config, secrets, url })
    }

    fn derived(&self, secrets: &Secrets) -> Result<(String, Config)> {
        let env = santa_config::process_env();
        let shipped = repo::path("docker/santa.toml");
        // Mistakes are reported where people can put them right.
        santa_config::load(&shipped, &env)?;
        let mut table: Table = fs::read_to_string(&shipped)?.parse()?;
        self.derive(&mut table, secrets)?;
        let text = format!(
            "# Derived from docker/santa.toml by cargo xtask; changes here are lost.\n{table}"
        );
        let config = santa_config::parse(&text, "derived santa.toml", &env)?;
        Ok((text, config))
    }

    fn write_credentials(&self, secrets: &Secrets, url: &str) -> Result<()> {
        let credentials = json!({
            "url": url,
            "admin": { "username": secrets.username, "password": secrets.password },
            "enrollment_secret": secrets.enrollment,
            "database_url": self.database_url(),
            "admin_listener": format!("http://{}", self.address(2)),
        });
        secret_file(&self.home.join("credentials.json"), &format!("{credentials:#}\n"))
    }

    fn derive(&self, table: &mut Table, secrets: &Secrets) -> Result<()> {
        let sockets = self.sockets();
        let unix = |name: &str| format!("unix:{}", sockets.join(name).display());
        let python = crate::tools::python::interpreter();
        for (key, value) in [
            ("paths.www", literal(&repo::dist("www"))?),
            ("paths.app", literal(&repo::path("backend"))?),
            ("paths.bin", literal(&self.bin)?),
            ("paths.python", literal(&python)?),
            ("socket.http.listen", self.address(0).to_string()),
            ("socket.backend.listen", unix("backend.sock")),
            ("admin.listen", self.address(2).to_string()),
            ("supervisor.control_socket", sockets.join("supervise.sock").display().to_string()),
            ("supervisor.log.format", "pretty".to_owned()),
        ] {
            set(table, key, value.into())?;
        }
        let environment = self.environment(secrets);
        for name in ["migrate", "backend"] {
            service(table, name)?.insert("env".to_owned(), Value::Table(environment.clone()));
        }
        self.add_demo(table, &environment)?;
        if let Database::Embedded(bin) = &self.database {
            self.add_database(table, bin)?;
        }
        if let Source::Watched { node } = &self.console {
            self.watch(table, node)?;
        }
        Ok(())
    }

    fn environment(&self, secrets: &Secrets) -> Table {
        [
            ("ENVIRONMENT", "development"),
            ("DATABASE_URL", &self.database_url()),
            ("SECRET_KEY", &secrets.key),
            ("PUBLIC_URL", &format!("http://{}", self.address(0))),
            ("SANTA_DEMO_ADMIN_USERNAME", &secrets.username),
            ("SANTA_DEMO_ADMIN_PASSWORD", &secrets.password),
            ("SANTA_DEMO_ENROLLMENT_SECRET", &secrets.enrollment),
        ]
        // A dollar sign in a value is not the start of a reference.
        .map(|(name, value)| (name.to_owned(), Value::from(value.replace('$', "$$"))))
        .into_iter()
        .collect()
    }

    /// The demo fleet is a task between the migrations and the backend.
    fn add_demo(&self, table: &mut Table, environment: &Table) -> Result<()> {
        let mut demo = service(table, "migrate")?.clone();
        demo.insert("name".to_owned(), "demo".into());
        demo.insert("args".to_owned(), strings(["-m", "santaserver", "demo"]));
        demo.insert("depends_on".to_owned(), strings(["migrate"]));
        demo.insert("env".to_owned(), Value::Table(environment.clone()));
        services(table)?.push(Value::Table(demo));
        service(table, "backend")?.insert("depends_on".to_owned(), strings(["demo"]));
        Ok(())
    }

    fn add_database(&self, table: &mut Table, bin: &Path) -> Result<()> {
        let (bin, cluster) = (odd_paths::alias(bin)?, odd_paths::alias(&self.cluster())?);
        let (program, args) = postgres::server(&bin, &cluster, &self.sockets())?;
        let args: Vec<String> = args.iter().map(|text| text.replace('$', "$$")).collect();
        let socket = self.sockets().join(postgres::SOCKET);
        let database = Table::from_iter([
            ("name".to_owned(), Value::from("database")),
            ("command".to_owned(), program.replace('$', "$$").into()),
            ("args".to_owned(), strings(args)),
            // The fast shutdown: sessions are ended, not waited for.
            ("stop_signal".to_owned(), "INT".into()),
            ("restart".to_owned(), "always".into()),
            (
                "ready".to_owned(),
                Value::Table(Table::from_iter([
                    ("kind".to_owned(), Value::from("unix")),
                    ("path".to_owned(), socket.display().to_string().into()),
                ])),
            ),
        ]);
        services(table)?.push(Value::Table(database));
        service(table, "migrate")?.insert("depends_on".to_owned(), strings(["database"]));
        // Named once more, so that the database stops after the backend.
        service(table, "backend")?.insert("depends_on".to_owned(), strings(["demo", "database"]));
        Ok(())
    }

    /// What only the development loop has: Vite behind the proxy and a backend
    /// that forks a fresh child from loaded dependencies at SIGHUP.
    fn watch(&self, table: &mut Table, node: &Path) -> Result<()> {
        let vite = self.address(1);
        set(table, "proxy.console.upstream", vite.to_string().into())?;
        // What xtask itself asks while it waits is no news to anybody.
        set(table, "proxy.access.skip", strings(PROBES))?;
        // Open pages hold a WebSocket: a swap of the proxy does not wait for it.
        set(table, "proxy.timeouts.drain", "300ms".into())?;
        let backend = service(table, "backend")?;
        backend.insert(
            "args".to_owned(),
            strings(["-m", "santaserver", "dev", "--fd", "{fd:backend}"]),
        );
        backend.insert("reload_signal".to_owned(), "HUP".into());
        let (command, args) = odd_paths::vite_command(repo::root(), node)?;
        let server = Table::from_iter([
            ("name".to_owned(), Value::from("vite")),
            ("command".to_owned(), command.into()),
            ("args".to_owned(), strings(args)),
            ("directory".to_owned(), literal(&repo::path("frontend"))?.into()),
            (
                "env".to_owned(),
                Value::Table(Table::from_iter([(
                    "SANTA_VITE_PORT".to_owned(),
                    Value::from(vite.port().to_string()),
                )])),
            ),
            ("restart".to_owned(), "always".into()),
            ("stop_timeout".to_owned(), "3s".into()),
        ]);
        services(table)?.push(Value::Table(server));
        Ok(())
    }
}

impl House {
    /// Paths that answer 200 when the whole chain works.
    pub(crate) fn probes(&self) -> [&'static str; 2] {
        if self.config.proxy.console.upstream.is_some() { PROBES } else { [PROBES[0], "/"] }
    }
}

impl Secrets {
    /// Those of an earlier run, or new ones.
    fn keep(home: &Path) -> Result<Self> {
        let text = fs::read_to_string(home.join("credentials.json")).unwrap_or_default();
        let kept: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let old = |pointer: &str| {
            kept.pointer(pointer).and_then(serde_json::Value::as_str).map(str::to_owned)
        };
        let key_file = home.join("secret_key");
        let key = match fs::read_to_string(&key_file) {
            Ok(key) => key.trim().to_owned(),
            Err(_) => {
                fs::create_dir_all(home)?;
                let key = random(32)?;
                secret_file(&key_file, &format!("{key}\n"))?;
                key
            }
        };
        let known = old("/admin/password").zip(old("/enrollment_secret"));
        let (password, enrollment) = match known {
            Some(pair) => pair,
            None => (random(9)?, random(24)?),
        };
        Ok(Self { username: "admin".to_owned(), password, enrollment, key })
    }
}

/// `bytes` random bytes as text that needs no quoting anywhere.
fn random(bytes: usize) -> Result<String> {
    use std::io::Read as _;
    let mut buffer = vec![0; bytes];
    let mut source = fs::File::open("/dev/urandom").context("cannot open /dev/urandom")?;
    source.read_exact(&mut buffer).context("cannot read /dev/urandom")?;
    Ok(buffer.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes a file that only its owner may read, replacing it in one go.
pub(crate) fn secret_file(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let partial = path.with_extension("partial");
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&partial, path));
    written.with_context(|| format!("cannot write {}", repo::shown(path)))
}

fn strings<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> Value {
    Value::Array(items.into_iter().map(|item| Value::from(item.as_ref())).collect())
}

/// Sets a dotted key, making tables on the way.
fn set(table: &mut Table, key: &str, value: Value) -> Result<()> {
    let (mut at, mut rest) = (table, key);
    while let Some((section, inner)) = rest.split_once('.') {
        let entry = at.entry(section).or_insert_with(|| Value::Table(Table::new()));
        at = entry
            .as_table_mut()
            .with_context(|| format!("docker/santa.toml: {section} is not a table"))?;
        rest = inner;
    }
    at.insert(rest.to_owned(), value);
    Ok(())
}

fn services(table: &mut Table) -> Result<&mut Vec<Value>> {
    table
        .get_mut("service")
        .and_then(Value::as_array_mut)
        .context("docker/santa.toml has no [[service]]")
}

fn service<'a>(table: &'a mut Table, name: &str) -> Result<&'a mut Table> {
    let entries = services(table)?.iter_mut().filter_map(Value::as_table_mut);
    let mut named = entries.filter(|entry| entry.get("name").and_then(Value::as_str) == Some(name));
    named.next().with_context(|| format!("docker/santa.toml has no service \"{name}\""))
}

/// The environment of the backend's tools (migrations, OpenAPI) in this house.
pub(crate) fn backend_environment(house: &House) -> BTreeMap<String, String> {
    let backend = house.config.services.iter().find(|service| service.name == "backend");
    backend.map(|service| service.env.clone()).unwrap_or_default()
}

/// The public port of the container, which the development loop takes too.
pub(crate) fn public_port() -> Result<u16> {
    let config = santa_config::load(&repo::path("docker/santa.toml"), &Env::new())?;
    match config.sockets.get(&config.proxy.socket).map(|socket| &socket.listen) {
        Some(Address::Tcp(address)) => Ok(address.port()),
        _ => None.context("docker/santa.toml: the public socket is not a TCP address"),
    }
}

/// Whether an address can be listened on right now.
pub(crate) fn free(address: SocketAddr) -> bool {
    run::check().is_ok() && std::net::TcpListener::bind(address).is_ok()
}

/// What stands against listening on a port here; `what` is for. Nothing, when it is free.
pub(crate) fn obstacle(port: u16, what: &str) -> Option<String> {
    let error = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).err()?;
    Some(match error.kind() {
        ErrorKind::AddrInUse => format!(
            "port {port} ({what}) is taken; stop what uses it, or choose another: cargo xtask dev --port PORT"
        ),
        ErrorKind::PermissionDenied => format!(
            "no permission to listen on port {port} ({what}), which takes root; choose one from 1024 on: cargo xtask dev --port PORT"
        ),
        _ => format!("cannot listen on port {port} ({what}): {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(home: &Path, console: Source, database: Database) -> Plan {
        Plan { home: home.to_owned(), port: 40_000, bin: "/bin".into(), console, database }
    }

    fn watched() -> Source {
        Source::Watched { node: "/usr/bin/node".into() }
    }

    #[test]
    fn the_derived_house_is_valid_and_private_to_its_owner() {
        let home = tempfile::tempdir().expect("temporary folder");
        let database = Database::Url("postgresql://me:p$w@db/santa".to_owned());
        let house = plan(home.path(), watched(), database).write().expect("valid");
        let mode = |path: &Path| fs::metadata(path).expect("exists").permissions().mode() & 0o777;
        assert_eq!(mode(&house.file), 0o600);
        assert_eq!(mode(&home.path().join("credentials.json")), 0o600);
        let env = backend_environment(&house);
        assert_eq!(env["DATABASE_URL"], "postgresql://me:p$w@db/santa");
        assert_eq!(house.config.proxy.console.upstream.map(|vite| vite.port()), Some(40_001));
    }

    #[test]
    fn a_second_start_keeps_names_and_secrets() {
        let home = tempfile::tempdir().expect("temporary folder");
        let database = || Database::Url("postgresql://db/santa".to_owned());
        let first = plan(home.path(), Source::Built, database()).write().expect("valid");
        let second = plan(home.path(), watched(), database()).write().expect("valid");
        assert_eq!(first.secrets.password, second.secrets.password);
        assert_eq!(first.secrets.enrollment, second.secrets.enrollment);
    }

    #[test]
    fn the_built_house_runs_the_services_of_the_container() {
        let home = tempfile::tempdir().expect("temporary folder");
        let database = Database::Url("postgresql://db/santa".to_owned());
        let house = plan(home.path(), Source::Built, database).write().expect("valid");
        let shipped =
            santa_config::load(&repo::path("docker/santa.toml"), &Env::new()).expect("valid");
        for service in &shipped.services {
            let same = house.config.services.iter().find(|other| other.name == service.name);
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
            let mut plan = plan(&home, watched(), Database::Embedded(home.join("pg/bin")));
            plan.bin = home.join("bin");
            let house = plan.write().unwrap_or_else(|error| panic!("{name}: {error:#}"));
            fs::create_dir_all(home.join("bin")).expect("made");
            let same = |path: &Path| {
                fs::canonicalize(path).ok() == fs::canonicalize(home.join("bin")).ok()
            };
            assert!(same(&house.config.paths.bin), "{name}: {:?}", house.config.paths.bin);
            let database = house.config.services.iter().find(|one| one.name == "database");
            let data = database.expect("there").args.iter().skip_while(|word| *word != "-D").nth(1);
            let data = fs::canonicalize(Path::new(data.expect("-D")).parent().expect("a folder"));
            assert_eq!(data.ok(), fs::canonicalize(&home).ok(), "{name}");
            let sockets = plan.sockets();
            assert!(!sockets.to_string_lossy().contains(['{', '$', ',', '#', ' ']), "{sockets:?}");
            fs::remove_dir_all(sockets).expect("removed");
            let _ = fs::remove_file(repo::short(&home).with_extension("link"));
        }
    }

    #[test]
    fn sockets_move_to_a_short_folder_when_the_path_is_too_long() {
        let deep = PathBuf::from(format!("/home/{}", "x".repeat(90)));
        let sockets = plan(&deep, Source::Built, Database::Url(String::new())).sockets();
        assert!(sockets.as_os_str().len() <= LONGEST_SOCKET_DIRECTORY, "{sockets:?}");
        let near =
            plan(Path::new("/home/me/.dev"), Source::Built, Database::Url(String::new())).sockets();
        assert_eq!(near, Path::new("/home/me/.dev/run"));
    }
}
