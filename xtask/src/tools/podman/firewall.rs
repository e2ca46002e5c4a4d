//! What the engine's network leaves on the machine after its last container: chains of
//! firewall rules, and forwarding switched on. Both are put back as they were.

use std::fs;
use std::process::{Command, Stdio};

const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// The rules that lead to netavark's chains, and the chains. Without containers the
/// chains are empty, or have only what marks packets for each other.
const RULES: [&str; 4] = [
    "-t filter -D FORWARD -m comment --comment|netavark firewall plugin rules|-j NETAVARK_FORWARD",
    "-t nat -D PREROUTING -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT",
    "-t nat -D OUTPUT -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT",
    "-t nat -D POSTROUTING -j NETAVARK-HOSTPORT-MASQ",
];
const CHAINS: [(&str, &str); 4] = [
    ("filter", "NETAVARK_FORWARD"),
    ("nat", "NETAVARK-HOSTPORT-DNAT"),
    ("nat", "NETAVARK-HOSTPORT-MASQ"),
    ("nat", "NETAVARK-HOSTPORT-SETMARK"),
];

/// How it was before.
pub(super) struct Before {
    has_chains: bool,
    forwarding: Option<String>,
}

impl Before {
    pub(super) fn look() -> Self {
        let has = |(table, chain): (&str, &str)| iptables(&["-t", table, "-n", "-L", chain]);
        let forwarding = fs::read_to_string(FORWARDING).ok();
        Self { has_chains: CHAINS.into_iter().any(has), forwarding }
    }

    /// Puts it back. Chains that others use as well, and were there before, stay.
    pub(super) fn restore(&self) {
        if self.has_chains {
            return;
        }
        for rule in RULES {
            iptables(&words(rule));
        }
        for command in ["-F", "-X"] {
            for (table, chain) in CHAINS {
                iptables(&["-t", table, command, chain]);
            }
        }
        if let Some(before) = &self.forwarding {
            // Who may not write it has not changed it.
            let _ = fs::write(FORWARDING, before);
        }
    }
}

/// Words are parted by blanks; between bars is one word.
fn words(rule: &str) -> Vec<&str> {
    let parts = rule.split('|').enumerate();
    parts
        .flat_map(|(number, part)| match number % 2 {
            0 => part.split_whitespace().collect(),
            _ => vec![part],
        })
        .collect()
}

/// Whether it worked; without iptables there is nothing to put back.
fn iptables(words: &[&str]) -> bool {
    let mut command = Command::new("iptables");
    command.arg("-w").args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_stays_one_word() {
        let words = words(RULES[0]);
        assert!(words.contains(&"netavark firewall plugin rules"), "{words:?}");
        assert_eq!(words.last(), Some(&"NETAVARK_FORWARD"));
    }
}
