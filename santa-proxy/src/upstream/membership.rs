//! Which instances of the backend santa-supervise runs, and which of them get no new
//! requests because it is stopping, starting or restarting them. Failed connections do
//! not show this: the sockets stay open for the next process, and accept connections that
//! no process serves yet. Pure.

use std::collections::BTreeMap;

use santa_config::{Address, Config};

/// The state in which an instance serves; while its successor starts it stays in it.
const READY: &str = "ready";

/// An instance of a service of santa-supervise that serves the backend's requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Supervised {
    service: String,
    instance: u32,
    address: Address,
}

/// The state of one instance of any service, as santa-supervise reports it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub(crate) struct InstanceState {
    /// The service.
    pub(crate) name: String,
    /// Its number, from 0.
    pub(crate) instance: u32,
    /// Its state: see docs/supervise-states.md.
    pub(crate) state: String,
}

/// Instances that get no new requests, each with its state.
pub(crate) type Drained = BTreeMap<Address, String>;

/// The backend's instances that santa-supervise runs; none when they have but one
/// address, which gets all requests in any state.
pub(crate) fn supervised(config: &Config) -> Vec<Supervised> {
    let upstream = &config.proxy.upstream;
    let owner = config.services.iter().find(|service| service.sockets.contains(upstream));
    let Some(owner) = owner else { return Vec::new() };
    let instance =
        |(instance, address)| Supervised { service: owner.name.clone(), instance, address };
    let all: Vec<_> = (0..).zip(config.upstreams()).map(instance).collect();
    let several = all.windows(2).any(|two| two[0].address != two[1].address);
    if several { all } else { Vec::new() }
}

/// The instances that do not serve; one that santa-supervise does not know does.
pub(crate) fn drained(supervised: &[Supervised], states: &[InstanceState]) -> Drained {
    let of = |one: &Supervised| {
        let same = |state: &&InstanceState| {
            state.name == one.service && state.instance == one.instance && state.state != READY
        };
        let phase = states.iter().find(same)?.state.clone();
        Some((one.address.clone(), phase))
    };
    supervised.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"
        version = 1
        [paths]
        www = "/w"
        app = "/a"
        bin = "/b"
        python = "/p"
        [supervisor]
        control_socket = "/s"
        [socket.http]
        listen = "127.0.0.1:1"
        [socket.backend]
        listen = "unix:/b.sock"
        [proxy]
        socket = "http"
        upstream = "backend"
    "#;

    fn config(text: &str) -> Config {
        let env = santa_config::Env::default();
        santa_config::parse(&format!("{PLAN}{text}"), "test", &env).expect("a configuration")
    }

    fn service(instances: u32) -> String {
        format!(
            "[[service]]\nname = \"app\"\ncommand = \"/x\"\nsockets = [\"backend\"]\ninstances = {instances}\n"
        )
    }

    fn state(name: &str, instance: u32, state: &str) -> InstanceState {
        InstanceState { name: name.to_owned(), instance, state: state.to_owned() }
    }

    #[test]
    fn instances_are_known_by_their_service_and_number() {
        let two = supervised(&config(&service(2)));
        let addresses: Vec<String> = two.iter().map(|one| one.address.to_string()).collect();
        assert_eq!(addresses, ["unix:/b-0.sock", "unix:/b-1.sock"]);
        assert_eq!(two.iter().map(|one| one.instance).collect::<Vec<_>>(), [0, 1]);
        assert!(two.iter().all(|one| one.service == "app"));
        assert!(supervised(&config(&service(1))).is_empty());
        assert!(supervised(&config("")).is_empty());
    }

    #[test]
    fn all_but_ready_ones_are_drained_and_unknown_ones_serve() {
        let two = supervised(&config(&service(2)));
        let of = |states: &[InstanceState]| -> Vec<String> {
            drained(&two, states).into_keys().map(|address| address.to_string()).collect()
        };
        assert!(of(&[]).is_empty());
        assert!(of(&[state("app", 0, "ready"), state("app", 1, "ready")]).is_empty());
        assert!(of(&[state("other", 0, "stopped"), state("app", 2, "stopped")]).is_empty());
        for phase in ["waiting", "starting", "stopping", "stopped", "backoff", "failed"] {
            let states = [state("app", 0, "ready"), state("app", 1, phase)];
            assert_eq!(of(&states), ["unix:/b-1.sock"], "{phase}");
        }
    }
}
