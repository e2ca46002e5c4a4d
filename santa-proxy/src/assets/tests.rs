use super::*;
use crate::http::request::HeadLimits;
use crate::http::scan::{Found, Scan};

const LIMITS: HeadLimits = HeadLimits { head: 4096, target: 1024, fields: 50 };
const NOW: u64 = 4_000_000_000;
const MOST: santa_config::Size = santa_config::Size(1 << 20);

fn site() -> (tempfile::TempDir, Site) {
    let root = tempfile::tempdir().expect("temporary directory");
    let write = |name: &str, content: &str| {
        let path = root.path().join(name);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        std::fs::write(path, content).expect("file");
    };
    write("index.html", "<!doctype html><title>console</title>");
    write("_app/immutable/a.js", "0123456789abcdefghij");
    write("_app/immutable/a.js.gz", "gzipped");
    write("_app/immutable/a.js.br", "brotli");
    write("robots.txt", "User-agent: *");
    write(".env", "secret");
    write(".well-known/security.txt", "Contact: x");
    write("docs/index.html", "docs");
    let site = Site::load(root.path(), MOST).expect("loads");
    (root, site)
}

fn ask(site: &Site, text: &str) -> (u16, String, Vec<u8>) {
    let text = format!("{text}\r\nHost: x\r\n\r\n");
    ask_raw(site, &text)
}

fn ask_raw(site: &Site, text: &str) -> (u16, String, Vec<u8>) {
    let Ok(Found::Head(span)) = Scan::default().advance(text.as_bytes(), &LIMITS.scan_rules())
    else {
        panic!("no head in {text:?}")
    };
    let request = Request::parse(text.as_bytes(), &span, &LIMITS).expect("valid");
    let path = path::decode(request.target.path).expect("valid path");
    let response = site.response(&request, &path, NOW);
    let body = match &response.body {
        Body::None => Vec::new(),
        Body::Bytes(bytes) => bytes.clone(),
        Body::Asset { index, coding, range } => {
            match site.content(*index, *coding, range.clone()) {
                Part::Memory(bytes) => bytes.to_vec(),
                Part::File(..) => panic!("small files are in memory"),
            }
        }
    };
    (response.status, String::from_utf8(response.lines.to_vec()).expect("ASCII"), body)
}

#[test]
fn files_are_served_and_pages_fall_back() {
    let (_root, site) = site();
    let cases = [
        ("GET / HTTP/1.1", 200),
        ("GET /index.html HTTP/1.1", 200),
        ("GET /docs/ HTTP/1.1", 200),
        ("GET /robots.txt HTTP/1.1", 200),
        ("GET /.well-known/security.txt HTTP/1.1", 200),
        ("GET /.env HTTP/1.1\r\nAccept: text/html", 404),
        ("GET /machines HTTP/1.1", 404),
        ("GET /machines HTTP/1.1\r\nAccept: */*", 404),
        ("GET /machines HTTP/1.1\r\nAccept: text/html,*/*;q=0.8", 200),
        ("GET /machines HTTP/1.1\r\nAccept: text/html;q=0", 404),
        ("GET /missing.js HTTP/1.1\r\nAccept: text/html", 404),
        ("GET /_app/gone HTTP/1.1\r\nAccept: text/html", 404),
        ("GET //machines HTTP/1.1\r\nAccept: text/html", 404),
        ("GET /_app/immutable/a.js.gz HTTP/1.1", 404),
        ("POST / HTTP/1.1", 405),
        ("DELETE /machines HTTP/1.1", 405),
    ];
    for (text, status) in cases {
        assert_eq!(ask(&site, text).0, status, "{text}");
    }
}

#[test]
fn the_smallest_acceptable_form_is_sent() {
    let (_root, site) = site();
    let a = "GET /_app/immutable/a.js HTTP/1.1";
    assert_eq!(ask(&site, a).2, b"0123456789abcdefghij");
    let (_, lines, body) = ask(&site, &format!("{a}\r\nAccept-Encoding: gzip, br"));
    assert_eq!(body, b"brotli");
    assert!(lines.contains("Content-Encoding: br\r\n") && lines.contains("Vary: Accept-Encoding"));
    assert!(lines.contains("immutable") && lines.contains("text/javascript"));
    let (_, lines, body) = ask(&site, "GET /robots.txt HTTP/1.1\r\nAccept-Encoding: br");
    assert_eq!(body, b"User-agent: *");
    assert!(!lines.contains("Vary"));
    assert_eq!(ask(&site, &format!("{a}\r\nAccept-Encoding: *;q=0")).0, 406);
}

