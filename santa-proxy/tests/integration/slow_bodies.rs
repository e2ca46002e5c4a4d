//! Bodies that arrive slowly, or never: only their sender has to wait.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};

use crate::http2::{client, run, session, start};
use crate::support::backend::{Act, Backend, ok};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::proxy::{Proxy, Setup};
use crate::support::tls::{Authority, Secure};
use crate::tls::{tls_address, with_tls};

/// What the backend is given at a time.
const MOST: usize = 4;

fn few_permits() -> Setup {
    Setup::new()
        .set("PROXY__TRUSTED_PROXIES", "127.0.0.0/8")
        .set("PROXY__LIMITS__UPSTREAM_REQUESTS", &MOST.to_string())
        .set("PROXY__TIMEOUTS__QUEUE", "1s")
}

fn post(from: &str, lines: &str, content: &str) -> String {
    format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: santa\r\nX-Forwarded-For: {from}\r\n{lines}\r\n\r\n{content}"
    )
}

fn get(from: &str) -> String {
    format!("GET /api/v1/auth/me HTTP/1.1\r\nHost: santa\r\nX-Forwarded-For: {from}\r\n\r\n")
}

/// Sends the same on many connections.
fn crowd(proxy: &Proxy, request: impl Fn(usize) -> String) -> Vec<Client> {
    let send = |number| {
        let mut client = Client::connect(proxy.address);
        client.send(request(number));
        client
    };
    let crowd = (0..4 * MOST).map(send).collect();
    // What is sent next is read next.
    assert_eq!(Client::connect(proxy.address).get("/health").status, 200);
    crowd
}

#[test]
fn incomplete_bodies_hold_no_permit() {
    let setup = few_permits();
    let backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let slow = [
        ("Content-Length: 1000", "{"),
        ("Content-Length: 1000", ""),
        ("Content-Length: 9000000", "{"),
        ("Transfer-Encoding: chunked", "3e8\r\n{"),
        ("Transfer-Encoding: chunked", "1\r\n{\r\n"),
        ("Transfer-Encoding: chunked", ""),
        ("Content-Length: 9\r\nUpgrade: websocket\r\nConnection: Upgrade", "{"),
    ];
    for (lines, content) in slow {
        for from in ["192.0.2.1", "2001:db8::1"] {
            let crowd = crowd(&proxy, |_| post(from, lines, content));
            for other in ["192.0.2.1", "192.0.2.2"] {
                let mut client = Client::connect(proxy.address);
                assert_eq!(client.request(&get(other)).status, 200, "beside {lines:?} {content:?}");
                let whole = post(other, "Content-Length: 2", "{}");
                assert_eq!(client.request(&whole).status, 200, "beside {lines:?} {content:?}");
            }
            drop(crowd);
        }
    }
    assert!(backend.received().iter().all(|received| !received.head.contains(": 1000")));
}

#[test]
fn requested_contents_that_do_not_arrive_leave_room_for_others() {
    let setup = few_permits();
    let _backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let expecting = "Content-Length: 1000\r\nExpect: 100-continue";
    let _crowd = crowd(&proxy, |number| post(&format!("192.0.2.{number}"), expecting, ""));
    assert_eq!(Client::connect(proxy.address).request(&get("198.51.100.1")).status, 200);
}

#[test]
fn large_incomplete_bodies_leave_room_for_complete_requests() {
    let setup = few_permits().set("PROXY__LIMITS__BODY_BUFFER", "1KiB");
    let backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let large = "x".repeat(5000);
    for lines in ["Content-Length: 9000000", "Transfer-Encoding: chunked"] {
        let content =
            if lines.starts_with('T') { format!("1388\r\n{large}\r\n") } else { large.clone() };
        let _crowd = crowd(&proxy, |number| post(&format!("192.0.2.{number}"), lines, &content));
        eventually("some of it has reached the backend", || backend.has_bytes());
        let mut client = Client::connect(proxy.address);
        assert_eq!(client.request(&get("198.51.100.1")).status, 200, "beside {lines:?}");
        let whole = post("198.51.100.1", "Content-Length: 2", "{}");
        assert_eq!(client.request(&whole).status, 200, "beside {lines:?}");
        backend.take_bytes();
    }
}

#[test]
fn one_address_or_network_never_takes_more_than_its_share_of_the_backend() {
    for network in [["192.0.2.1"; 4], ["2001:db8::1", "2001:db8::2", "2001:db8::3:4", "2001:db8::"]]
    {
        let setup = few_permits().set("PROXY__TIMEOUTS__QUEUE", "60s");
        let backend = Backend::start(&setup.socket());
        backend.script(|received| match received.head.contains("192.0.2.9") {
            true => Act::Respond(ok("ok")),
            false => Act::HandOver,
        });
        let proxy = setup.start();
        let _crowd = crowd(&proxy, |number| get(network[number % 4]));
        eventually("it has its share", || backend.received().len() >= MOST / 2);
        for _ in 0..5 {
            assert_eq!(Client::connect(proxy.address).request(&get("192.0.2.9")).status, 200);
        }
        assert_eq!(backend.received().len(), MOST / 2 + 5);
    }
}

