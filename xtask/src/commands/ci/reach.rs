//! Can a container be reached from here at all? Asked once, before an image is made and
//! before the tests ask it fifty times with a timeout of a minute each. The container is
//! no more than this program, with the machine's libraries to run it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::{odd_paths, ports, progress, repo, run, wait};

/// Longest that the first answer may take: the container starts in less than a second.
const TIMEOUT: Duration = Duration::from_secs(15);
const TICK: Duration = Duration::from_millis(100);

const GREETING: &[u8] = b"reached";

/// The hidden command that answers in the container.
pub(crate) const COMMAND: &str = "greet";

/// What a program of this machine needs to run.
const LIBRARIES: [&str; 3] = ["/usr", "/lib", "/lib64"];

/// Greets everybody who connects, until it is killed.
pub(crate) fn greet(port: u16) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
    for client in listener.incoming() {
        // Who has gone again gets no greeting.
        let _ = client.and_then(|mut client| client.write_all(GREETING));
    }
    Ok(())
}

/// Starts one container that greets on the public port, and asks it by the way that the
/// tests take. Fails with the reason, as far as it is known.
pub(super) fn check(shell: &Shell) -> Result<()> {
    progress::step("a container can be reached from here", || {
        let (inside, outside) = (ports::public_port()?, ports::in_a_row(3)?);
        let publish = format!("--publish=127.0.0.1:{outside}:{inside}");
        let root = repo::dev("reach");
        let program = odd_paths::alias(&run::own_program()?)?;
        let mut mounts = vec![format!("--volume={}:/xtask:ro", program.display())];
        for library in LIBRARIES.iter().filter(|folder| Path::new(folder).is_dir()) {
            mounts.push(format!("--volume={library}:{library}:ro"));
            fs::create_dir_all(root.join(&library[1..]))?;
        }
        fs::write(root.join("xtask"), "")?;
        let command = ["/xtask", COMMAND, &inside.to_string()];
        let options = ["--detach", "--cap-drop=ALL", &publish];
        let start = cmd!(shell, "podman run {options...} {mounts...} --rootfs {root} {command...}");
        let id = run::output("start a container", start)?.trim().to_owned();
        let result = ask(shell, &id, ([127, 0, 0, 1], outside).into(), inside);
        let remove = cmd!(shell, "podman rm --force --time=0 {id}");
        result.and(run::output("remove the container", remove).map(drop))
    })
}

fn ask(shell: &Shell, id: &str, published: SocketAddr, inside: u16) -> Result<()> {
    if wait::until(TIMEOUT, TICK, || Ok(greets(published)))? {
        return Ok(());
    }
    let inspect = run::output("look at the container", cmd!(shell, "podman inspect {id}"))?;
    let about: Value = serde_json::from_str(&inspect)?;
    let about = &about[0];
    if about["State"]["Running"] != true {
        let logs = run::output("read its log", cmd!(shell, "podman logs {id}"))?;
        bail!("the container has exited: {}", run::tail(&logs));
    }
    let networks = about["NetworkSettings"]["Networks"].as_object();
    let address = networks.and_then(|networks| {
        networks.values().find_map(|network| network["IPAddress"].as_str()?.parse::<IpAddr>().ok())
    });
    let address = address.context("the container has no address; look at podman's network")?;
    if greets((address, inside).into()) {
        bail!(
            "the container answers at {address} but not at {published}, where its port is published: no packet is forwarded there; look at the rules of this machine's firewall (iptables --list --table nat)"
        );
    }
    bail!(
        "the container at {address} is not reached from this machine; another interface may have its network, or a firewall drops the packets:\n{}",
        interfaces(shell)
    )
}

fn greets(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut received = Vec::new();
        stream.read_to_end(&mut received)?;
        Ok(received)
    };
    ask().is_ok_and(|received| received == GREETING)
}

fn interfaces(shell: &Shell) -> String {
    let list = cmd!(shell, "ip -4 route").quiet().ignore_stderr().read();
    list.unwrap_or_else(|_| "(the command ip is not there to list them)".to_owned())
}
