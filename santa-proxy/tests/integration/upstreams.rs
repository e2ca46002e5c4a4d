//! Backends that restart, die, stream or are slow.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::backend::{Act, Backend, ok};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::proxy::{Proxy, Setup};

fn start() -> (Proxy, Backend) {
    let setup = Setup::new();
    let backend = Backend::start(&setup.socket());
    (setup.start(), backend)
}

const GET: &str = "GET /api/x HTTP/1.1\r\nHost: santa\r\n\r\n";
const POST: &str = "POST /api/x HTTP/1.1\r\nHost: santa\r\nContent-Length: 2\r\n\r\nhi";

#[test]
fn connections_to_the_backend_are_reused() {
    let (proxy, backend) = start();
    let mut client = Client::connect(proxy.address);
    for _ in 0..10 {
        assert_eq!(client.get("/api/x").status, 200);
    }
    assert_eq!((backend.connections(), backend.received().len()), (1, 10));
}

#[test]
fn an_idle_connection_that_the_backend_closed_fails_no_request() {
    let (proxy, backend) = start();
    let mut client = Client::connect(proxy.address);
    for round in 0..20 {
        let response = if round % 2 == 0 { client.get("/api/x") } else { client.request(POST) };
        assert_eq!(response.status, 200, "round {round}");
        backend.close_all();
    }
    assert_eq!(backend.received().len(), 20);
}

/// What ended the backend may be the request, whichever connection it came on: it does
/// not get the chance to end the next one.
#[test]
fn a_request_that_was_read_is_not_retried() {
    let (proxy, backend) = start();
    backend.script(|received| match received.head.contains("/api/fatal") {
        true => Act::Close,
        false => Act::Respond(ok("ok")),
    });
    let with = |method: &str| format!("{method} /api/fatal HTTP/1.1\r\nHost: santa\r\n\r\n");
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST"] {
        for kept in [false, true] {
            backend.close_all();
            let mut client = Client::connect(proxy.address);
            if kept {
                assert_eq!(client.get("/api/harmless").status, 200);
            }
            backend.take_bytes();
            assert_eq!(client.request(&with(method)).status, 502, "{method}");
            assert_eq!(backend.received().len(), 1, "{method}, on a kept connection: {kept}");
            assert_eq!(client.get("/health").status, 200, "the client's connection stays of use");
        }
    }
}

/// Waits for a request and closes with it unread, as a stopping server does.
fn leave_unread(listener: &UnixListener) {
    let (unread, _) = listener.accept().expect("accept");
    rustix::net::recv(&unread, &mut [0; 1], rustix::net::RecvFlags::PEEK).expect("peek");
}

#[test]
fn a_request_that_was_certainly_not_read_is_retried() {
    let setup = Setup::new();
    let listener = UnixListener::bind(setup.socket()).expect("bind");
    let proxy = setup.start();
    for (request, end) in [(POST, "\r\n\r\nhi"), (GET, "\r\n\r\n")] {
        let mut client = Client::connect(proxy.address);
        client.send(request);
        leave_unread(&listener);
        let (mut stream, _) = listener.accept().expect("accept");
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).expect("read");
        assert!(piece[..count].ends_with(end.as_bytes()));
        stream.write_all(&ok("once")).expect("write");
        assert_eq!(client.response(false).text(), "once");
    }
}

#[test]
fn the_second_attempt_is_the_last() {
    let setup = Setup::new();
    let listener = UnixListener::bind(setup.socket()).expect("bind");
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    client.send(GET);
    leave_unread(&listener);
    leave_unread(&listener);
    assert_eq!(client.response(false).status, 502);
}

#[test]
fn a_request_waits_for_a_backend_that_restarts() {
    let setup = Setup::new();
    let socket = setup.socket();
    let backend = Backend::start(&socket);
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/api/x").status, 200);
    backend.stop();
    client.send(POST);
    let mut other = Client::connect(proxy.address);
    assert_eq!(other.get("/health").status, 200, "others are served meanwhile");
    let backend = Backend::start(&socket);
    assert_eq!(client.response(false).status, 200);
    assert_eq!(backend.received().len(), 1);
    assert_eq!(backend.received()[0].body, b"hi");
}

