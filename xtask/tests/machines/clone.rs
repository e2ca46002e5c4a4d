//! A clone with no more than xtask looks for, and fake programs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, test_kill_process};

/// Longest that anything here may take on a loaded machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A clone with no more than xtask looks for, and a folder of programs that is PATH.
pub(crate) struct Clone(tempfile::TempDir);

impl Clone {
    pub(crate) fn new() -> Self {
        let clone = Self(tempfile::tempdir().expect("temporary folder"));
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a parent");
        for file in ["xtask/Cargo.toml", "docker/santa.toml", "backend/requirements-dev.txt"] {
            let copy = clone.path(file);
            fs::create_dir_all(copy.parent().expect("a folder")).expect("made");
            fs::copy(repository.join(file), copy).expect("copied");
        }
        for program in ["sh", "sleep", "cat", "mkdir", "cp", "env"] {
            let found = which::which(program).expect(program);
            fs::create_dir_all(clone.path("bin")).expect("made");
            std::os::unix::fs::symlink(found, clone.path("bin").join(program)).expect("linked");
        }
        clone
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.0.path().join(relative)
    }

    /// Puts a shell script into PATH; `$CLONE` in it is this clone.
    pub(crate) fn program(&self, name: &str, script: &str) {
        let file = self.path("bin").join(name);
        let text = format!("#!/bin/sh\nset -eu\nCLONE='{}'\n{script}", self.0.path().display());
        fs::write(&file, text).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("executable");
    }

    /// A Python whose pip does what `pip` says.
    pub(crate) fn python(&self, pip: &str) {
        self.program(
            "python3",
            &format!(
                "case \"$*\" in\n*sys.version_info*) echo 3 13;;\n*'pip --version'*) ;;\n*'pip install'*)\n{pip}\n;;\nesac\n"
            ),
        );
    }

    pub(crate) fn xtask(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(words).current_dir(self.0.path()).env_clear().env("PATH", self.path("bin"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Waits until a fake program has written its process id into the file `name`.
    pub(crate) fn pid(&self, name: &str) -> Pid {
        let read = || fs::read_to_string(self.path(name)).ok()?.trim().parse().ok();
        let pid = wait_for(name, || read().and_then(Pid::from_raw));
        assert!(test_kill_process(pid).is_ok());
        pid
    }
}

pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn gone(pid: Pid) -> Option<()> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    // Nobody may be there to collect what is left of it.
    (test_kill_process(pid).is_err() || stat.is_ok_and(|stat| stat.contains(") Z "))).then_some(())
}

pub(crate) fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat()
}
