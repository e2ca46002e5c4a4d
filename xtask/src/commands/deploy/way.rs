//! How a container can be replaced here: decided by looking at the one that runs and at what
//! is to run. Pure.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::state::State;
use crate::files;

/// The label by which podman's Quadlet says which unit runs a container.
const UNIT: &str = "PODMAN_SYSTEMD_UNIT";

/// The variable that lets two containers listen at one address (`[socket.http] reuseport`).
const REUSEPORT: &str = "SANTA__SOCKET__HTTP__REUSEPORT=true";

/// A way to replace a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// The new one starts beside the old one, at the same address on the host's network.
    Beside,
    /// systemd restarts the unit; connections wait in its socket, if it has one.
    Unit(Unit),
    /// One after the other; connections are refused in between.
    InTurn,
}

/// A unit that runs a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    /// Such as `santaserver.service`.
    pub(super) name: String,
    /// The image by the name that the unit has for it.
    pub(super) image: String,
}

/// What the engine says of a container that runs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Running {
    unit: Option<Unit>,
    shares_port: bool,
}

impl Running {
    /// Reads what `container inspect` prints.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text)
            .context("the engine describes a container in an unknown form")?;
        let container = &value[0];
        let image = container["ImageName"].as_str().or(container["Config"]["Image"].as_str());
        let unit = container["Config"]["Labels"][UNIT].as_str().zip(image);
        let variables = container["Config"]["Env"].as_array().into_iter().flatten();
        let is_host = container["HostConfig"]["NetworkMode"] == "host";
        Ok(Self {
            unit: unit.map(|(name, image)| Unit { name: name.to_owned(), image: image.to_owned() }),
            shares_port: is_host && variables.filter_map(Value::as_str).any(|one| one == REUSEPORT),
        })
    }
}

/// Whether a container has ended at least once, by what `container inspect` prints.
pub(super) fn has_ended(text: &str) -> Result<bool> {
    let value: Value = serde_json::from_str(text)
        .context("the engine describes a container in an unknown form")?;
    let restarts = value[0]["RestartCount"].as_u64().unwrap_or(0);
    Ok(restarts > 0 || matches!(value[0]["State"]["Status"].as_str(), Some("exited" | "dead")))
}

/// How `next` can take the place of what runs.
pub(super) fn decide(running: Option<&Running>, next: &State) -> Way {
    match running {
        Some(Running { unit: Some(unit), .. }) => Way::Unit(unit.clone()),
        Some(running) if running.shares_port && shares_port(next) => Way::Beside,
        _ => Way::InTurn,
    }
}

/// Whether a deployment uses the host's network.
pub(super) fn on_host_network(state: &State) -> bool {
    words(&state.options)
        .any(|(name, value)| matches!(name, "--network" | "--net") && value == "host")
}

fn shares_port(state: &State) -> bool {
    let in_options = words(&state.options)
        .any(|(name, value)| matches!(name, "--env" | "-e") && value == REUSEPORT);
    let in_file = |file: &Path| files::text(file).lines().any(|line| line.trim() == REUSEPORT);
    on_host_network(state) && (in_options || state.env_file.as_deref().is_some_and(in_file))
}

/// Options with their values, `--name=value` or `--name value`.
fn words(options: &[String]) -> impl Iterator<Item = (&str, &str)> {
    let following = options.iter().skip(1).map(String::as_str).chain([""]);
    options.iter().zip(following).map(|(option, next)| {
        option.split_once('=').filter(|(name, _)| name.starts_with("--")).unwrap_or((option, next))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn running(network: &str, env: &[&str], labels: Value) -> Running {
        let text = json!([{
            "ImageName": "localhost/santaserver:current",
            "Config": { "Env": env, "Labels": labels },
            "HostConfig": { "NetworkMode": network },
        }]);
        Running::parse(&text.to_string()).expect("read")
    }

    fn next(options: &[&str]) -> State {
        State { options: options.iter().map(|one| (*one).to_owned()).collect(), ..State::example() }
    }

    #[test]
    fn two_run_side_by_side_only_when_both_share_the_hosts_port() {
        let shared = running("host", &["A=b", REUSEPORT], json!({}));
        let options = ["--network=host", "--env", REUSEPORT];
        assert_eq!(decide(Some(&shared), &next(&options)), Way::Beside);
        assert_eq!(decide(Some(&shared), &next(&["--net", "host", "-e", REUSEPORT])), Way::Beside);
        assert_eq!(decide(None, &next(&options)), Way::InTurn);
        for alone in [running("bridge", &[REUSEPORT], json!({})), running("host", &[], Value::Null)]
        {
            assert_eq!(decide(Some(&alone), &next(&options)), Way::InTurn);
        }
        for options in
            [&["--network=host"][..], &["--env", REUSEPORT], &["--env", "--network=host"]]
        {
            assert_eq!(decide(Some(&shared), &next(options)), Way::InTurn, "{options:?}");
        }
    }

    #[test]
    fn a_container_that_is_started_again_has_ended() {
        let ended = |status: &str, restarts: u64| {
            let text = json!([{ "RestartCount": restarts, "State": { "Status": status } }]);
            has_ended(&text.to_string()).expect("read")
        };
        assert!(ended("exited", 0) && ended("running", 1) && ended("dead", 0));
        assert!(!ended("running", 0) && !ended("created", 0));
    }

    #[test]
    fn the_variable_may_be_in_the_environment_file() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("env");
        std::fs::write(&file, format!("A=b\n{REUSEPORT}\n")).expect("written");
        let shared = running("host", &[REUSEPORT], json!({}));
        let state = State { env_file: Some(file), ..next(&["--network=host"]) };
        assert_eq!(decide(Some(&shared), &state), Way::Beside);
    }

    #[test]
    fn what_a_unit_runs_is_replaced_by_the_unit() {
        let label = json!({ UNIT: "santaserver.service" });
        let found = decide(Some(&running("bridge", &[], label)), &next(&[]));
        let unit = Unit {
            name: "santaserver.service".to_owned(),
            image: "localhost/santaserver:current".to_owned(),
        };
        assert_eq!(found, Way::Unit(unit));
    }
}
