//! `cargo xtask release`: from a clean `main` to a commit, a tag and an image of a version.
//! Everything that is in the way is found before the first change, and a failure afterwards
//! puts the clone back as it was. Nothing is ever pushed.

mod changelog;
mod clone;
mod versions;

use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use semver::Version;

use crate::commands::image;
use crate::{files, progress, repo, run};
pub(crate) use changelog::{FILE as CHANGELOG, History, history};
use clone::Clone;
pub(crate) use clone::tag_of;
use versions::Edit;

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask release 0.2.0 --dry-run\n  cargo xtask release 0.2.0\n\n\
    Takes the pending section of CHANGELOG.md, sets the version everywhere, commits, builds the image and\n\
    tags. It says what to push and pushes nothing itself."
)]
/// Make a release: changelog, version, commit, image, tag
pub(crate) struct Args {
    /// The version, such as 0.2.0
    #[arg(value_name = "VERSION")]
    version: String,
    /// Say what would be done, and what is in the way, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Leave the image to be built elsewhere from the tag
    #[arg(long)]
    no_image: bool,
}

/// What a release changes.
#[derive(Debug)]
struct Plan {
    version: Version,
    edits: Vec<Edit>,
    /// What the tag says.
    notes: String,
}

/// Makes a release.
pub(crate) fn run(args: &Args) -> Result<()> {
    run::catch_interrupts()?;
    let clone = Clone::look()?;
    let plan = match plan(&args.version, &clone, &today()) {
        Ok(plan) => plan,
        Err(refusals) => {
            bail!("{} cannot be released:\n  {}", args.version, refusals.join("\n  "))
        }
    };
    let tag = tag_of(&plan.version);
    out!("{} on {}, after {}", tag, clone.head(), clone.last_release());
    for edit in &plan.edits {
        out!("  {} {}", if edit.changes() { "changes" } else { "stays  " }, edit.file);
    }
    if args.dry_run {
        out!("nothing was changed (--dry-run)");
        return Ok(());
    }
    let released = carry_out(&clone, &plan, !args.no_image);
    if let Err(error) = released {
        // Ctrl-C must not leave half a release.
        run::rearm();
        clone.restore(&tag).with_context(|| {
            format!("the release failed ({error:#}), and so did putting the clone back; git reset --hard {} does it", clone.head())
        })?;
        return Err(error.context("the release failed; the clone is as it was"));
    }
    Ok(())
}

/// Everything that a release of `version` changes, or everything that is in its way.
fn plan(version: &str, clone: &Clone, date: &str) -> Result<Plan, Vec<String>> {
    let mut refusals = clone.refusals();
    let version = version.strip_prefix('v').unwrap_or(version);
    let parsed = Version::parse(version).map_err(|error| {
        format!("{version} is no version ({error}); write MAJOR.MINOR.PATCH as on semver.org")
    });
    let read = |file: &str| files::text(&repo::path(file));
    let mut edits = Vec::new();
    let mut notes = String::new();
    match &parsed {
        Err(refusal) => refusals.push(refusal.clone()),
        Ok(version) => {
            refusals.extend(clone.refusal_of(version));
            match changelog::released(&read(CHANGELOG), version, date) {
                Ok(released) => {
                    notes = released.notes;
                    edits.push(Edit::new(CHANGELOG, read(CHANGELOG), released.text));
                }
                Err(refusal) => refusals.push(refusal),
            }
            match versions::edits(version, read) {
                Ok(found) => edits.extend(found),
                Err(found) => refusals.extend(found),
            }
        }
    }
    match parsed {
        Ok(version) if refusals.is_empty() => Ok(Plan { version, edits, notes }),
        _ => Err(refusals),
    }
}

/// Commits, builds, and tags last: a tag stands for an image that exists.
fn carry_out(clone: &Clone, plan: &Plan, with_image: bool) -> Result<()> {
    let (version, tag) = (&plan.version, tag_of(&plan.version));
    for edit in &plan.edits {
        run::check()?;
        edit.write()?;
    }
    let commit = clone.commit(version)?;
    let archive = format!("dist/santaserver-{version}.oci.tar");
    let name = format!("santaserver:{version}");
    let mut digest = String::new();
    if with_image {
        progress::step(&name, || {
            digest = image::digest_of(&name, &archive)?;
            Ok(())
        })?;
    }
    clone.tag(&tag, version, &plan.notes)?;
    out!("\n{version} is commit {commit}, tag {tag}. Not pushed; to publish it:");
    out!("  git push origin main {tag}");
    if with_image {
        out!("  skopeo copy oci-archive:{archive} docker://REGISTRY/{name}");
        out!(
            "image       {name} {digest}\narchive     {archive}\nSBOM        {archive}.sbom.json\nprovenance  {archive}.intoto.json"
        );
    } else {
        out!(
            "The image was left out (--no-image): git checkout {tag} && cargo xtask image --tag {name}"
        );
    }
    Ok(())
}

/// The date in UTC, `2026-11-30`.
fn today() -> String {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let mut text = Vec::new();
    santa_config::calendar::push_rfc3339(
        &mut text,
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
    );
    String::from_utf8_lossy(&text[..10]).into_owned()
}
