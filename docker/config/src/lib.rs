//! The typed, strict reading of `docker/santa.toml`, the one file that
//! describes the container. santa-proxy, santa-supervise and xtask all read it
//! through this crate, so a key means the same thing everywhere.
//!
//! Read [`sections`] for what can be set; [`section`] is the small macro that
//! keeps a key's name, type, default and documentation in one place. This crate
//! knows nothing of processes or HTTP: it turns text and environment into plain
//! values, or into the list of everything that is wrong with them. Only
//! [`listen_tcp`] does something: it listens at an address as both programs mean it.
//! [`calendar`] is how both write a moment into their logs.

pub mod calendar;
mod diagnostic;
mod env;
mod expand;
mod listen;
mod node;
mod overrides;
mod read;
mod reference;
mod section;
pub mod sections;
mod shared;
pub mod signal;
mod validate;
mod values;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use diagnostic::{Diagnostic, Diagnostics};
pub use env::{Env, process_env};
pub use listen::{bind_tcp, listen_tcp};
use read::Setting as _;
pub use sections::{
    Access, Admin, Backoff, ClientCertificate, Condition, Config, Console, Dependency, Hook, Kind,
    Limits, Liveness, LivenessProbe, LogFormat, Paths, PostTarget, Proxy, ProxyLimits,
    ProxyTimeouts, ProxyTls, Ready, Restart, Service, ServiceLog, Socket, State, StopStep,
    Supervisor, SupervisorLog,
};

pub use signal::Signal;
pub use values::{Address, Cidr, Mode, Size};

/// Reads and checks the configuration file at `path`.
///
/// # Errors
/// Every diagnostic in the file at once, each with its place and remedy; or the
/// one reason why the file could not be read at all.
pub fn load(path: &Path, env: &Env) -> Result<Config, Diagnostics> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, &name, env),
        Err(error) => Err(Diagnostics::unreadable(path, &error)),
    }
}

/// Like [`load`], for a service that reads the file itself: what only concerns
/// how services run is left out, and with it the variables that it refers to.
///
/// # Errors
/// As [`load`], for what is read.
pub fn load_shared(path: &Path, env: &Env) -> Result<Config, Diagnostics> {
    let name = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|error| Diagnostics::unreadable(path, &error))?;
    let mut diagnostics = Diagnostics::new(&name);
    let mut root = node::parse(&text, &mut diagnostics);
    overrides::apply(&mut root, env, &mut diagnostics);
    shared::keep(&mut root);
    finish(root, env, diagnostics)
}

/// The variables that a service needs for [`load_shared`] of this text.
#[must_use]
pub fn shared_variables(text: &str, env: &Env) -> BTreeSet<String> {
    // One with diagnostics is refused by whoever parses it.
    shared::variables(&mut node::parse(text, &mut Diagnostics::new("")), env)
}

/// Where santa-supervise listens for commands, by the file at `path`. Other
/// errors in the file do not matter here.
///
/// # Errors
/// Every diagnostic in the file, when this value cannot be read from it.
pub fn control_socket(path: &Path, env: &Env) -> Result<PathBuf, Diagnostics> {
    let name = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|error| Diagnostics::unreadable(path, &error))?;
    let mut diagnostics = Diagnostics::new(&name);
    let root = tree(&text, env, &mut diagnostics);
    let key = "supervisor.control_socket";
    let node = root.get("supervisor").and_then(|section| section.get("control_socket"));
    match node.and_then(|node| PathBuf::read(node, key, &mut diagnostics)) {
        Some(path) => Ok(path),
        None => Err(parse(&text, &name, env).err().unwrap_or(diagnostics)),
    }
}

/// The values of a file, its variables and overrides filled in.
fn tree(text: &str, env: &Env, diagnostics: &mut Diagnostics) -> node::Node {
    let mut root = node::parse(text, diagnostics);
    overrides::apply(&mut root, env, diagnostics);
    fill(&mut root, env, diagnostics);
    root
}

fn fill(root: &mut node::Node, env: &Env, diagnostics: &mut Diagnostics) {
    expand::environment(root, env, diagnostics);
    expand::paths(root, diagnostics);
}

/// Reads and checks configuration `text`; `name` is what diagnostics call it.
///
/// # Errors
/// Every diagnostic in the text at once.
pub fn parse(text: &str, name: &str, env: &Env) -> Result<Config, Diagnostics> {
    let mut diagnostics = Diagnostics::new(name);
    let mut root = node::parse(text, &mut diagnostics);
    overrides::apply(&mut root, env, &mut diagnostics);
    finish(root, env, diagnostics)
}

/// All keys as docs/configuration.md lists them: Markdown without a title.
#[must_use]
pub fn reference() -> String {
    let mut tables = Vec::new();
    Config::reference("", &mut tables);
    reference::markdown(&tables)
}

/// Fills in, reads and checks a tree.
fn finish(
    mut root: node::Node,
    env: &Env,
    mut diagnostics: Diagnostics,
) -> Result<Config, Diagnostics> {
    fill(&mut root, env, &mut diagnostics);
    let config = read::document::<Config>(&root, &mut diagnostics);
    if let Some(config) = &config {
        validate::config(config, &root, &mut diagnostics);
    }
    match config {
        Some(config) if diagnostics.is_empty() => Ok(config),
        _ => Err(diagnostics),
    }
}
