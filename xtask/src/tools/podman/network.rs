//! A network of the repository's own: its interface has a name that no other has, and
//! its subnet is one that nothing on this machine uses, nor any network that the user's
//! own engines may bring up later. Debian's podman, for one, has two default networks
//! (CNI's and netavark's) on the same addresses.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{files, private};

/// The network's name in podman.
pub(crate) const NAME: &str = "santaserver";

/// Where engines keep their networks, for all users and for one.
const OF_ENGINES: [&str; 4] =
    ["/etc/cni/net.d", "/etc/containers/networks", "/etc/docker", "/var/lib/cni/networks"];
const OF_A_USER: [&str; 3] =
    [".config/cni/net.d", ".local/share/containers/storage/networks", ".config/docker"];

/// How many addresses a network of ours has: 2 to the power of what is left of 32.
const LENGTH: u32 = 24;

/// An IPv4 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subnet {
    address: u32,
    length: u32,
}

/// Writes the network into `folder`, for an engine that keeps its state in `home`.
/// One that is there stays as long as nobody else uses its addresses.
pub(crate) fn write(folder: &Path, home: &Path) -> Result<()> {
    let file = folder.join(format!("{NAME}.json"));
    let interface = interface(home);
    let used = in_use(&interface);
    if kept(&files::text(&file), &interface).is_some_and(|own| is_free(own, &used)) {
        return Ok(());
    }
    let subnet = choose(number(home), &used)
        .context("no subnet of 10.0.0.0/8 is free for the network of the tests")?;
    let network = json!({
        "name": NAME,
        "id": format!("{:064x}", number(home)),
        "driver": "bridge",
        "network_interface": interface,
        "created": "2025-01-01T00:00:00Z",
        "subnets": [{ "subnet": subnet.to_string(), "gateway": subnet.gateway().to_string() }],
        "ipv6_enabled": false,
        "internal": false,
        "dns_enabled": false,
        "ipam_options": { "driver": "host-local" },
    });
    private::write(&file, &format!("{network:#}\n"))
}

/// Fifteen characters are the most that Linux takes.
pub(crate) fn interface(home: &Path) -> String {
    format!("santa-{:08x}", number(home) & 0xffff_ffff)
}

fn number(home: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    home.hash(&mut hasher);
    hasher.finish()
}

fn kept(text: &str, interface: &str) -> Option<Subnet> {
    let network: Value = serde_json::from_str(text).ok()?;
    let own = network["network_interface"] == interface;
    own.then(|| subnets(text).first().copied()).flatten()
}

/// The first free one from a place on that differs between clones.
fn choose(start: u64, used: &[Subnet]) -> Option<Subnet> {
    let candidates = (0..1u64 << 16).map(|step| {
        let middle = u32::try_from((start + step) % (1 << 16)).unwrap_or(0);
        Subnet { address: 10 << 24 | middle << 8, length: LENGTH }
    });
    // Not at the edges of 10.0.0.0/8, where networks of offices and homes lie.
    let mut candidates = candidates.filter(|one| (64..192).contains(&one.address.to_be_bytes()[1]));
    candidates.find(|one| is_free(*one, used))
}

fn is_free(subnet: Subnet, used: &[Subnet]) -> bool {
    !used.iter().any(|other| subnet.overlaps(*other))
}

/// What this machine routes now, except over our own interface, and what engines name
/// in their configuration.
fn in_use(interface: &str) -> Vec<Subnet> {
    let mut used = routed(&files::text(Path::new("/proc/net/route")), interface);
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let of_user = home.iter().flat_map(|home| OF_A_USER.map(|folder| home.join(folder)));
    for folder in OF_ENGINES.map(PathBuf::from).into_iter().chain(of_user) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            used.extend(subnets(&files::text(&entry.path())));
        }
    }
    used
}

