//! podman, docker or docker compose. Single containers are hardened here as
//! docker/compose.yaml hardens its service.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use xshell::{Cmd, cmd};

use super::state::State;
use super::way::{self, Running};
use crate::tools::hardened::{HARDENED, PODMAN};
use crate::{ports, run, shipped};

/// How the service of docker/compose.yaml runs beyond that.
const SERVICE_OPTIONS: [&str; 3] =
    ["--restart=unless-stopped", "--stop-timeout=10", "--user=101:101"];

/// The service of the compose file, and its variable for the image.
const SERVICE: &str = "santaserver";
const VARIABLE: &str = "SANTASERVER_IMAGE";

/// A container engine of this machine.
pub(crate) struct Engine {
    name: String,
    program: PathBuf,
}

impl Engine {
    /// The named one, or the first that answers; with Compose where that is needed.
    pub(crate) fn choose(name: Option<&str>, compose: bool) -> Result<Self> {
        let names = name.map_or(vec!["docker", "podman"], |name| vec![name]);
        let mut without = Vec::new();
        for name in &names {
            let Some(program) = run::find(name) else { continue };
            if !answers(&program, &["info"])? {
                continue;
            }
            if !compose || answers(&program, &["compose", "version"])? {
                return Ok(Self { name: (*name).to_owned(), program });
            }
            without.push(*name);
        }
        if !without.is_empty() {
            bail!(
                "{} answers but has no Compose; install it (Debian 13: apt-get install docker-compose; podman takes it from version 4.7 on), or deploy a single container without --compose",
                without.join(" and ")
            );
        }
        bail!("{} does not answer; start it, or choose another with --engine", names.join(" nor "))
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn run(&self, what: &str, words: &[String]) -> Result<String> {
        let shell = run::shell()?;
        let program = &self.program;
        run::output(what, cmd!(shell, "{program} {words...}")).map(|text| text.trim().to_owned())
    }

    /// The id of an image, which stays when its tag moves on.
    pub(crate) fn pinned(&self, image: &str) -> Result<String> {
        let words = strings(["image", "inspect", "--format", "{{.Id}}", image]);
        let id = self.run(&format!("find the image {image}"), &words)?;
        Ok(if id.contains(':') { id } else { format!("sha256:{id}") })
    }

    /// The image of the container that runs now.
    pub(crate) fn running_image(
        &self,
        compose: Option<&Path>,
        name: &str,
    ) -> Result<Option<String>> {
        let container = match compose {
            Some(file) => self
                .run("ask compose", &compose_words(file, &["ps", "--quiet", SERVICE]))
                .unwrap_or_default(),
            None => name.to_owned(),
        };
        if container.is_empty() {
            return Ok(None);
        }
        let words = strings(["container", "inspect", "--format", "{{.Image}}", &container]);
        let Ok(id) = self.run("look at the running container", &words) else {
            run::check()?;
            return Ok(None);
        };
        Ok(Some(if id.contains(':') { id } else { format!("sha256:{id}") }))
    }

    /// Puts a container of this deployment in the place of the running one.
    pub(crate) fn start(&self, state: &State) -> Result<()> {
        if let Some(file) = &state.compose {
            let shell = run::shell()?;
            // What it depends on is left alone once it is there.
            let alone = state.previous.as_ref().map(|_| "--no-deps");
            let rest: Vec<&str> =
                ["up", "--detach"].into_iter().chain(alone).chain([SERVICE]).collect();
            let words = compose_words(file, &rest);
            let program = &self.program;
            let command: Cmd<'_> = cmd!(shell, "{program} {words...}").env(VARIABLE, &state.image);
            return run::output("start the service", command).map(drop);
        }
        self.remove(&state.name)?;
        self.run("start the container", &run_words(state)?).map(drop)
    }

    /// What is to be known of the container that runs, if one does.
    pub(crate) fn running(&self, state: &State) -> Result<Option<Running>> {
        if state.compose.is_some() || self.running_image(None, &state.name)?.is_none() {
            return Ok(None);
        }
        let words = strings(["container", "inspect", &state.name]);
        Running::parse(&self.run("look at the running container", &words)?).map(Some)
    }

    /// Stops a container within its grace period and removes it, if it is there.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        if self.running_image(None, name)?.is_some() {
            self.run("stop the running container", &strings(["stop", "--time", "10", name]))?;
            self.run("remove the stopped container", &strings(["rm", "--force", name]))?;
        }
        Ok(())
    }

    /// Gives a container another name.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.run("rename the container", &strings(["rename", from, to])).map(drop)
    }

    /// Gives an image a name.
    pub(crate) fn tag(&self, image: &str, name: &str) -> Result<()> {
        self.run(&format!("call the image {name}"), &strings(["tag", image, name])).map(drop)
    }

    /// Whether the whole chain in the container answers.
    pub(crate) fn ready(&self, state: &State) -> Result<bool> {
        let shell = run::shell()?;
        let supervise = shipped::program(&shipped::configuration()?.paths.bin, "santa-supervise");
        let words = match &state.compose {
            Some(file) => compose_words(
                file,
                &["exec", "--no-TTY", SERVICE, &supervise, "healthcheck", "--ready"],
            ),
            None => strings(["exec", &state.name, &supervise, "healthcheck", "--ready"]),
        };
        let program = &self.program;
        Ok(cmd!(shell, "{program} {words...}")
            .quiet()
            .ignore_stdout()
            .ignore_stderr()
            .run()
            .is_ok())
    }

    /// Whether the container ended instead of becoming ready, even if the engine has started
    /// it again since. Of Compose and of units only they know.
    pub(crate) fn has_ended(&self, state: &State) -> Result<bool> {
        if state.compose.is_some() {
            return Ok(false);
        }
        let words = strings(["container", "inspect", &state.name]);
        let Ok(text) = self.run("look at the new container", &words) else {
            run::check()?;
            return Ok(false);
        };
        way::has_ended(&text)
    }

    /// The end of the container's log, for the error message.
    pub(crate) fn last_words(&self, state: &State) -> String {
        let Ok(shell) = run::shell() else { return String::new() };
        let words = match &state.compose {
            Some(file) => compose_words(file, &["logs", "--tail", "15", SERVICE]),
            None => strings(["logs", "--tail", "15", &state.name]),
        };
        let program = &self.program;
        let output = cmd!(shell, "{program} {words...}").quiet().ignore_status().output();
        output
            .map(|output| {
                run::tail(&String::from_utf8_lossy(&[output.stdout, output.stderr].concat()))
            })
            .unwrap_or_default()
    }
}

