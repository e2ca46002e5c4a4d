//! A migrated PostgreSQL whose socket containers can reach, with an
//! administrator and an enrollment in it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use xshell::cmd;
use xtask::tools::{postgres, python};
use xtask::{repo, run, wait};

const TIMEOUT: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(20);

/// The administrator `admin`; the database lives as long as the measurement.
pub(crate) const PASSWORD: &str = "measured-and-thrown-away";

/// The running server; stopped when dropped.
pub(crate) struct Database {
    /// Folder of its socket.
    pub(crate) sockets: PathBuf,
    /// The secret of an enrollment.
    pub(crate) enrollment: String,
    child: Child,
}

impl Database {
    /// Starts one in a new folder and fills it.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let bin = postgres::ensure_installed()?;
        let (data, sockets) = (folder.join("data"), folder.join("sockets"));
        std::fs::create_dir_all(&sockets)?;
        // The container's user is another one than ours.
        for open in [folder, &sockets] {
            std::fs::set_permissions(open, std::fs::Permissions::from_mode(0o755))?;
        }
        postgres::initialize(&bin, &data)?;
        let (program, mut args) = postgres::server(&bin, &data, &sockets)?;
        args.extend(["-c", "unix_socket_permissions=0777"].map(str::to_owned));
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start PostgreSQL")?;
        let mut database = Self { sockets, enrollment: String::new(), child };
        database.wait()?;
        database.fill()?;
        Ok(database)
    }

    fn wait(&mut self) -> Result<()> {
        let mut ended = false;
        let there = wait::until(TIMEOUT, TICK, || {
            ended = self.child.try_wait()?.is_some();
            Ok(ended || postgres::answers(&self.sockets))
        })?;
        ensure!(there && !ended, "PostgreSQL did not start in {}", self.sockets.display());
        Ok(())
    }

    fn fill(&mut self) -> Result<()> {
        let python = python::interpreter();
        let shell = run::shell_in(&repo::path("backend"))?;
        shell.set_var("DATABASE_URL", url(&self.sockets));
        shell.set_var("ENVIRONMENT", "development");
        run::output("migrate the database", cmd!(shell, "{python} -m santaserver migrate"))?;
        let admin = cmd!(shell, "{python} -m santaserver create-admin admin --password-stdin");
        run::output_of("make an administrator", admin, PASSWORD)?;
        let enroll = cmd!(shell, "{python} -m santaserver create-enrollment bench");
        self.enrollment = run::output("make an enrollment", enroll)?.trim().to_owned();
        Ok(())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let _ = pid.map(|pid| kill_process(pid, Signal::INT));
        let _ = self.child.wait();
    }
}

/// Its address, where the folder of its socket is `sockets`.
pub(crate) fn url(sockets: &Path) -> String {
    let (user, name) = (postgres::USER, postgres::DATABASE);
    format!("postgresql://{user}@/{name}?host={}", sockets.display())
}