/// The kernel's table: interface, destination and mask are its columns 1, 2 and 8; the
/// bytes of addresses are in the order of the machine's memory.
fn routed(table: &str, interface: &str) -> Vec<Subnet> {
    let routes = table.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let number = |column: usize| u32::from_str_radix(columns.get(column)?, 16).ok();
        let (address, mask) = (u32::from_be(number(1)?), u32::from_be(number(7)?));
        (columns[0] != interface && mask != 0)
            .then_some(Subnet { address, length: mask.count_ones() })
    });
    routes.collect()
}

/// Every `a.b.c.d/n` in a text, whatever its format.
fn subnets(text: &str) -> Vec<Subnet> {
    let words =
        text.split(|character: char| !(character.is_ascii_digit() || "./".contains(character)));
    words
        .filter_map(|word| {
            let (address, length) = word.split_once('/')?;
            let address: Ipv4Addr = address.parse().ok()?;
            let length = length.parse().ok().filter(|length| (1..=32).contains(length))?;
            Some(Subnet { address: address.into(), length })
        })
        .collect()
}

impl Subnet {
    fn overlaps(self, other: Self) -> bool {
        let mask = u32::MAX << (32 - self.length.min(other.length));
        self.address & mask == other.address & mask
    }

    fn gateway(self) -> Ipv4Addr {
        (self.address + 1).into()
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.address), self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\n\
        eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\n\
        cni-podman0\t0000580A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\n\
        ours\t0040630A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\n";

    #[test]
    #[cfg(target_endian = "little")]
    fn routes_are_read_except_the_default_and_our_own() {
        let shown: Vec<String> = routed(ROUTES, "ours").iter().map(Subnet::to_string).collect();
        assert_eq!(shown, ["10.88.0.0/16"]);
    }

    #[test]
    fn networks_are_found_in_the_configuration_of_any_engine() {
        let cni = r#"{"ipam":{"ranges":[[{"subnet":"10.88.0.0/16","gateway":"10.88.0.1"}]]}}"#;
        let docker =
            r#"{"default-address-pools":[{"base":"172.30.0.0/16","size":24}],"bip":"10.9.8.1/24"}"#;
        let shown = |text| subnets(text).iter().map(Subnet::to_string).collect::<Vec<_>>();
        assert_eq!(shown(cni), ["10.88.0.0/16"]);
        assert_eq!(shown(docker), ["172.30.0.0/16", "10.9.8.1/24"]);
        assert!(shown("version 1.2/3, 10.1.2.300/8, 10.0.0.0/33").is_empty());
    }

    #[test]
    fn the_chosen_subnet_is_nobodys() {
        let used = subnets("10.64.0.0/10 10.129.0.0/16 10.128.7.0/24 0.0.0.0/1");
        // 0.0.0.0/1 has all of 10.0.0.0/8 in it.
        assert_eq!(choose(0, &used), None);
        for start in [0, 7, 1 << 40, u64::MAX / 2] {
            let chosen = choose(start, &used[..3]).expect("one is free");
            assert!(is_free(chosen, &used[..3]), "{chosen}");
            assert_eq!(chosen.address.to_be_bytes()[0], 10);
        }
        assert_ne!(choose(1 << 14 | 5, &[]), choose(1 << 14 | 9, &[]));
    }

    #[test]
    fn a_network_stays_until_someone_else_has_its_addresses() {
        let (folder, home) = (tempfile::tempdir().expect("temporary folder"), Path::new("/r/.dev"));
        write(folder.path(), home).expect("written");
        let file = folder.path().join("santaserver.json");
        let first = files::text(&file);
        write(folder.path(), home).expect("kept");
        assert_eq!(files::text(&file), first);
        let interface = interface(home);
        assert!(interface.len() <= 15 && first.contains(&interface));
        let own = kept(&first, &interface).expect("ours");
        let routes = ROUTES.lines().next().expect("a heading").to_owned()
            + &format!("\nwg0\t{:08X}\t0\t1\t0\t0\t0\t00FFFFFF\t0", own.address.to_be());
        assert!(!is_free(own, &routed(&routes, &interface)));
        assert!(is_free(own, &routed(&routes.replace("wg0", &interface), &interface)));
    }
}