#[test]
fn an_unavailable_backend_is_503_with_problem_details() {
    let proxy = Setup::new().set("PROXY__TIMEOUTS__CONNECT", "100ms").start();
    let mut client = Client::connect(proxy.address);
    let response = client.get("/api/x");
    assert_eq!(response.status, 503);
    assert_eq!(response.field("retry-after"), Some("1"));
    assert_eq!(response.field("content-type"), Some("application/problem+json"));
    assert!(response.text().contains("\"status\":503"), "{}", response.text());
    let line = proxy.line_with("cannot connect to the backend");
    assert!(line.contains("backend.sock") && line.contains("\"level\":\"error\""), "{line}");
    assert_eq!(client.get("/file.txt").status, 200, "the console goes on");
}

#[test]
fn a_silent_backend_is_504() {
    let setup = Setup::new().set("PROXY__TIMEOUTS__RESPONSE", "100ms");
    let backend = Backend::start(&setup.socket());
    backend.always(Act::NoResponse);
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/api/x").status, 504);
    assert_eq!(client.get("/health").status, 200);
}

#[test]
fn an_incomplete_response_is_incomplete_for_the_client_too() {
    let (proxy, backend) = start();
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nonly this",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n",
    ] {
        backend.always(Act::RespondAndClose(response.into()));
        let mut client = Client::connect(proxy.address);
        client.send("GET /api/x HTTP/1.1\r\nHost: santa\r\n\r\n");
        let rest = String::from_utf8(client.rest()).expect("text");
        assert!(!rest.contains("\r\n0\r\n"), "no proper end in {rest}");
        assert!(!rest.contains("HTTP/1.1 502"), "no second response in {rest}");
    }
}

const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";

/// A server that is killed between its head and its content.
#[test]
fn an_incomplete_short_response_is_502_without_a_retry() {
    let (proxy, backend) = start();
    backend.always(Act::RespondAndClose(HALF.into()));
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/api/x").status, 502);
    assert_eq!(client.request(POST).status, 502);
    assert_eq!(backend.received().len(), 2);
    assert_eq!(client.get("/health").status, 200, "the connection stays of use");
    proxy.line_with("its content is incomplete");
}

#[test]
fn an_incomplete_short_response_and_silence_is_504() {
    let setup = Setup::new().set("PROXY__TIMEOUTS__RESPONSE", "200ms");
    let backend = Backend::start(&setup.socket());
    backend.always(Act::Respond(HALF.into()));
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/api/x").status, 504);
    assert_eq!(client.get("/health").status, 200);
}

#[test]
fn a_short_response_in_pieces_arrives_whole() {
    let (proxy, backend) = start();
    backend.always(Act::HandOver);
    let mut client = Client::connect(proxy.address);
    client.send("GET /api/x HTTP/1.1\r\nHost: santa\r\n\r\n");
    let mut server = backend.handed_over();
    let body = "0123456789".repeat(3276);
    server
        .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes())
        .expect("write");
    for piece in body.as_bytes().chunks(999) {
        server.write_all(piece).expect("write");
        std::thread::yield_now();
    }
    assert!(client.response(false).text() == body);
    assert_eq!(client.get("/health").status, 200);
}

#[test]
fn events_arrive_when_they_are_sent() {
    let (proxy, backend) = start();
    backend.always(Act::HandOver);
    let mut client = Client::connect(proxy.address);
    client.send("GET /api/stream HTTP/1.1\r\nHost: santa\r\nAccept: text/event-stream\r\n\r\n");
    let mut server = backend.handed_over();
    server
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        .expect("write");
    assert_eq!(client.head().status, 200);
    for number in 0..5 {
        // The next event is sent only after the one before has arrived.
        server.write_all(format!("8\r\ndata: {number}\n\r\n").as_bytes()).expect("write");
        assert_eq!(client.take(13), format!("8\r\ndata: {number}\n\r\n").as_bytes());
    }
    server.write_all(b"0\r\n\r\n").expect("write");
    assert_eq!(client.take(5), b"0\r\n\r\n");
    assert_eq!(client.get("/health").status, 200);
}