#[test]
fn one_address_never_takes_more_than_its_share_of_the_queue() {
    let setup = few_permits()
        .set("PROXY__LIMITS__UPSTREAM_REQUESTS", "1")
        .set("PROXY__LIMITS__QUEUE", "4")
        .set("PROXY__TIMEOUTS__QUEUE", "60s");
    let backend = Backend::start(&setup.socket());
    let mut first = true;
    backend.script(move |_| match std::mem::take(&mut first) {
        true => Act::HandOver,
        false => Act::Respond(ok("ok")),
    });
    let proxy = setup.start();
    let mut crowd = crowd(&proxy, |_| get("192.0.2.1"));
    let mut first = backend.handed_over();
    let mut other = Client::connect(proxy.address);
    other.send(get("192.0.2.2"));
    // What is sent next is read next.
    assert_eq!(Client::connect(proxy.address).get("/health").status, 200);
    let last = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    first.write_all(last).expect("write");
    assert_eq!(other.response(false).status, 200);
    assert_eq!(crowd.pop().expect("one").response(false).status, 503);
}

/// A request of which `content` is the beginning.
pub(crate) async fn unfinished(
    client: &SendRequest<Bytes>,
    content: &'static [u8],
) -> (SendStream<Bytes>, ResponseFuture) {
    let mut ready = client.clone().ready().await.expect("room for a stream");
    let request = http::Request::post("https://santa.test/api/x").body(()).expect("a request");
    let (response, mut stream) = ready.send_request(request, false).expect("sent");
    stream.send_data(content.into(), false).expect("sent");
    (stream, response)
}

#[test]
fn http2_streams_with_unfinished_bodies_leave_the_backend_to_others() {
    let (authority, proxy, _backend) = start(few_permits());
    run(async {
        let client = client(&proxy, &authority).await;
        let mut streams = Vec::new();
        for _ in 0..4 * MOST {
            streams.push(unfinished(&client, b"{").await);
        }
        for _ in 0..3 {
            let mut ready = client.clone().ready().await.expect("room for a stream");
            let request = http::Request::get("https://santa.test/api/x").body(());
            let (response, _) = ready.send_request(request.expect("one"), true).expect("sent");
            assert_eq!(response.await.expect("a response").status(), 200);
        }
        // It is not too late for the others.
        let (mut stream, response) = streams.pop().expect("a stream");
        stream.send_data("}".into(), true).expect("sent");
        assert_eq!(response.await.expect("a response").status(), 200);
    });
}

/// Sends one byte after the other until a response comes; returns its status.
fn trickle(proxy: &Proxy, request: &str) -> u16 {
    let mut client = Client::connect(proxy.address);
    client.send(request);
    while !client.has_bytes() {
        client.send("1");
        std::thread::sleep(Duration::from_millis(20));
    }
    client.response(false).status
}

#[test]
fn a_body_that_trickles_is_408_however_it_is_framed_and_wherever_it_goes() {
    for (grace, total, rate, buffer) in [
        ("300ms", "10m", "1KiB", "64KiB"),
        ("300ms", "10m", "1KiB", "0B"),
        ("10m", "300ms", "1KiB", "64KiB"),
        ("300ms", "400ms", "0B", "0B"),
    ] {
        let setup = Setup::new()
            .set("PROXY__TIMEOUTS__BODY_GRACE", grace)
            .set("PROXY__TIMEOUTS__BODY_TOTAL", total)
            .set("PROXY__LIMITS__BODY_RATE", rate)
            .set("PROXY__LIMITS__BODY_BUFFER", buffer);
        let _backend = Backend::start(&setup.socket());
        let proxy = setup.start();
        for lines in ["Content-Length: 100000", "Transfer-Encoding: chunked"] {
            let start = if lines.starts_with('T') { "fffff\r\n" } else { "" };
            let status = trickle(&proxy, &post("192.0.2.1", lines, start));
            assert_eq!(status, 408, "{lines} {grace} {total} {rate} {buffer}");
        }
    }
}

#[test]
fn a_body_that_is_steady_enough_is_taken() {
    let setup = Setup::new()
        .set("PROXY__TIMEOUTS__BODY_GRACE", "1ms")
        .set("PROXY__LIMITS__BODY_RATE", "1B");
    let backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    let content = "x".repeat(1000);
    client.send(post("192.0.2.1", "Content-Length: 5000", &content));
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(50));
        client.send(&content);
    }
    assert_eq!(client.response(false).status, 200);
    assert_eq!(backend.received()[0].body.len(), 5000);
}

#[test]
fn a_body_that_trickles_over_tls_or_http2_is_408() {
    let authority = Authority::new();
    let setup = with_tls(Setup::new(), &authority)
        .set("PROXY__TIMEOUTS__BODY_GRACE", "300ms")
        .set("PROXY__LIMITS__BODY_RATE", "1KiB");
    let _backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let mut secure = Secure::connect(tls_address(&proxy), &authority, None).expect("handshake");
    let (head, _) =
        secure.request(&post("192.0.2.1", "Content-Length: 1000", "{")).expect("a response");
    assert!(head.starts_with("http/1.1 408 "), "{head}");
    run(async {
        let client = client(&proxy, &authority).await;
        let (_stream, response) = unfinished(&client, b"{").await;
        assert_eq!(response.await.expect("a response").status(), 408);
    });
}

