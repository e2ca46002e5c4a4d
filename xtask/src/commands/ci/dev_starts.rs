//! Starts of the development loop on a machine that makes it hard: with the disk full,
//! and with no network and a umask that keeps everything from other users. What others
//! may read and write after a start with no umask at all is looked at here as well.

use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};

use crate::{files, ports, repo, run};

/// Names by which programs find the way to the network.
const PROXIES: [&str; 7] = [
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "CARGO_HTTP_PROXY",
];

/// A start that meets a full disk, and the next one in the same home, which finds room
/// but no network.
pub(super) fn run() -> Result<()> {
    let home = repo::dev("ci-dev/hard");
    files::remove(&home)?;
    full_disk(&home)?;
    no_network(&home)?;
    nothing_for_others(&home)
}

/// This program below a shell that does `first`.
pub(super) fn below(first: &str) -> Result<Command> {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("{first}; exec \"$0\" \"$@\"")).arg(run::own_program()?);
    shell.stdin(Stdio::null());
    Ok(shell)
}

fn start(first: &str, home: &Path) -> Result<Command> {
    let mut dev = below(first)?;
    let port = ports::in_a_row(3)?.to_string();
    dev.args(["dev", "--exit-when-ready", "--port", &port, "--home"]).arg(home);
    Ok(dev)
}

/// The database does not fit; a limit on the size of files does it without any rights.
fn full_disk(home: &Path) -> Result<()> {
    let output = start("trap '' XFSZ; ulimit -f 8000", home)?.output()?;
    let printed = printed(&output);
    ensure!(
        output.status.code() == Some(1) && printed.contains("error: cannot create the database"),
        "on a full disk it ended with {}:\n{printed}",
        output.status
    );
    let left: Vec<_> = names(home)?.into_iter().filter(|name| name != "lock").collect();
    ensure!(left.is_empty(), "on a full disk it left {}", left.join(", "));
    Ok(())
}

/// All that was fetched is there: nothing asks the way to the network.
fn no_network(home: &Path) -> Result<()> {
    let (proxy, asked) = proxy()?;
    let mut dev = start("umask 077", home)?;
    dev.envs(PROXIES.map(|name| (name, proxy.as_str())));
    let output = dev.env_remove("no_proxy").env_remove("NO_PROXY").output()?;
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
    ensure!(asked.is_empty(), "it wants the network: {}", asked.join(", "));
    ensure!(
        output.status.success(),
        "with no network and umask 077 it ended with {}:\n{}",
        output.status,
        run::tail(&printed(&output))
    );
    Ok(())
}

/// A proxy that leads nowhere and keeps what it was asked for.
fn proxy() -> Result<(String, Arc<Mutex<Vec<String>>>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen")?;
    let address = format!("http://{}", listener.local_addr()?);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&asked);
    // It ends with this process.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 200];
            let read = stream.read(&mut request).unwrap_or(0);
            let line = String::from_utf8_lossy(&request[..read]);
            let line = line.lines().next().unwrap_or("a connection").to_owned();
            list.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
    Ok((address, asked))
}

/// Others may not read the secrets of a home, nor change anything in it.
pub(super) fn nothing_for_others(home: &Path) -> Result<()> {
    for name in ["credentials.json", "secret_key", "santa.toml", "postgres"] {
        others_may(&home.join(name), 0o077)?;
    }
    for folder in [home.join("run"), repo::short(home)] {
        if folder.exists() {
            others_may(&folder, 0o077)?;
        }
    }
    others_may(home, 0o022)?;
    names(home)?.iter().try_for_each(|name| others_may(&home.join(name), 0o022))
}

/// An error when group or others may do what is in `refused`.
fn others_may(path: &Path, refused: u32) -> Result<()> {
    let found = fs::symlink_metadata(path)
        .with_context(|| format!("cannot look at {}", repo::shown(path)))?;
    let mode = found.permissions().mode() & 0o777;
    ensure!(
        mode & refused == 0,
        "{} has mode {mode:o}, which lets other users in",
        repo::shown(path)
    );
    Ok(())
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    Ok(entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

fn printed(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat()
}
