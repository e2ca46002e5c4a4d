//! Instances that santa-supervise is stopping get no further requests, although
//! their sockets still take connections.

use std::io::Write;

use crate::instances::{LAST, hold_until, start};
use crate::support::backend::{Act, Backend};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::proxy::{Proxy, Setup};
use crate::support::supervisor::Supervisor;

const POST: &str = "POST /api/x HTTP/1.1\r\nHost: santa\r\nContent-Length: 2\r\n\r\nhi";
const DRAINED: &str = "backend instance drained: no new requests";
const BACK: &str = "backend instance back in service";

fn started(setup: Setup, phases: &[&str]) -> (Proxy, Vec<Backend>, Supervisor) {
    let supervisor = Supervisor::start(setup.directory.path(), phases);
    let (proxy, backends) = start(phases.len(), setup);
    (proxy, backends, supervisor)
}

/// Which instances get something of some requests.
fn used(proxy: &Proxy, backends: &[Backend]) -> Vec<bool> {
    let before: Vec<usize> = backends.iter().map(|backend| backend.received().len()).collect();
    let mut client = Client::connect(proxy.address);
    for round in 0..10 {
        let response = if round % 2 == 0 { client.get("/api/x") } else { client.request(POST) };
        assert_eq!(response.status, 200);
    }
    let more = |(backend, before): (&Backend, usize)| backend.received().len() > before;
    backends.iter().zip(before).map(more).collect()
}

/// Waits until exactly these instances are used.
fn until_used(proxy: &Proxy, backends: &[Backend], wanted: &[bool]) {
    eventually(&format!("{wanted:?} are used"), || used(proxy, backends) == wanted);
}

#[test]
fn a_stopping_instance_gets_no_new_requests_until_it_is_ready_again() {
    let setup = Setup::new();
    let (proxy, backends, supervisor) = started(setup, &["ready", "ready"]);
    assert_eq!(used(&proxy, &backends), [true, true]);
    let kept = backends[0].received().last().expect("a request").connection;
    supervisor.set_phases(&["stopping", "ready"]);
    let line = proxy.line_with(DRAINED);
    assert!(line.contains("backend-0.sock") && line.contains("\"state\":\"stopping\""), "{line}");
    until_used(&proxy, &backends, &[false, true]);
    supervisor.set_phases(&["stopped", "ready"]);
    proxy.signal(rustix::process::Signal::HUP);
    proxy.line_with("reloaded");
    assert_eq!(used(&proxy, &backends), [false, true]);
    supervisor.set_phases(&["ready", "ready"]);
    assert!(proxy.line_with(BACK).contains("backend-0.sock"));
    until_used(&proxy, &backends, &[true, true]);
    // What was kept for it was closed.
    let received = backends[0].received();
    assert!(received.iter().skip_while(|one| one.connection <= kept).count() > 0);
}

#[test]
fn the_metrics_say_which_one_is_drained() {
    let setup = Setup::new().with_admin();
    let (proxy, _backends, _supervisor) = started(setup, &["ready", "backoff"]);
    proxy.line_with(DRAINED);
    eventually("a worker follows", || {
        let text = proxy.metrics();
        let of = |number: u8, value: u8| {
            text.lines().any(|line| {
                line.starts_with("santa_proxy_upstream_drained{")
                    && line.ends_with(&format!("/backend-{number}.sock\"}} {value}"))
            })
        };
        of(0, 0) && of(1, 1)
    });
}

#[test]
fn open_requests_of_a_drained_instance_are_finished() {
    let (proxy, backends, supervisor) = started(Setup::new(), &["ready", "ready"]);
    backends[0].always(Act::HandOver);
    let mut clients = hold_until(&proxy, &backends, 0);
    supervisor.set_phases(&["stopping", "ready"]);
    proxy.line_with(DRAINED);
    backends[0].handed_over().write_all(LAST).expect("write");
    let last = clients.last_mut().expect("the request in progress");
    assert_eq!(last.response(false).text(), "done");
}

#[test]
fn when_no_instance_is_ready_all_are_tried() {
    let (proxy, backends, _supervisor) = started(Setup::new(), &["starting", "backoff"]);
    proxy.line_with(DRAINED);
    assert_eq!(used(&proxy, &backends), [true, true]);
}

#[test]
fn without_states_all_instances_are_tried() {
    for fault in ["stopped", "silent", "garbage"] {
        let (proxy, backends, supervisor) = started(Setup::new(), &["stopping", "ready"]);
        proxy.line_with(DRAINED);
        until_used(&proxy, &backends, &[false, true]);
        match fault {
            "stopped" => supervisor.stop(),
            "silent" => supervisor.fall_silent(),
            _ => supervisor.say_text("{\"services\":7}\n"),
        }
        proxy.line_with(BACK);
        until_used(&proxy, &backends, &[true, true]);
    }
}