#[test]
fn skipped_content_may_not_trickle_either() {
    let proxy = Setup::new()
        .set("PROXY__TIMEOUTS__BODY_GRACE", "300ms")
        .set("PROXY__LIMITS__BODY_RATE", "1KiB")
        .start();
    let mut client = Client::connect(proxy.address);
    client.send("POST /file.txt HTTP/1.1\r\nHost: santa\r\nContent-Length: 60000\r\n\r\n");
    assert_eq!(client.response(false).status, 405);
    client.stream.set_read_timeout(Some(Duration::from_millis(20))).expect("timeout");
    eventually("it is closed", || {
        client.send("1");
        matches!(client.stream.peek(&mut [0]), Ok(0))
            || client.stream.take_error().is_ok_and(|error| error.is_some())
    });
}

#[test]
fn bodies_in_memory_have_a_common_bound_of_which_no_address_takes_more_than_its_share() {
    let setup = few_permits()
        .set("PROXY__LIMITS__BODY_MEMORY", "64KiB")
        .set("PROXY__LIMITS__BODY_BUFFER", "40KiB");
    let backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let part = "x".repeat(20_000);
    let lines = "Content-Length: 30000";
    let mut crowd = crowd(&proxy, |_| post("192.0.2.1", lines, &part));
    let refused = crowd.pop().expect("one").response(false);
    assert_eq!((refused.status, refused.field("retry-after")), (503, Some("1")));
    let mut other = Client::connect(proxy.address);
    other.send(post("192.0.2.2", lines, &part));
    for client in [&mut crowd[0], &mut other] {
        client.send(&part[..10_000]);
        assert_eq!(client.response(false).status, 200);
    }
    assert_eq!(backend.received().len(), 2);
}

#[test]
fn slow_bodies_make_room_when_the_table_is_full() {
    let setup = Setup::new()
        .with_admin()
        .set("PROXY__WORKERS", "1")
        .set("PROXY__LIMITS__CONNECTIONS", "10");
    let _backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let body_memory = || proxy.metric("santa_proxy_body_memory_bytes");
    let mut crowd: Vec<Client> = Vec::new();
    for _ in 0..10 {
        let (mut client, before) = (Client::connect(proxy.address), body_memory());
        client.send(post("192.0.2.1", "Content-Length: 1000", &"x".repeat(999)));
        eventually("its content is waited for", || body_memory() > before);
        crowd.push(client);
    }
    assert_eq!(Client::connect(proxy.address).get("/file.txt").status, 200);
    assert_eq!(crowd[0].response(false).status, 503, "it has been slow for longest");
    crowd[9].send("x");
    assert_eq!(crowd[9].response(false).status, 200, "it has not");
}

#[test]
fn requests_that_wait_and_bodies_are_counted() {
    let setup = Setup::new().with_admin();
    let _backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let metric = |name| proxy.metric(name);
    let mut client = Client::connect(proxy.address);
    client.send(post("192.0.2.1", "Content-Length: 1000", &"x".repeat(600)));
    eventually("its memory is counted", || metric("santa_proxy_body_memory_bytes") >= 600);
    client.send("x".repeat(400));
    assert_eq!(client.response(false).status, 200);
    eventually("and released", || metric("santa_proxy_body_memory_bytes") == 0);
}

#[test]
fn a_client_that_reads_byte_by_byte_is_disconnected() {
    let setup = Setup::new()
        .set("PROXY__TIMEOUTS__BODY_GRACE", "300ms")
        .set("PROXY__LIMITS__BODY_RATE", "1KiB");
    setup.file("large.bin", &"0123456789".repeat(20_000));
    let (authority, proxy, backend) = start(setup);
    backend.always(Act::Respond(ok(&"0123456789".repeat(20_000))));
    for path in ["/large.bin", "/api/large"] {
        run(async {
            let session = session(&proxy, &authority).await;
            let mut builder = h2::client::Builder::new();
            let handshake = builder.initial_window_size(1).handshake::<_, Bytes>(session);
            let (client, connection) = handshake.await.expect("HTTP/2");
            tokio::task::spawn_local(async { drop(connection.await) });
            let request = http::Request::get(format!("https://santa.test{path}")).body(());
            let mut client = client.ready().await.expect("room");
            let (response, _) = client.send_request(request.expect("one"), true).expect("sent");
            let mut content = response.await.expect("a head").into_body();
            let reason = loop {
                match content.data().await.expect("no end") {
                    Ok(piece) => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        content.flow_control().release_capacity(piece.len()).expect("room");
                    }
                    Err(error) => break error.reason(),
                }
            };
            assert_eq!(reason, Some(h2::Reason::ENHANCE_YOUR_CALM), "{path}");
        });
    }
}
