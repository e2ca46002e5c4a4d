use super::super::scan::{Found, Scan};
use super::*;
use proptest::prelude::*;

const LIMITS: HeadLimits = HeadLimits { head: 2048, target: 256, fields: 20 };

fn parse(text: &[u8]) -> Result<(String, String, RequestBody), u16> {
    let found = Scan::default().advance(text, &LIMITS.scan_rules());
    match found.map_err(|error| scan_reject(error).status)? {
        Found::More(_) => Err(0),
        Found::Head(span) => {
            let request = Request::parse(text, &span, &LIMITS).map_err(|reject| reject.status)?;
            let host = request.host.unwrap_or_default();
            let path = String::from_utf8_lossy(request.target.path).into_owned();
            Ok((path, String::from_utf8_lossy(host).into_owned(), request.body))
        }
    }
}

fn status(text: &str) -> u16 {
    parse(text.as_bytes()).err().unwrap_or(200)
}

#[test]
fn heads_are_taken_or_refused() {
    let cases = [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        ("\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        ("GET / HTTP/1.0\r\n\r\n", 200),
        ("GET / HTTP/1.2\r\nHost: x\r\n\r\n", 200),
        ("M-SEARCH / HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        ("GET http://a:80/p?q HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        ("GET /\r\nHost: x\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400),
        ("GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("G(T / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET / http/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/01.1\r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        ("GET / HTTP/0.9\r\nHost: x\r\n\r\n", 505),
        ("GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET http:///p HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET http://u@a/p HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET /#f HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET /\u{e9} HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET /<x> HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nHost: x\r\nExpect: magic\r\n\r\n", 417),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ];
    for (text, expected) in cases {
        assert_eq!(status(text), expected, "{text:?}");
    }
}

#[test]
fn length_limits_choose_the_status() {
    let target = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(300));
    assert_eq!(status(&target), 414);
    let endless = "A".repeat(400);
    assert_eq!(status(&endless), 414);
    let field = format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "a".repeat(2100));
    assert_eq!(status(&field), 431);
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(20));
    assert_eq!(status(&many), 431);
}

#[test]
fn an_absolute_target_outranks_host() {
    let cases = [
        ("http://a:8080/p?q", "/p", "a:8080"),
        ("HTTP://a/", "/", "a"),
        ("https://a", "/", "a"),
        ("http://a?q", "/", "a"),
    ];
    for (target, path, host) in cases {
        let text = format!("GET {target} HTTP/1.1\r\nHost: other\r\n\r\n");
        let expected = Ok((path.to_owned(), host.to_owned(), RequestBody::None));
        assert_eq!(parse(text.as_bytes()), expected, "{target}");
    }
}

#[test]
fn connections_stay_open_as_the_version_says() {
    let keeps = |text: &str| {
        let Ok(Found::Head(span)) = Scan::default().advance(text.as_bytes(), &LIMITS.scan_rules())
        else {
            panic!("no head")
        };
        Request::parse(text.as_bytes(), &span, &LIMITS).expect("valid").keeps_alive()
    };
    assert!(keeps("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert!(!keeps("GET / HTTP/1.1\r\nHost: x\r\nConnection: a, CLOSE\r\n\r\n"));
    assert!(!keeps("GET / HTTP/1.0\r\nHost: x\r\n\r\n"));
    assert!(keeps("GET / HTTP/1.0\r\nHost: x\r\nConnection: Keep-Alive\r\n\r\n"));
    assert!(!keeps("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"));
}

proptest! {
    #[test]
    fn any_bytes_are_decided(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn mutated_heads_are_decided(at in 0usize..80, byte in any::<u8>()) {
        let mut head =
            b"POST /api/x?y=z HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nAccept: */*\r\n\r\n".to_vec();
        let at = at % head.len();
        head[at] = byte;
        if let Ok((path, _, _)) = parse(&head) {
            prop_assert!(path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic()));
        }
    }
}
