//! `cargo xtask deploy` and `rollback`: replace the running container; when the new image
//! does not become ready, the old one comes back. [`way`] decides how; what was
//! running is kept in `.dev/deploy.json`; [`engine`] talks to podman, docker or docker
//! compose.

mod engine;
mod state;
mod systemd;
mod way;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{ports, progress, repo, run, wait};
use engine::Engine;
use state::State;
use way::{Unit, Way};

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask deploy --image santaserver:unified --env-file docker/.env\n  \
    cargo xtask deploy --image santaserver:unified --compose docker/compose.yaml\n\n\
    The new container must answer `santa-supervise healthcheck --ready` in time; otherwise the one\n\
    before it is started again and this command fails.\n\n\
    No request is lost when a systemd unit with a socket runs the container, and with\n\
    `-- --network=host --env=SANTA__SOCKET__HTTP__REUSEPORT=true`; docs/operations.md says how."
)]
/// Replace the running container; roll back when the new one does not become ready
pub(crate) struct Args {
    /// The image to run
    #[arg(long, value_name = "REF")]
    image: String,
    /// Replace the service santaserver of this compose file instead of a single container
    #[arg(long, value_name = "FILE", conflicts_with_all = ["env_file", "options"])]
    compose: Option<PathBuf>,
    /// Environment of the container, as `docker run --env-file` reads it
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Name of the container
    #[arg(long, default_value = "santaserver")]
    name: String,
    /// Address and port that it is reached at
    #[arg(long, value_name = "[ADDRESS:]PORT")]
    publish: Option<String>,
    /// docker or podman [default: the one that answers]
    #[arg(long, value_parser = ["docker", "podman"])]
    engine: Option<String>,
    /// How long the new container may take to become ready, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    timeout: u64,
    /// Where it is kept what runs and what ran before; one file for each deployment
    #[arg(long, value_name = "FILE", default_value = state::FILE)]
    state: PathBuf,
    /// Further options of `run`, after `--`
    #[arg(last = true, value_name = "OPTION")]
    options: Vec<String>,
}

#[derive(clap::Args)]
#[command(after_help = "Example:\n  cargo xtask rollback")]
/// Return to the image that ran before the last deploy
pub(crate) struct RollbackArgs {
    /// Where the deploy recorded the previous image
    #[arg(long, value_name = "FILE", default_value = state::FILE)]
    state: PathBuf,
    /// How long the container may take to become ready, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    timeout: u64,
}

/// Replaces the running container.
pub(crate) fn run(args: &Args) -> Result<()> {
    run::catch_interrupts()?;
    let file = repo::root().join(&args.state);
    let before = state::read(&file)?;
    let engine = Engine::choose(
        args.engine.as_deref().or(before.as_ref().map(|state| state.engine.as_str())),
        args.compose.is_some(),
    )?;
    let publish = match &args.publish {
        Some(publish) => publish.clone(),
        None => ports::public_port()?.to_string(),
    };
    let current = engine.running_image(args.compose.as_deref(), &args.name)?;
    let mut next = State {
        engine: engine.name().to_owned(),
        name: args.name.clone(),
        publish,
        env_file: args.env_file.as_deref().map(absolute).transpose()?,
        compose: args.compose.as_deref().map(absolute).transpose()?,
        options: args.options.clone(),
        image: engine.pinned(&args.image)?,
        previous: None,
    };
    next.previous = current.map(|image| Box::new(going_back(before, &next, image)));
    replace(&engine, &next, Duration::from_secs(args.timeout), &file)
}

/// How the running image is started again: as it was, when it was deployed from
/// here, else as the next one is.
fn going_back(before: Option<State>, next: &State, running: String) -> State {
    match before {
        Some(before) if before.image == running && before.name == next.name => {
            State { previous: None, ..before }
        }
        _ => State { image: running, previous: None, ..next.clone() },
    }
}

/// Goes back to the image before.
pub(crate) fn rollback(args: &RollbackArgs) -> Result<()> {
    run::catch_interrupts()?;
    let file = repo::root().join(&args.state);
    let state = state::read(&file)?.with_context(|| {
        let file = repo::shown(&file);
        format!(
            "nothing was deployed from here ({file} is missing), so there is nothing to go back to"
        )
    })?;
    let mut back = *state
        .previous
        .clone()
        .context("the first deploy has nothing before it; deploy the image you want with cargo xtask deploy --image REF")?;
    let engine = Engine::choose(Some(&state.engine), back.compose.is_some())?;
    back.previous = Some(Box::new(State { previous: None, ..state }));
    replace(&engine, &back, Duration::from_secs(args.timeout), &file)
}

