//! Several instances of the backend: who gets the next request, and what
//! happens while one of them is away.

use std::io::Write;
use std::os::unix::net::UnixListener;

use crate::support::backend::{Act, Backend, ok};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::proxy::{Proxy, Setup};

/// The backend reads no further requests from a connection that it handed over.
pub(crate) const LAST: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ndone";

const GET: &str = "GET /api/x HTTP/1.1\r\nHost: santa\r\n\r\n";

/// A proxy before `count` instances, each on its own socket.
pub(crate) fn start(count: usize, setup: Setup) -> (Proxy, Vec<Backend>) {
    let lines = "name = \"backend\"\ncommand = \"/nowhere\"\nsockets = [\"backend\"]\ninstances = ";
    // Services are a list: `[[service]]`.
    let setup = setup.section("[service]", &format!("{lines}{count}"));
    let directory = setup.directory.path().to_owned();
    let backends = (0..count)
        .map(|number| Backend::start(&directory.join(format!("backend-{number}.sock"))))
        .collect();
    (setup.start(), backends)
}

/// Sends a request on a connection of its own that some instance holds.
fn hold(proxy: &Proxy, backends: &[Backend]) -> (Client, usize) {
    let before: Vec<usize> = backends.iter().map(|b| b.received().len()).collect();
    let mut client = Client::connect(proxy.address);
    client.send(GET);
    let mut at = None;
    eventually("an instance gets the request", || {
        at = (0..backends.len()).find(|place| backends[*place].received().len() > before[*place]);
        at.is_some()
    });
    (client, at.expect("an instance"))
}

/// Sends requests one after the other until this instance has one: the last.
pub(crate) fn hold_until(proxy: &Proxy, backends: &[Backend], place: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    loop {
        let (client, at) = hold(proxy, backends);
        clients.push(client);
        if at == place {
            return clients;
        }
    }
}

#[test]
fn requests_go_to_the_instance_with_the_fewest() {
    let (proxy, backends) = start(3, Setup::new());
    for backend in &backends {
        backend.always(Act::HandOver);
    }
    let mut held = Vec::new();
    let mut counts = [0; 3];
    for _ in 0..6 {
        let (client, at) = hold(&proxy, &backends);
        counts[at] += 1;
        held.push((client, at));
    }
    assert_eq!(counts, [2, 2, 2]);
    // The second is free again; the next two go there.
    for _ in 0..2 {
        let mut server = backends[1].handed_over();
        let place = held.iter().rposition(|(_, at)| *at == 1).expect("held");
        server.write_all(LAST).expect("write");
        // The connection handed over last gets its response first, so the request comes last.
        assert_eq!(held.remove(place).0.response(false).text(), "done");
    }
    let next = [hold(&proxy, &backends), hold(&proxy, &backends)];
    assert_eq!(next.map(|(_, at)| at), [1, 1]);
}

#[test]
fn an_unavailable_instance_is_skipped_and_used_again_later() {
    let setup = Setup::new().with_admin();
    let (proxy, mut backends) = start(2, setup);
    let mut client = Client::connect(proxy.address);
    for _ in 0..4 {
        assert_eq!(client.get("/api/x").status, 200);
    }
    assert!(backends.iter().all(|backend| !backend.received().is_empty()), "both are used");
    backends.remove(0).stop();
    let post = "POST /api/x HTTP/1.1\r\nHost: santa\r\nContent-Length: 2\r\n\r\nhi";
    for round in 0..20 {
        let response = if round % 2 == 0 { client.get("/api/x") } else { client.request(post) };
        assert_eq!(response.status, 200, "round {round}");
    }
    let down = |value| {
        let text = proxy.metrics();
        text.lines().any(|line| {
            line.contains("upstream_down{")
                && line.contains("backend-0.sock")
                && line.ends_with(value)
        })
    };
    assert!(down("\"} 1"), "the metrics name the instance that is down");
    let back = Backend::start(&proxy.directory.path().join("backend-0.sock"));
    eventually("the instance is used again", || {
        assert_eq!(client.get("/api/x").status, 200);
        !back.received().is_empty()
    });
}

#[test]
fn a_stopping_instance_finishes_its_requests_and_others_get_the_rest() {
    let (proxy, backends) = start(2, Setup::new());
    backends[0].always(Act::HandOver);
    backends[1].always(Act::Respond(ok("other")));
    let mut clients = hold_until(&proxy, &backends, 0);
    let mut server = backends[0].handed_over();
    // It no longer listens, as a server that stops; the request goes on.
    std::fs::remove_file(proxy.directory.path().join("backend-0.sock")).expect("socket file");
    for _ in 0..10 {
        assert_eq!(Client::connect(proxy.address).get("/api/x").text(), "other");
    }
    server.write_all(LAST).expect("write");
    let last = clients.last_mut().expect("the request in progress");
    assert_eq!(last.response(false).text(), "done");
}

#[test]
fn a_request_that_kills_an_instance_is_not_retried_on_another() {
    let (proxy, backends) = start(3, Setup::new());
    for backend in &backends {
        backend.script(|received| match received.head.contains("/api/fatal") {
            true => Act::Close,
            false => Act::Respond(ok("ok")),
        });
    }
    let mut client = Client::connect(proxy.address);
    let fatal = || {
        let heads = backends.iter().flat_map(Backend::received);
        heads.filter(|received| received.head.contains("/api/fatal")).count()
    };
    for round in 1..=6 {
        // Those that other requests came on are used for it first.
        for _ in 0..round {
            assert_eq!(client.get("/api/x").status, 200);
        }
        assert_eq!(client.get("/api/fatal").status, 502);
        assert_eq!(fatal(), round);
    }
}

#[test]
fn a_request_that_one_instance_leaves_unread_goes_to_another() {
    let lines =
        "name = \"backend\"\ncommand = \"/nowhere\"\nsockets = [\"backend\"]\ninstances = 2";
    let setup = Setup::new().section("[service]", lines);
    let at = |number| setup.directory.path().join(format!("backend-{number}.sock"));
    let leaving = UnixListener::bind(at(0)).expect("bind");
    let other = Backend::start(&at(1));
    other.always(Act::HandOver);
    let proxy = setup.start();
    let mut busy = Client::connect(proxy.address);
    busy.send(GET);
    let taken = std::thread::spawn(move || {
        // Closes with the request unread, as a stopping server does.
        for stream in leaving.incoming().take(4) {
            let stream = stream.expect("accept");
            rustix::net::recv(&stream, &mut [0; 1], rustix::net::RecvFlags::PEEK).expect("peek");
        }
    });
    let _held = other.handed_over();
    other.always(Act::Respond(ok("other")));
    // Each is the first one's turn, which has less to do.
    for _ in 0..8 {
        assert_eq!(Client::connect(proxy.address).get("/api/x").text(), "other");
    }
    taken.join().expect("four requests were left unread");
}
