//! What runs and what ran before, in a file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{private, repo};

/// Where it is kept unless another place is named, in the repository.
pub(crate) const FILE: &str = ".dev/deploy.json";

/// One deployment, with everything that is needed to start it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) engine: String,
    pub(crate) name: String,
    pub(crate) publish: String,
    pub(crate) env_file: Option<PathBuf>,
    pub(crate) compose: Option<PathBuf>,
    pub(crate) options: Vec<String>,
    /// By its id: a tag may mean another image tomorrow.
    pub(crate) image: String,
    /// What ran before, as it was started.
    pub(crate) previous: Option<Box<State>>,
}

/// The last deployment that was kept in `file`.
pub(crate) fn read(file: &Path) -> Result<Option<State>> {
    let text = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.with_context(|| format!("cannot read {}", repo::shown(file)))?,
    };
    parse(&text).with_context(|| format!("{} is damaged; remove it", repo::shown(file))).map(Some)
}

/// Keeps it. The options may hold secrets, so only the owner reads the file.
pub(crate) fn write(file: &Path, state: &State) -> Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", repo::shown(folder)))?;
    }
    private::write(file, &format(state))
}

fn format(state: &State) -> String {
    format!("{:#}\n", document(state))
}

fn document(state: &State) -> Value {
    json!({
        "engine": state.engine, "name": state.name, "publish": state.publish,
        "env_file": state.env_file, "compose": state.compose, "options": state.options,
        "image": state.image, "previous": state.previous.as_deref().map(document),
    })
}

fn parse(text: &str) -> Result<State> {
    read_value(&serde_json::from_str(text)?)
}

fn read_value(value: &Value) -> Result<State> {
    let maybe = |key: &str| value[key].as_str().map(str::to_owned);
    let word = |key: &str| maybe(key).with_context(|| format!("{key} is missing"));
    let options = value["options"].as_array().into_iter().flatten();
    Ok(State {
        engine: word("engine")?,
        name: word("name")?,
        publish: word("publish")?,
        env_file: maybe("env_file").map(PathBuf::from),
        compose: maybe("compose").map(PathBuf::from),
        options: options.filter_map(Value::as_str).map(str::to_owned).collect(),
        image: word("image")?,
        previous: match &value["previous"] {
            Value::Null => None,
            before => Some(Box::new(read_value(before)?)),
        },
    })
}

#[cfg(test)]
impl State {
    /// One for tests.
    pub(super) fn example() -> Self {
        Self {
            engine: "podman".to_owned(),
            name: "santaserver".to_owned(),
            publish: "127.0.0.1:9000".to_owned(),
            env_file: Some(PathBuf::from("/etc/santa.env")),
            compose: None,
            options: vec!["--network=x".to_owned()],
            image: "sha256:2".to_owned(),
            previous: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let mut state = State::example();
        state.previous = Some(Box::new(State { image: "sha256:1".to_owned(), ..state.clone() }));
        assert_eq!(parse(&format(&state)).expect("kept"), state);
        assert!(parse("{}").is_err());
    }
}