/// What ran before has shown that it can: however little time the next image has, it
/// gets this.
const WAY_BACK: Duration = Duration::from_secs(60);

/// Puts the next image in the place of what runs, in the way that loses least here.
fn replace(engine: &Engine, next: &State, timeout: Duration, file: &Path) -> Result<()> {
    let running = engine.running(next)?;
    match way::decide(running.as_ref(), next) {
        Way::Beside => beside(engine, next, timeout)?,
        Way::Unit(unit) => restart_unit(engine, next, &unit, timeout)?,
        Way::InTurn => in_turn(engine, next, timeout)?,
    }
    state::write(file, next)?;
    out!(
        "{} runs{}",
        next.name,
        if next.previous.is_some() { "; back with: cargo xtask rollback" } else { "" }
    );
    Ok(())
}

/// Starts the next container beside the one that runs, which is stopped when the next one is
/// ready; until then it alone gets requests.
fn beside(engine: &Engine, next: &State, timeout: Duration) -> Result<()> {
    let joining = State { name: format!("{}-next", next.name), ..next.clone() };
    let started = progress::step(&format!("{} beside the running one", next.image), || {
        engine.start(&joining)?;
        until_ready(engine, &joining, timeout)
    });
    if let Err(error) = started {
        let log = engine.last_words(&joining);
        // Ctrl-C must not leave two.
        run::rearm();
        engine.remove(&joining.name)?;
        bail!(
            "{error:#}; what ran before was not touched. The last lines of {}:\n{log}",
            next.image
        );
    }
    progress::step("stop the one before", || {
        engine.remove(&next.name)?;
        engine.rename(&joining.name, &next.name)
    })
}

/// Lets systemd restart the unit that runs the container, with the next image under the name
/// that the unit has for it.
fn restart_unit(engine: &Engine, next: &State, unit: &Unit, timeout: Duration) -> Result<()> {
    let start = |image: &str, timeout| {
        engine.tag(image, &unit.image)?;
        systemd::restart(&unit.name)?;
        until_ready(engine, &State { image: image.to_owned(), ..next.clone() }, timeout)
    };
    let what = format!("{} in {}", next.image, unit.name);
    let Err(error) = progress::step(&what, || start(&next.image, timeout)) else { return Ok(()) };
    let log = engine.last_words(next);
    go_back(next, &error, &log, |back| start(&back.image, timeout.max(WAY_BACK)))
}

/// Starts the next image in the place of the one that runs.
fn in_turn(engine: &Engine, next: &State, timeout: Duration) -> Result<()> {
    let start = |state: &State, timeout| {
        engine.start(state)?;
        until_ready(engine, state, timeout)
    };
    let what = format!("{} on {}", next.image, engine.name());
    let Err(error) = progress::step(&what, || start(next, timeout)) else { return Ok(()) };
    let log = engine.last_words(next);
    go_back(next, &error, &log, |back| start(back, timeout.max(WAY_BACK)))
}

/// Starts what ran before again, because the next image has failed; always an error.
fn go_back(
    next: &State,
    error: &anyhow::Error,
    log: &str,
    start: impl FnOnce(&State) -> Result<()>,
) -> Result<()> {
    let Some(back) = next.previous.clone() else {
        bail!("{error:#}; nothing ran before, so there is nothing to roll back to\n{log}");
    };
    let previous = &back.image;
    // Ctrl-C during the wait must not leave the server down.
    run::rearm();
    progress::step(&format!("back to {previous}"), || start(&back)).with_context(|| {
        format!(
            "the new image failed ({error:#}), and so did the rollback; start {previous} manually"
        )
    })?;
    bail!("{error:#}; {previous} runs again. The last lines of {}:\n{log}", next.image)
}

fn until_ready(engine: &Engine, state: &State, timeout: Duration) -> Result<()> {
    let tick = Duration::from_millis(200);
    let look = || {
        if engine.ready(state)? {
            return Ok(true);
        }
        // Nothing is gained by waiting for it.
        if engine.has_ended(state)? {
            bail!("{} ended instead of becoming ready", state.image);
        }
        Ok(false)
    };
    if !wait::until(timeout, tick, look)? {
        bail!("{} did not become ready in {}", state.image, progress::time(timeout));
    }
    Ok(())
}

/// A path that means the same from any folder.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).with_context(|| format!("there is no {}", path.display()))
}
