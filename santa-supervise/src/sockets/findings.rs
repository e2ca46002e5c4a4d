//! What operators should know of the sockets: which were inherited, and what a restart of the
//! container does to connections that wait in the others.

use santa_config::{Address, Config};

use super::{Sockets, Tenure, wanted};
use crate::plan::Blueprint;

/// Where Linux says whether connections move from a closed listener to another one at the
/// same address (since 5.14).
const MIGRATION: &str = "/proc/sys/net/ipv4/tcp_migrate_req";

impl Sockets {
    /// Takes down what the log should say of the sockets that were bound first.
    pub fn examine(&mut self, config: &Config, blueprints: &[Blueprint]) {
        let migration = std::fs::read_to_string(MIGRATION).ok();
        let any = self.bound.values().any(|(listener, _)| listener.tenure.is_inherited());
        for (address, (name, _)) in wanted(config, blueprints) {
            let Some((listener, _)) = self.bound.get(address) else { continue };
            self.findings.extend(finding(
                name,
                address,
                &listener.tenure,
                any,
                migration.as_deref(),
            ));
        }
    }
}

/// `any`: whether any socket was inherited; `migration`: the kernel's setting, if it has one.
fn finding(
    name: &str,
    address: &Address,
    tenure: &Tenure,
    any: bool,
    migration: Option<&str>,
) -> Option<(&'static str, String)> {
    match tenure {
        Tenure::Inherited(actual) => Some((
            "info",
            format!(
                "socket.{name}: inherited, listens on {actual}; connections wait there while santa-supervise is replaced"
            ),
        )),
        Tenure::Shared if migration.is_some_and(|value| value.trim() != "1") => Some((
            "warning",
            format!(
                "socket.{name}: reuseport is set, but connections that wait when this container stops are reset instead of moving to the one beside it; set net.ipv4.tcp_migrate_req=1 on the host (sysctl)"
            ),
        )),
        Tenure::Sole if any && matches!(address, Address::Tcp(_)) => Some((
            "info",
            format!(
                "socket.{name}: not inherited, bound here on {address}; connections are refused while santa-supervise is replaced"
            ),
        )),
        Tenure::Shared | Tenure::Sole => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_replacement_would_lose_is_a_warning() {
        let address = Address::Tcp("[::]:8080".parse().expect("an address"));
        let level = |tenure: &Tenure, any, migration| {
            finding("http", &address, tenure, any, migration).map(|(level, _)| level)
        };
        assert_eq!(level(&Tenure::Shared, false, Some("0\n")), Some("warning"));
        assert_eq!(level(&Tenure::Shared, false, Some("1\n")), None);
        // Other systems, and kernels before 5.14.
        assert_eq!(level(&Tenure::Shared, false, None), None);
        assert_eq!(level(&Tenure::Sole, false, Some("0\n")), None);
        assert_eq!(level(&Tenure::Sole, true, None), Some("info"));
        assert_eq!(level(&Tenure::Inherited(address.clone()), true, None), Some("info"));
        let path = Address::Unix("/tmp/b.sock".into());
        assert_eq!(finding("backend", &path, &Tenure::Sole, true, None), None);
    }
}
