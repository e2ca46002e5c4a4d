//! `cargo xtask ci`: every check as a named step. [`steps`] is the table, the
//! order and the parallel running are here, one file for each check of our own.

mod checkout;
mod dev_loop;
mod dev_starts;
mod docker;
mod docs;
pub(crate) mod e2e;
mod image;
mod kubernetes;
mod layers;
mod locks;
mod migrations;
mod previous_release;
pub(crate) mod reach;
mod repeat;
mod schedule;
pub(crate) mod steps;
mod stray;
pub(crate) mod whole_chain;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use clap::builder::PossibleValuesParser;

use crate::{files, progress, repo, run};
use repeat::Tally;
use schedule::{Lane, Schedule};
use steps::{Group, STEPS, Step};

/// Steps that run side by side.
const WORKERS: usize = 2;

/// What is added to the nice value of work that can wait.
#[cfg(target_os = "linux")]
const LEAST_URGENT: i32 = 19;

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask ci\n  cargo xtask ci rust-test e2e\n  cargo xtask ci --quick\n  \
    cargo xtask ci --repeat 20 --keep-going rust-test\n  cargo xtask ci --group long --minutes 60\n\n\
    A step installs what it needs on first use; with CI=true nothing is ever skipped."
)]
/// Run the checks
pub(crate) struct Args {
    /// Run only these steps (see --list)
    #[arg(value_name = "STEP", value_parser = PossibleValuesParser::new(steps::names()), hide_possible_values = true)]
    steps: Vec<String>,
    /// Print the steps and what they check
    #[arg(long)]
    list: bool,
    /// Continue after a failure and report all failures
    #[arg(long)]
    keep_going: bool,
    /// Only the quick ones: formats and lints
    #[arg(long, conflicts_with = "steps")]
    quick: bool,
    /// Run them N times to find flaky tests. Stops after the first
    /// round that fails; with --keep-going runs all
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Which steps to run when none is named
    #[arg(long, conflicts_with_all = ["steps", "quick"], value_enum, default_value_t = Group::Usual)]
    group: Group,
    /// How long each step of the group "long" runs
    #[arg(long, default_value_t = 15, value_name = "M", value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
}

/// How one step ended.
struct Outcome {
    step: &'static Step,
    taken: Duration,
    error: Option<anyhow::Error>,
}

/// Lists or runs the steps.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.list {
        STEPS.iter().for_each(|step| out!("{}", listed(step)));
        return Ok(());
    }
    run::catch_interrupts()?;
    let chosen: Vec<&'static Step> = STEPS.iter().filter(|step| args.wants(step)).collect();
    if args.repeat == 1 { round(&chosen, args) } else { rounds(&chosen, args) }
}

impl Args {
    fn wants(&self, step: &Step) -> bool {
        if self.steps.is_empty() {
            step.group() == self.group && (!self.quick || step.quick)
        } else {
            self.steps.iter().any(|name| name == step.name)
        }
    }

    fn time(&self) -> Duration {
        Duration::from_secs(u64::from(self.minutes) * 60)
    }
}

fn listed(step: &Step) -> String {
    let group = if step.group() == Group::Long { " (--group long)" } else { "" };
    format!("{:<16} {}{group}", step.name, step.about)
}

fn round(chosen: &[&'static Step], args: &Args) -> Result<()> {
    let start = Instant::now();
    let outcomes = run_all(chosen, args);
    run::check()?;
    report(chosen, &outcomes, start.elapsed())
}

/// Round after round, and in the end what failed how often.
fn rounds(chosen: &[&'static Step], args: &Args) -> Result<()> {
    let mut tally = Tally::default();
    let folder = repo::dev("logs/repeat");
    files::remove(&folder)?;
    for number in 1..=args.repeat {
        let start = Instant::now();
        let outcomes = run_all(chosen, args);
        run::check()?;
        let failed = outcomes.iter().filter_map(|one| Some((one.step.name, one.error.as_ref()?)));
        let passed = tally.add(&folder, failed.map(|(step, error)| (step, format!("{error:#}"))));
        let result = if passed { "passed" } else { "FAILED" };
        out!("round {number} of {}: {result} {}", args.repeat, progress::time(start.elapsed()));
        if !passed && !args.keep_going {
            break;
        }
    }
    out!("\n{tally}");
    ensure!(tally.failed == 0, "{} of {} rounds did not pass", tally.failed, tally.rounds);
    Ok(())
}

fn run_all(chosen: &[&'static Step], args: &Args) -> Vec<Outcome> {
    let schedule = Mutex::new(Schedule::new(chosen.iter().map(|step| step.lane).collect()));
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| worker(chosen, args, &schedule, &outcomes));
        }
    });
    outcomes.into_inner().unwrap_or_default()
}

fn worker(
    chosen: &[&'static Step],
    args: &Args,
    schedule: &Mutex<Schedule>,
    outcomes: &Mutex<Vec<Outcome>>,
) {
    loop {
        let Ok(mut guard) = schedule.lock() else { return };
        let next = guard.next();
        drop(guard);
        match next {
            schedule::Next::Run(index) => {
                let outcome = run_one(chosen[index], args.time());
                let failed = outcome.error.is_some();
                if let Ok(mut list) = outcomes.lock() {
                    list.push(outcome);
                }
                if let Ok(mut guard) = schedule.lock() {
                    guard.done(index);
                    if (failed && !args.keep_going) || run::interrupted() {
                        guard.stop();
                    }
                }
            }
            schedule::Next::Wait => std::thread::sleep(Duration::from_millis(50)),
            schedule::Next::End => return,
        }
    }
}

fn run_one(step: &'static Step, time: Duration) -> Outcome {
    let start = Instant::now();
    let result = progress::step(step.name, || match step.lane {
        Lane::Image => in_the_background(|| step.work.run(time)),
        _ => step.work.run(time),
    });
    if let Err(error) = &result
        && !run::is_interruption(error)
    {
        err!(
            "{error:#}\n{}",
            progress::dim(&format!("run it alone: cargo xtask ci {}", step.name))
        );
    }
    Outcome { step, taken: start.elapsed(), error: result.err() }
}

/// On a thread that takes only what others leave of the processor, and so do the
/// processes that it starts.
fn in_the_background(work: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            // For each thread on Linux alone; elsewhere it would be for all of us.
            #[cfg(target_os = "linux")]
            let _ = rustix::process::nice(LEAST_URGENT);
            work()
        });
        worker.join().unwrap_or_else(|_| bail!("it panicked"))
    })
}

fn report(chosen: &[&'static Step], outcomes: &[Outcome], total: Duration) -> Result<()> {
    out!("\n{:<16} {:<8} {:>10}", "step", "result", "time");
    for step in chosen {
        match outcomes.iter().find(|outcome| outcome.step.name == step.name) {
            Some(Outcome { error: None, taken, .. }) => {
                out!("{:<16} {:<8} {:>10}", step.name, "passed", progress::time(*taken))
            }
            Some(Outcome { taken, .. }) => {
                out!("{:<16} {:<8} {:>10}", step.name, "FAILED", progress::time(*taken))
            }
            None => out!("{:<16} {:<8} {:>10}", step.name, "not run", ""),
        }
    }
    let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
    out!("{:<16} {:<8} {:>10}\n", "total", "", progress::time(total));
    out!("{} passed, {failed} failed", outcomes.len() - failed);
    if failed > 0 || outcomes.len() < chosen.len() {
        bail!(
            "{} of {} steps did not pass",
            chosen.len() - (outcomes.len() - failed),
            chosen.len()
        );
    }
    Ok(())
}