/// Whether a program understands these words and ends well.
fn answers(program: &Path, words: &[&str]) -> Result<bool> {
    let shell = run::shell()?;
    run::check()?;
    let command = cmd!(shell, "{program} {words...}");
    Ok(command.quiet().ignore_stdout().ignore_stderr().run().is_ok())
}

/// How a single container is started.
fn run_words(state: &State) -> Result<Vec<String>> {
    let mut words = strings(["run", "--detach", "--name", &state.name]);
    words.extend(strings(HARDENED.into_iter().chain(SERVICE_OPTIONS)));
    if state.engine == "podman" {
        words.push(PODMAN.to_owned());
    }
    if !way::on_host_network(state) {
        words.push(format!("--publish={}:{}", state.publish, ports::public_port()?));
    }
    words.extend(state.env_file.iter().map(|file| format!("--env-file={}", file.display())));
    words.extend(state.options.iter().cloned());
    words.push(state.image.clone());
    Ok(words)
}

fn compose_words(file: &Path, rest: &[&str]) -> Vec<String> {
    let mut words = strings(["compose", "--file", &file.display().to_string()]);
    words.extend(strings(rest.iter().copied()));
    words
}

fn strings<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    words.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_containers_are_as_restricted_as_the_compose_service() {
        let compose = crate::files::text(&crate::repo::path("docker/compose.yaml"));
        for (option, line) in [
            ("--read-only", "read_only: true"),
            (
                "--tmpfs=/tmp:rw,noexec,nosuid,nodev,mode=1777,size=64m",
                "- /tmp:rw,noexec,nosuid,nodev,mode=1777,size=64m",
            ),
            ("--cap-drop=ALL", "cap_drop: [ALL]"),
            ("--security-opt=no-new-privileges", "no-new-privileges:true"),
            ("--memory=512m", "mem_limit: 512m"),
            ("--pids-limit=128", "pids_limit: 128"),
            ("--restart=unless-stopped", "restart: unless-stopped"),
            ("--stop-timeout=10", "stop_grace_period: 10s"),
            ("--user=101:101", "user: \"101:101\""),
        ] {
            assert!(HARDENED.contains(&option) || SERVICE_OPTIONS.contains(&option), "{option}");
            assert!(compose.contains(line), "docker/compose.yaml lacks {line}");
        }
    }

    #[test]
    fn options_come_before_the_image_and_it_is_named_by_its_id() {
        let state = State {
            engine: "docker".to_owned(),
            name: "x".to_owned(),
            publish: "127.0.0.1:9000".to_owned(),
            env_file: Some("/x.env".into()),
            compose: None,
            options: vec!["--network=x".to_owned()],
            image: "sha256:1".to_owned(),
            previous: None,
        };
        let words = run_words(&state).expect("words");
        let end: Vec<&str> = words.iter().rev().take(4).rev().map(String::as_str).collect();
        let port = ports::public_port().expect("a port");
        let publish = format!("--publish=127.0.0.1:9000:{port}");
        assert_eq!(end, [&publish, "--env-file=/x.env", "--network=x", "sha256:1"]);
        // On the host's network there is nothing to publish.
        let host = State { options: vec!["--network=host".to_owned()], ..state };
        let words = run_words(&host).expect("words");
        assert!(!words.iter().any(|word| word.starts_with("--publish")), "{words:?}");
    }
}
