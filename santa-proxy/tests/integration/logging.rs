//! The access log: complete, on time, and never in the way.

use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::proxy::{SECRET, Setup, field};

#[test]
fn every_request_has_one_line_with_all_fields() {
    let setup = Setup::new();
    let _backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    let response = client
        .request("GET /api/v1/x?secret=1 HTTP/1.1\r\nHost: santa\r\nUser-Agent: a\"b\r\n\r\n");
    assert_eq!(client.get("/health").status, 200);
    assert_eq!(client.get("/missing.txt").status, 404);
    let line = proxy.line_with("/api/v1/x");
    for part in [
        "\"level\":\"info\"",
        "\"service\":\"proxy\"",
        "\"logger\":\"access\"",
        "\"remote\":\"127.0.0.1\"",
        "\"method\":\"GET\"",
        "\"path\":\"/api/v1/x\"",
        "\"status\":200",
        "\"bytes\":2",
        "\"duration_ms\":",
        "\"upstream_ms\":",
        "\"user_agent\":\"a\\\"b\"",
        "\"protocol\":\"HTTP/1.1\"",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert_eq!(Some(field(&line, "request_id").as_str()), response.field("x-request-id"));
    proxy.line_with("\"status\":404");
    let lines = proxy.lines().join("\n");
    assert!(!lines.contains("secret") && !lines.contains("/health"), "{lines}");
}

#[test]
fn rejected_requests_are_logged_too() {
    let proxy = Setup::new().start();
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.request("GET /\r\n\r\n").status, 400);
    proxy.line_with("\"status\":400");
}

#[test]
fn identifiers_come_from_trusted_proxies_only() {
    let request = "GET /api/x HTTP/1.1\r\nHost: santa\r\nX-Request-Id: theirs\r\n\
        X-Forwarded-For: 203.0.113.9\r\n\r\n";
    for (trusted, own) in [("10.0.0.0/8", false), ("127.0.0.1", true)] {
        let setup = Setup::new().set("PROXY__TRUSTED_PROXIES", trusted);
        let backend = Backend::start(&setup.socket());
        let proxy = setup.start();
        let response = Client::connect(proxy.address).request(request);
        assert_eq!(response.field("x-request-id") == Some("theirs"), own);
        let head = backend.received()[0].head.clone();
        assert_eq!(head.contains("X-Request-Id: theirs"), own);
        assert_eq!(head.contains("X-Forwarded-For: 203.0.113.9, 127.0.0.1\r\n"), own);
        let line = proxy.line_with("/api/x");
        assert_eq!(line.contains("\"remote\":\"203.0.113.9\""), own);
    }
}

/// Requests whose paths hold an enrollment secret, and the status of each response.
const UNUSUAL: [(u16, &str, &str); 22] = [
    (200, "POST", "/api/santa/e/s3cret/preflight/A"),
    (400, "POST", "/api/santa/e/s3cret/preflight/DOM%5Chost"),
    (400, "POST", "/api/santa/e/s3cret/preflight/%ff"),
    (400, "GET", "/api/santa/e/s3cret/preflight/%00"),
    (400, "GET", "/api/santa/e/s3cret/../x"),
    (404, "GET", "//api/santa/e/s3cret/preflight/A"),
    (200, "GET", "/api//santa/e/s3cret/preflight/A"),
    (200, "GET", "/api/santa/e//s3cret/preflight/A"),
    (200, "GET", "/api/santa/E/s3cret/preflight/A"),
    (200, "GET", "/api/santa/%65/s3cret/preflight/A"),
    (200, "GET", "/api/santa/%2565/s3cret/preflight/A"),
    (200, "GET", "/api/santa/e%252Fs3cret/preflight/A"),
    (200, "GET", "/api/santa/e;v=1/s3cret/preflight"),
    (200, "GET", "/api/santa/e;s3cret/preflight"),
    (200, "GET", "/api/santa/e%20/s3cret/x"),
    (200, "GET", "/api/santa/e/e/s3cret"),
    (404, "GET", "/santa/e/s3cret/preflight/A"),
    (404, "GET", "/health/e/s3cret"),
    (404, "GET", "/Zk3vXo0n2Tq9LhJ5w-s3cret-8RbA_c.txt"),
    (405, "TRACE", "/api/santa/e/s3cret/preflight/A"),
    (501, "BREW", "/api/santa/e/s3cret/preflight/A"),
    (421, "GET", "https://santa/api/santa/e/s3cret/preflight/A"),
];