#[test]
fn a_file_without_compressed_variants_is_compressed_if_that_saves_bytes() {
    let (root, _) = site();
    let text = "console.log('again and again');\n".repeat(100);
    std::fs::write(root.path().join("plain.js"), &text).expect("file");
    let site = Site::load(root.path(), MOST).expect("loads");
    for coding in ["br", "zstd", "gzip"] {
        let ask_for = format!("GET /plain.js HTTP/1.1\r\nAccept-Encoding: {coding}");
        let (status, lines, body) = ask(&site, &ask_for);
        assert!(status == 200 && body.len() < text.len() / 4, "{coding}");
        assert!(lines.contains(&format!("Content-Encoding: {coding}\r\n")), "{lines}");
    }
    assert!(ask(&site, "GET /plain.js HTTP/1.1").1.contains("Vary: Accept-Encoding"));
}

#[test]
fn every_form_has_a_tag_of_its_own() {
    let (_root, site) = site();
    let tag = |coding: &str| {
        let text = format!("GET /_app/immutable/a.js HTTP/1.1\r\nAccept-Encoding: {coding}");
        let lines = ask(&site, &text).1;
        lines.lines().find(|line| line.starts_with("ETag: \"")).expect("tag").to_owned()
    };
    assert_ne!(tag("br"), tag("gzip"));
    assert_ne!(tag("br"), tag(""));
    let condition = tag("br").replace("ETag", "If-None-Match");
    let text = format!("GET /_app/immutable/a.js HTTP/1.1\r\nAccept-Encoding: br\r\n{condition}");
    let (status, lines, body) = ask(&site, &text);
    assert_eq!((status, body.len()), (304, 0));
    assert!(lines.contains("ETag") && lines.contains("Vary") && !lines.contains("Content-Type"));
}

#[test]
fn parts_are_cut_from_the_form_that_is_sent() {
    let (_root, site) = site();
    let part =
        |range: &str| ask(&site, &format!("GET /_app/immutable/a.js HTTP/1.1\r\nRange: {range}"));
    let (status, lines, body) = part("bytes=2-4");
    assert_eq!((status, body.as_slice()), (206, &b"234"[..]));
    assert!(lines.contains("Content-Range: bytes 2-4/20\r\n"));
    let (status, lines, _) = part("bytes=20-");
    assert_eq!(status, 416);
    assert!(lines.contains("Content-Range: bytes */20\r\n"));
    let (status, _, body) = part("bytes=0-1,18-");
    assert_eq!((status, body.len()), (200, 20), "several at once are ignored");
    let head = ask(&site, "HEAD /_app/immutable/a.js HTTP/1.1\r\nRange: bytes=2-4");
    assert_eq!((head.0, head.2.len()), (200, 0));
    let stale = "GET /_app/immutable/a.js HTTP/1.1\r\nRange: bytes=2-4\r\nIf-Range: \"old\"";
    assert_eq!(ask(&site, stale).0, 200);
}

#[test]
fn a_directory_without_a_page_is_refused() {
    let root = tempfile::tempdir().expect("temporary directory");
    let error = Site::load(root.path(), MOST).expect_err("no index.html").to_string();
    assert!(error.contains("index.html") && error.contains("xtask build"), "{error}");
}

#[test]
fn more_files_than_memory_was_promised_for_are_refused() {
    let root = tempfile::tempdir().expect("temporary directory");
    std::fs::write(root.path().join("index.html"), "four").expect("file");
    assert!(Site::load(root.path(), santa_config::Size(4)).is_ok());
    let error = Site::load(root.path(), santa_config::Size(3)).expect_err("too much");
    assert!(error.to_string().contains("console_size"), "{error}");
}
