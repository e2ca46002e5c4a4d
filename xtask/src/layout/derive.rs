//! The configuration of the development loop, derived from `docker/santa.toml`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use santa_config::Config;
use toml::{Table, Value};

use super::{Database, Layout, PROBES, Secrets, Source};
use crate::odd_paths::{self, literal};
use crate::repo;
use crate::tools::postgres;

impl Layout {
    pub(super) fn derived(&self, secrets: &Secrets) -> Result<(String, Config)> {
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

    fn derive(&self, table: &mut Table, secrets: &Secrets) -> Result<()> {
        let sockets = self.sockets();
        let unix = |name: &str| format!("unix:{}", sockets.join(name).display());
        let python = crate::tools::python::interpreter();
        for (key, value) in [
            ("paths.www", literal(&self.www())?),
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
            ("SUPERVISOR_SOCKET", "{control_socket}"),
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
