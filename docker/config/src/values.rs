//! Values with a unit or a shape of their own: durations, sizes, addresses,
//! file modes, networks.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::diagnostic::Diagnostics;
use crate::node::{Node, Value};
use crate::read::{Setting, type_error};

/// Reads a string by `parse`, or notes what was expected.
fn from_text<T>(
    node: &Node,
    key: &str,
    expected: &str,
    diagnostics: &mut Diagnostics,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    node.as_text().and_then(parse).or_else(|| type_error(node, key, expected, diagnostics))
}

/// `"16KiB"` → (`16`, `"KiB"`).
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim_start()))
}

/// The longest duration that can be configured. Every clock can be added to it,
/// several times over, so nobody who uses one has to fear an overflow.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

impl Setting for Duration {
    const EXPECTED: &'static str = "a duration such as \"250ms\", \"9s\" or \"5m\"";

    fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let duration = node.as_text().and_then(duration);
        let Some(duration) = duration else {
            return type_error(node, key, Self::EXPECTED, diagnostics);
        };
        if duration > LONGEST {
            return type_error(node, key, "at most \"365d\"", diagnostics);
        }
        Some(duration)
    }
}

/// What no number holds is more than anybody may wait.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let milliseconds: u64 = match unit.trim_start() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let number = if number.is_empty() { None } else { Some(number.parse().unwrap_or(u64::MAX)) };
    number.map(|number: u64| Duration::from_millis(number.saturating_mul(milliseconds)))
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// The size as a length in memory; what does not fit is the most there is.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Setting for Size {
    const EXPECTED: &'static str = "a size such as \"512B\", \"16KiB\" or \"8MiB\"";

    fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        from_text(node, key, Self::EXPECTED, diagnostics, |text| {
            let (number, unit) = number_and_unit(text)?;
            let shift = match unit {
                "B" => 0,
                "KiB" => 10,
                "MiB" => 20,
                "GiB" => 30,
                _ => return None,
            };
            number.checked_mul(1 << shift).map(Self)
        })
    }
}

/// The permission bits of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode(pub u32);

impl Setting for Mode {
    const EXPECTED: &'static str = "an octal file mode such as \"0600\"";

    fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        from_text(node, key, Self::EXPECTED, diagnostics, |text| {
            u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777).map(Self)
        })
    }
}

impl Setting for PathBuf {
    const EXPECTED: &'static str = "an absolute path";

    fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        from_text(node, key, Self::EXPECTED, diagnostics, |text| {
            Some(Self::from(text)).filter(|path| path.is_absolute() && !text.contains('\0'))
        })
    }
}

impl Setting for SocketAddr {
    const EXPECTED: &'static str =
        "an address and port such as \"127.0.0.1:8080\" or \"[::]:8080\"";

    fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        from_text(node, key, Self::EXPECTED, diagnostics, |text| text.parse().ok())
    }
}

/// Where a socket listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// TCP, written `127.0.0.1:8080`.
    Tcp(SocketAddr),
    /// A Unix stream socket, written `unix:/path`.
    Unix(PathBuf),
}

impl Address {
    /// The address of worker `instance` of `instances`: with several, each has
    /// a Unix socket of its own (`/tmp/uvicorn-0.sock`, `/tmp/uvicorn-1.sock` …);
    /// a TCP address is shared.
    #[must_use]
    pub fn for_instance(&self, instance: u32, instances: u32) -> Self {
        match self {
            Self::Unix(path) if instances > 1 => Self::Unix(numbered(path, instance)),
            other => other.clone(),
        }
    }
}

fn numbered(path: &Path, instance: u32) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = match path.extension() {
        Some(extension) => format!("{stem}-{instance}.{}", extension.to_string_lossy()),
        None => format!("{stem}-{instance}"),
    };
    path.with_file_name(name)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Setting for Address {
    const EXPECTED: &'static str =
        "\"ADDRESS:PORT\", \"[IPV6-ADDRESS]:PORT\" or \"unix:/absolute/path\"";

    fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        from_text(node, key, Self::EXPECTED, diagnostics, |text| match text.strip_prefix("unix:") {
            Some(path) => {
                Some(PathBuf::from(path)).filter(|path| path.is_absolute()).map(Self::Unix)
            }
            None => text.parse().ok().map(Self::Tcp),
        })
    }
}

/// A network in CIDR notation; a bare address is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// Whether `address` lies in this network. IPv4 written inside IPv6
    /// (`::ffff:192.0.2.1`) counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let network: IpAddr = address.parse().ok()?;
        let widest = if network.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(widest), |prefix| prefix.parse().ok())?;
        (prefix <= widest).then_some(Self { network, prefix })
    }
}

impl Setting for Cidr {
    const EXPECTED: &'static str = "a network such as \"10.0.0.0/8\" or \"fd00::/8\"";

    fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        from_text(node, key, Self::EXPECTED, diagnostics, Self::parse)
    }
}

/// The version of the file's format: this crate reads version 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version;

impl Setting for Version {
    const EXPECTED: &'static str = "version = 1";

    fn read(node: &Node, key: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        match node.value {
            Value::Integer(1) => Some(Self),
            _ => type_error(node, key, Self::EXPECTED, diagnostics),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Setting>(text: &str) -> Option<T> {
        T::read(&Node::text(text), "key", &mut Diagnostics::new("test"))
    }

    #[test]
    fn durations_and_sizes_need_their_unit() {
        assert_eq!(read("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(read("2h"), Some(Duration::from_secs(7_200)));
        assert_eq!(read::<Duration>("5"), None);
        assert_eq!(read::<Duration>("-5s"), None);
        assert_eq!(read::<Duration>("s"), None);
        assert_eq!(read("16KiB"), Some(Size(16_384)));
        assert_eq!(read::<Size>("16KB"), None);
        assert_eq!(read::<Size>("99999999999GiB"), None);
    }

    #[test]
    fn no_duration_is_longer_than_a_clock_can_be_added_to() {
        assert_eq!(read("365d"), Some(LONGEST));
        for text in [
            "366d",
            "8761h",
            "31536001s",
            "18446744073709551615s",
            "18446744073709551615ms",
            "213503982334602d",
            "99999999999999999999999999m",
        ] {
            let mut diagnostics = Diagnostics::new("test");
            let node = Node::text(text);
            assert_eq!(Duration::read(&node, "service.app.stop_timeout", &mut diagnostics), None);
            let message = diagnostics.to_string();
            assert!(message.contains(text) && message.contains("at most \"365d\""), "{message}");
        }
    }

    #[test]
    fn workers_have_sockets_of_their_own_only_when_there_are_several() {
        let one: Address = read("unix:/tmp/uvicorn.sock").expect("valid");
        assert_eq!(one.for_instance(0, 1).to_string(), "unix:/tmp/uvicorn.sock");
        assert_eq!(one.for_instance(1, 2).to_string(), "unix:/tmp/uvicorn-1.sock");
    }

    #[test]
    fn networks_hold_exactly_their_addresses() {
        let cases = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("fd00::/8", "fd12::1", true),
            ("::/0", "10.0.0.1", false),
        ];
        for (network, address, expected) in cases {
            let network: Cidr = read(network).expect(network);
            assert_eq!(network.contains(address.parse().expect(address)), expected, "{address}");
        }
        assert_eq!(read::<Cidr>("10.0.0.0/33"), None);
    }
}
