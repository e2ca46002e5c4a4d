//! `cargo xtask fuzz`: libFuzzer on what santa-proxy reads from strangers. The
//! targets and their invariants are in `santa-proxy/fuzz/`.
//!
//! It runs on the stable toolchain: what counts the reached code is an LLVM pass
//! that is asked for by stable flags. Only the address sanitizer would need more,
//! and there is no unsafe code to watch.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::{progress, repo, run};

const TARGETS: [&str; 4] = ["chunked", "head", "path", "response"];
/// Counters for every edge, and the operands of comparisons as hints.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Coverflow-checks -Cdebug-assertions";

#[derive(clap::Args)]
#[command(after_help = "Examples:\n  cargo xtask fuzz\n  cargo xtask fuzz head --seconds 600\n\n\
    Inputs that reach new code are kept in .dev/fuzz/TARGET and used again by the next run; an input that\n\
    breaks an invariant is named in the error and stays there as a file.")]
/// Fuzz santa-proxy's parsers (libFuzzer)
pub(crate) struct Args {
    /// Which targets (none: all)
    #[arg(value_name = "TARGET", value_parser = TARGETS)]
    targets: Vec<String>,
    /// How long each target runs, in seconds
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

/// Builds the targets and tries them one after the other.
pub(crate) fn run(args: &Args) -> Result<()> {
    run::catch_interrupts()?;
    let all = TARGETS.map(str::to_owned);
    let chosen = if args.targets.is_empty() { &all[..] } else { &args.targets };
    try_all(chosen, args.seconds)
}

/// A step of the checks: all targets, one after the other, in this time.
pub(crate) fn search(time: Duration) -> Result<()> {
    let each = time.as_secs() / TARGETS.len() as u64;
    try_all(&TARGETS.map(str::to_owned), u32::try_from(each.max(1))?)
}

fn try_all(targets: &[String], seconds: u32) -> Result<()> {
    ensure!(
        run::find("c++").is_some(),
        "libFuzzer is built from C++ and there is no compiler; on Debian: sudo apt-get install g++"
    );
    let shell = run::shell()?;
    let (programs, corpus) = (build(&shell)?, repo::dev("fuzz"));
    for target in targets {
        let folder = corpus.join(target);
        let dictionary = folder.with_extension("dictionary");
        let program = programs.join(format!("fuzz-{target}"));
        let broken = corpus.join(format!("broken-{target}-"));
        progress::step(target, || {
            let fuzzer = cmd!(shell, "{program} -max_len=4096 -timeout=5 -rss_limit_mb=1024")
                .arg(option("-dict=", &dictionary))
                .arg(option("-artifact_prefix=", &broken))
                .arg(format!("-max_total_time={seconds}"))
                .arg(&folder);
            run::output(&format!("keep the invariants of {target}"), fuzzer).map(drop)
        })?;
    }
    Ok(())
}

/// An option of libFuzzer with a path.
fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(path);
    option
}

/// Builds the programs with coverage and writes what they start from.
fn build(shell: &Shell) -> Result<PathBuf> {
    progress::step("fuzz targets", || {
        let target = repo::dev("fuzz/target");
        let seeds =
            cmd!(shell, "cargo run --quiet --locked -p santa-proxy-fuzz --bin fuzz-seeds --")
                .arg(repo::dev("fuzz"));
        run::output("write the inputs to start from", seeds)?;
        // Named, so that programs of the build itself stay as they are.
        let host = run::output("ask for the platform", cmd!(shell, "rustc --print host-tuple"))?;
        let host = host.trim();
        let programs = TARGETS.map(|name| format!("--bin=fuzz-{name}"));
        let build = cmd!(
            shell,
            "cargo build --quiet --locked --release --target {host} -p santa-proxy-fuzz
             --features libfuzzer {programs...}"
        )
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("RUSTFLAGS", COVERAGE);
        run::output("build the fuzz targets", build)?;
        Ok(target.join(host).join("release"))
    })
    .context("cannot prepare fuzzing")
}
