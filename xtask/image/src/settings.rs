//! How a container of the image runs: the `config` object of an OCI image, as
//! plain data. `docker/Dockerfile` repeats it, and a test holds both together.

use anyhow::{Context, Result};
use santa_config::{Address, Config};
use serde_json::{Value, json};

use super::etc;
use xtask::{run, shipped};

/// Where the configuration is in the image.
pub(crate) const FILE: &str = "/etc/santaserver/santa.toml";

/// Which commit an image is made of.
pub(crate) struct Source {
    pub(crate) revision: String,
    /// Its time, as in RFC 3339.
    pub(crate) created: String,
}

impl Source {
    /// Asks git; a tree without a repository has no revision.
    pub(crate) fn find() -> Result<Self> {
        let shell = run::shell()?;
        shell.set_var("TZ", "UTC0");
        let (format, date) = ("--format=%H %cd", "--date=format-local:%Y-%m-%dT%H:%M:%SZ");
        let log = xshell::cmd!(shell, "git log -1 {format} {date}").quiet().ignore_stderr().read();
        let Some((revision, created)) = log.ok().and_then(|text| {
            text.split_once(' ')
                .map(|(revision, created)| (revision.to_owned(), created.to_owned()))
        }) else {
            let (revision, created) = ("unknown".to_owned(), "2025-01-01T00:00:00Z".to_owned());
            return Ok(Self { revision, created });
        };
        let changed =
            xshell::cmd!(shell, "git status --porcelain --untracked-files=no").quiet().read()?;
        let revision = if changed.is_empty() { revision } else { format!("{revision}-modified") };
        Ok(Self { revision, created })
    }
}

/// The settings.
pub(crate) fn config(config: &Config, source: &Source) -> Result<Value> {
    let supervise = shipped::program(&config.paths.bin, "santa-supervise");
    let socket = config.sockets.get(&config.proxy.socket).map(|socket| &socket.listen);
    let Some(Address::Tcp(public)) = socket else {
        return None.context("docker/santa.toml: the public socket is not a TCP address");
    };
    Ok(json!({
        "User": format!("{user}:{user}", user = etc::USER),
        "ExposedPorts": { format!("{}/tcp", public.port()): {} },
        "Env": [
            format!("PATH={}", config.paths.bin.display()),
            "LANG=C.UTF-8",
            "PYTHONUNBUFFERED=1",
            "PYTHONDONTWRITEBYTECODE=1",
            format!("SANTA_CONFIG={FILE}"),
        ],
        "Entrypoint": [supervise],
        "Cmd": ["run"],
        "WorkingDir": "/tmp",
        "StopSignal": "SIGTERM",
        "Healthcheck": {
            "Test": ["CMD", supervise, "healthcheck"],
            "Interval": nanoseconds(10),
            "Timeout": nanoseconds(3),
            "StartPeriod": nanoseconds(30),
            "Retries": 3,
        },
        "Labels": {
            "org.opencontainers.image.title": "SantaServer",
            "org.opencontainers.image.description": "Sync server and console for fleets of Macs that run Santa",
            "org.opencontainers.image.licenses": "Apache-2.0",
            "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
            "org.opencontainers.image.revision": source.revision,
            "org.opencontainers.image.created": source.created,
        },
    }))
}

fn nanoseconds(seconds: u64) -> u64 {
    seconds * 1_000_000_000
}

#[cfg(test)]
mod tests {
    use xtask::repo;

    use super::*;

    /// What the instruction of this name says in the last stage, continued lines joined.
    fn instruction(text: &str, name: &str) -> String {
        let last = text.rsplit("\nFROM ").next().unwrap_or_default().replace("\\\n", " ");
        let mut found = last.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_dockerfile_says_the_same() {
        let text = xtask::files::text(&repo::path("docker/Dockerfile"));
        let source = Source { revision: String::new(), created: String::new() };
        let config = config(&shipped::configuration().expect("valid"), &source).expect("settings");
        let word = |key: &str| config[key].as_str().expect("text").to_owned();
        assert_eq!(instruction(&text, "USER"), word("User"));
        assert_eq!(instruction(&text, "WORKDIR"), word("WorkingDir"));
        assert_eq!(instruction(&text, "STOPSIGNAL"), word("StopSignal"));
        let list = |value: &Value| {
            let words = value.as_array().expect("a list").iter().map(|word| word.to_string());
            format!("[{}]", words.collect::<Vec<_>>().join(", "))
        };
        assert_eq!(instruction(&text, "ENTRYPOINT"), list(&config["Entrypoint"]));
        assert_eq!(instruction(&text, "CMD"), list(&config["Cmd"]));
        let environment = config["Env"].as_array().expect("a list").iter();
        let environment: Vec<&str> = environment.filter_map(Value::as_str).collect();
        assert_eq!(instruction(&text, "ENV"), environment.join(" "));
        let ports: Vec<&String> =
            config["ExposedPorts"].as_object().expect("ports").keys().collect();
        assert_eq!(vec![&instruction(&text, "EXPOSE")], ports);
        let health = &config["Healthcheck"];
        let words = health["Test"].as_array().expect("a list")[1..].to_vec();
        let expected = format!(
            "--interval=10s --timeout=3s --start-period=30s --retries=3 CMD {}",
            list(&words.into())
        );
        assert_eq!(instruction(&text, "HEALTHCHECK"), expected);
        assert_eq!(health["Interval"], nanoseconds(10));
        for label in ["title", "description", "licenses"] {
            let name = format!("org.opencontainers.image.{label}");
            let value = config["Labels"][&name].as_str().expect("a label");
            assert!(instruction(&text, "LABEL").contains(&format!("{name}=\"{value}\"")), "{name}");
        }
    }
}
