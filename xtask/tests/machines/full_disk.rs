//! What a full disk leaves. A limit on the size of files stands for it: writes fail in
//! the middle as they do on a full disk, it takes no rights, and it ends with the
//! command.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::clone::{Clone, text};

/// `command` with files of at most so many blocks of 512 bytes.
fn limited(command: &Command, blocks: u32) -> Output {
    let mut shell = Command::new("sh");
    // Ignored, or the first write beyond the limit would end the process.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    shell.args(["-c", &script]).arg(command.get_program()).args(command.get_args());
    shell.current_dir(command.get_current_dir().expect("a folder")).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.output().expect("started")
}

/// Every file and folder below `folder`.
fn all_below(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        found.push(entry.path().display().to_string());
        found.extend(all_below(&entry.path()));
    }
    found
}

/// How large the files are that a fake pip installs.
const SIZE: usize = 50 * 512;

fn with_pip() -> Clone {
    let clone = Clone::new();
    fs::write(clone.path("wheel"), [b'x'; SIZE]).expect("written");
    clone.python(
        "while [ \"$1\" != --target ]; do shift; done\nmkdir -p \"$2/bin\" \"$CLONE/called\"\n\
         cp \"$CLONE/wheel\" \"$2/library\"; cp \"$CLONE/wheel\" \"$2/bin/uv\"",
    );
    clone
}

fn nothing_passes_for_made(clone: &Clone) {
    let made = all_below(&clone.path(".dev"));
    let bad: Vec<_> =
        made.iter().filter(|path| path.contains("tools/uv") || path.contains("stamp")).collect();
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn a_download_that_meets_a_full_disk_fails_with_the_reason_and_leaves_nothing() {
    // Full at once, within a file, and when all but the stamp is written.
    for (blocks, pip) in [(0, true), (20, true), (0, false)] {
        let clone = with_pip();
        if !pip {
            clone.python(
                "while [ \"$1\" != --target ]; do shift; done\nmkdir -p \"$2/bin\"; : >\"$2/bin/uv\"",
            );
        }
        let output = limited(&clone.xtask(&["ci", "backend-types"]), blocks);
        let message = text(&output);
        assert_eq!(output.status.code(), Some(1), "{blocks}: {message}");
        assert!(message.contains("File too large"), "{blocks}: {message}");
        let place = if pip { "cannot install uv" } else { "cannot write .dev/tools/uv" };
        assert!(message.contains(place), "{blocks}: {message}");
        assert!(!message.contains("panicked"), "{blocks}: {message}");
        nothing_passes_for_made(&clone);
    }
}

#[test]
fn what_a_full_disk_has_stopped_is_made_when_there_is_room() {
    let clone = with_pip();
    limited(&clone.xtask(&["ci", "backend-types"]), 20);
    fs::remove_dir(clone.path("called")).expect("pip was called");
    clone.xtask(&["ci", "backend-types"]).output().expect("ran");
    assert!(clone.path("called").exists(), "it is not made again");
    assert!(clone.path(".dev/tools/uv/.stamp").exists());
    assert_eq!(
        fs::metadata(clone.path(".dev/tools/uv/library")).expect("there").len(),
        SIZE as u64
    );
}

#[test]
#[cfg(target_os = "linux")]
fn output_that_gets_lost_is_an_error_and_no_crash() {
    let clone = Clone::new();
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").expect("opened");
    let output = clone.xtask(&["ci", "--list"]).stdout(full()).output().expect("ran");
    let message = text(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains("cannot write the output") && !message.contains("panicked"),
        "{message}"
    );
    // What is done counts when only words about it get lost.
    let output = clone.xtask(&["db", "stop"]).stderr(full()).output().expect("ran");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let output = clone.xtask(&["ci", "backend-types"]).stderr(full()).output().expect("ran");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let clone = Clone::new();
    let mut listing = clone.xtask(&["ci", "--list"]).spawn().expect("started");
    drop(listing.stdout.take());
    let output = listing.wait_with_output().expect("ended");
    assert_eq!((output.status.code(), text(&output).as_str()), (Some(0), ""));
}