#[test]
fn uploads_are_streamed_while_they_arrive() {
    let (proxy, backend) = start();
    backend.always(Act::Respond(ok("done")));
    let mut client = Client::connect(proxy.address);
    let body = vec![b'x'; 4_000_000];
    client.send(format!(
        "POST /api/x HTTP/1.1\r\nHost: santa\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    for piece in body.chunks(100_000) {
        client.send(piece);
    }
    assert_eq!(client.response(false).text(), "done");
    assert_eq!(backend.received()[0].body.len(), body.len());
    assert_eq!(client.get("/health").status, 200);
}

#[test]
fn large_responses_arrive_whole_however_slowly_they_are_read() {
    let (proxy, backend) = start();
    let body: String =
        (0..3_000_000).map(|number| char::from(b'a' + (number % 26) as u8)).collect();
    backend.always(Act::Respond(ok(&body)));
    let mut client = Client::connect(proxy.address);
    client.send("GET /api/x HTTP/1.1\r\nHost: santa\r\n\r\n");
    eventually("the response has begun", || !backend.received().is_empty());
    let response = client.response(false);
    assert!(response.text() == body);
}

#[test]
fn an_early_error_reaches_a_client_that_is_still_sending() {
    let (proxy, backend) = start();
    backend.always(Act::HandOver);
    let mut client = Client::connect(proxy.address);
    client.send("POST /api/x HTTP/1.1\r\nHost: santa\r\nContent-Length: 9000000\r\nTransfer-Encoding: \r\n\r\n");
    assert_eq!(client.response(false).status, 400);
    let mut client = Client::connect(proxy.address);
    client.send(
        "POST /api/x HTTP/1.1\r\nHost: santa\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    );
    // The test backend reads a whole request first, so it sends 100, and the client goes on.
    assert_eq!(client.head().status, 100);
    client.send("abc");
    let mut server = backend.handed_over();
    server.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").expect("write");
    assert_eq!(client.response(false).status, 403);
}

/// Many clients look for a response only when all content is sent: it waits for them.
#[test]
fn an_error_reaches_clients_that_send_all_their_content_first() {
    for (length, status) in [(2_000_000, 413), (15_000_000, 401), (16_777_216, 429)] {
        let setup = Setup::new();
        let listener = UnixListener::bind(setup.socket()).expect("bind");
        let proxy = setup.start();
        let refusing = std::thread::spawn(move || {
            let (mut server, _) = listener.accept().expect("accept");
            let _ = server.read(&mut [0; 1024]).expect("the head");
            write!(
                server,
                "HTTP/1.1 {status} No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
            )
            .expect("write");
        });
        let mut client = Client::connect(proxy.address);
        let head =
            format!("POST /api/x HTTP/1.1\r\nHost: santa\r\nContent-Length: {length}\r\n\r\n");
        client.stream.write_all(head.as_bytes()).expect("sent");
        client.stream.write_all(&vec![b'['; length]).expect("all of it is sent");
        assert_eq!(client.response(false).status, status, "{length} bytes");
        refusing.join().expect("the backend");
    }
    let (proxy, _backend) = start();
    for length in [16_777_217, 40_000_000] {
        let mut client = Client::connect(proxy.address);
        let head =
            format!("POST /api/x HTTP/1.1\r\nHost: santa\r\nContent-Length: {length}\r\n\r\n");
        client.stream.write_all(head.as_bytes()).expect("sent");
        client.stream.write_all(&vec![b'['; length]).expect("all of it is sent");
        assert_eq!(client.response(false).status, 413, "{length} bytes are too many");
    }
}

#[test]
fn a_backend_that_never_sends_100_gets_the_content() {
    let setup = Setup::new();
    let listener = UnixListener::bind(setup.socket()).expect("bind");
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    client.send(
        "POST /api/x HTTP/1.1\r\nHost: santa\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    );
    let (mut server, _) = listener.accept().expect("accept");
    assert_eq!(client.head().status, 100);
    client.send("abc");
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\nabc") {
        let mut piece = [0; 1024];
        let count = server.read(&mut piece).expect("read");
        assert!(count > 0);
        bytes.extend_from_slice(&piece[..count]);
    }
    server.write_all(&ok("done")).expect("write");
    assert_eq!(client.response(false).text(), "done");
}

#[test]
fn requested_content_that_does_not_arrive_is_408() {
    let setup = Setup::new().set("PROXY__TIMEOUTS__BODY", "1s");
    let listener = UnixListener::bind(setup.socket()).expect("bind");
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    client.send(
        "POST /api/x HTTP/1.1\r\nHost: santa\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    );
    let (_silent, _) = listener.accept().expect("accept");
    assert_eq!(client.head().status, 100);
    assert_eq!(client.response(false).status, 408);
}

#[test]
fn trailers_pass_to_a_client_that_takes_them() {
    let (proxy, backend) = start();
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 2\r\nSet-Cookie: evil\r\n\r\n";
    backend.always(Act::Respond(chunked.into()));
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/api/x").trailer, "");
    let response = client.request("GET /api/x HTTP/1.1\r\nHost: santa\r\nTE: trailers\r\n\r\n");
    assert_eq!(response.trailer, "X-Sum: 2\r\n");
}

#[test]
fn a_full_backlog_is_retried() {
    // A backlog of one; connections are accepted only after all clients have sent a request.
    let setup = Setup::new();
    let socket = setup.socket();
    let listener = {
        use rustix::net::{
            AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket as make,
        };
        let made = make(AddressFamily::UNIX, SocketType::STREAM, None).expect("socket");
        bind(&made, &SocketAddrUnix::new(&socket).expect("path")).expect("bind");
        listen(&made, 1).expect("listen");
        UnixListener::from(made)
    };
    let proxy = setup.start();
    let mut clients: Vec<Client> = (0..12).map(|_| Client::connect(proxy.address)).collect();
    for client in &mut clients {
        client.send("GET /api/x HTTP/1.1\r\nHost: santa\r\nConnection: close\r\n\r\n");
    }
    let served = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&served);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut piece = [0; 4096];
            let _ = stream.read(&mut piece);
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    for client in &mut clients {
        assert_eq!(client.response(false).status, 200);
    }
    assert_eq!(served.load(Ordering::SeqCst), 12);
}

#[test]
fn readiness_is_queried_from_the_backend() {
    let (proxy, backend) = start();
    let mut client = Client::connect(proxy.address);
    let good = r#"{"status":"ready","checks":{"backend":"ok","database":"ok","migrations":"ok"}}"#;
    backend.always(Act::Respond(ok(good)));
    for path in ["/health/ready", "/health/detailed"] {
        let response = client.get(path);
        assert_eq!(response.status, 200);
        assert!(
            response.text().contains(r#""checks":{"proxy":"ok","backend":"ok""#),
            "{}",
            response.text()
        );
    }
    let bad = good.replace(r#""database":"ok""#, r#""database":"failed""#);
    let response =
        format!("HTTP/1.1 503 Service Unavailable\r\nContent-Length: {}\r\n\r\n{bad}", bad.len());
    backend.always(Act::Respond(response.into()));
    let response = client.get("/health/ready");
    assert_eq!(response.status, 503);
    assert!(response.text().contains(r#""database":"failed""#));
}

#[test]
fn a_silent_backend_is_not_ready() {
    let setup = Setup::new().set("PROXY__TIMEOUTS__READY", "100ms");
    let backend = Backend::start(&setup.socket());
    backend.always(Act::NoResponse);
    let proxy = setup.start();
    let response = Client::connect(proxy.address).get("/health/ready");
    assert_eq!(response.status, 503);
    assert!(response.text().contains(r#""backend":"failed""#), "{}", response.text());
}

#[test]
fn a_trace_continues_at_the_backend() {
    let setup = Setup::new();
    let backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\
        tracestate: vendor=value, other=1\r\ntracestate: third=2\r\n";
    let request = format!("GET /api/x HTTP/1.1\r\nHost: santa\r\n{trace}\r\n");
    assert_eq!(Client::connect(proxy.address).request(&request).status, 200);
    assert!(backend.received()[0].head.contains(trace));
}