#[test]
fn secrets_in_paths_stay_out_of_the_log() {
    let setup = Setup::new();
    let _backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    for (status, method, target) in UNUSUAL {
        // No secret may be logged from the query string or from the fields either.
        let response = Client::connect(proxy.address).request(&format!(
            "{method} {target}?token=s3cret HTTP/1.1\r\nHost: santa\r\n\
             User-Agent: Zk3vXo0n2Tq9LhJ5w-s3cret-8RbA_c\r\nReferer: http://santa/e/s3cret\r\n\
             Connection: close\r\nContent-Length: 0\r\n\r\n"
        ));
        assert_eq!(response.status, status, "{method} {target}");
    }
    let logged = || proxy.lines().iter().filter(|line| line.contains("\"access\"")).count();
    eventually("all are logged", || logged() == UNUSUAL.len());
    let lines = proxy.lines().join("\n");
    assert!(!lines.contains(SECRET), "{lines}");
    assert!(lines.contains("\"path\":\"/api/santa/e/***/preflight/A\""), "{lines}");
    // The reason of the refusal is logged, the path is not.
    assert!(lines.contains("\"reason\":\"control character or backslash in the path\""), "{lines}");
}

#[test]
fn rate_limited_requests_keep_secrets_out_of_the_log_as_well() {
    let setup = Setup::new().set("PROXY__LIMITS__REQUESTS_PER_ADDRESS", "1");
    let _backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    let get = "GET /api/santa/e/s3cret/preflight/A HTTP/1.1\r\nHost: santa\r\n\r\n";
    client.send(get.repeat(20));
    let refused = (0..20).filter(|_| client.response(false).status == 429).count();
    assert!(refused > 0);
    proxy.line_with("\"status\":429");
    // What is seen of it is checked when the proxy is dropped.
    proxy.signal(rustix::process::Signal::TERM);
    proxy.line_with("stopped");
}

#[test]
fn a_stalled_reader_of_the_log_blocks_no_request() {
    let proxy = Setup::new().with_stalled_log().start();
    let mut client = Client::connect(proxy.address);
    let agent = "x".repeat(8000);
    let request = format!("GET /file.txt HTTP/1.1\r\nHost: santa\r\nUser-Agent: {agent}\r\n\r\n");
    // Far more than a pipe and the queue hold together.
    for _ in 0..3_000 {
        assert_eq!(client.request(&request).status, 200);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_the_log_blocks_no_request() {
    // Every write to it fails as one to a full disk does.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a full disk");
    // The address of its listener cannot be read from the log.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let setup = Setup::new().inheriting(&listener);
    let mut child = setup.command().stdout(full).spawn().expect("the proxy starts");
    let mut client = Client::connect(address);
    for _ in 0..500 {
        assert_eq!(client.get("/file.txt").status, 200);
    }
    assert!(child.try_wait().expect("wait").is_none(), "it goes on");
    child.kill().expect("killed");
    child.wait().expect("ended");
}

#[test]
fn skipped_paths_are_not_logged() {
    let proxy = Setup::new()
        .set("PROXY__ACCESS__SKIP", "/health/ready, /café.txt")
        .set("PROXY__TIMEOUTS__READY", "50ms")
        .start();
    let mut client = Client::connect(proxy.address);
    let paths = ["/health/ready?full", "/caf%C3%A9.txt", "/health/readyx", "/file.txt"];
    for path in paths {
        client.get(path);
    }
    proxy.signal(rustix::process::Signal::TERM);
    proxy.line_with("stopped");
    let lines = proxy.lines();
    let logged = |path: &str| {
        lines.iter().filter(|line| line.contains(&format!("\"path\":\"{path}\""))).count()
    };
    assert_eq!(logged("/health/ready"), 0);
    assert_eq!(logged("/café.txt"), 0);
    assert_eq!((logged("/health/readyx"), logged("/file.txt")), (1, 1));
}

#[test]
fn the_access_log_can_be_switched_off() {
    let proxy = Setup::new().set("PROXY__ACCESS__LOG", "false").start();
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/file.txt").status, 200);
    proxy.signal(rustix::process::Signal::TERM);
    proxy.line_with("stopped");
    assert!(!proxy.lines().join("\n").contains("/file.txt"));
}
