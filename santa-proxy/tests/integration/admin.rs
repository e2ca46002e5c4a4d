//! The admin listener: metrics there and nowhere else.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;

use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::proxy::Setup;

#[test]
fn metrics_of_requests_are_on_the_admin_listener_only() {
    let proxy = Setup::new().with_admin().start();
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/file.txt").status, 200);
    assert_eq!(client.get("/metrics").status, 404);
    eventually("both requests are counted", || {
        let text = proxy.metrics();
        text.contains("requests_total{route=\"console\",status=\"2xx\"} 1\n")
            && text.contains("requests_total{route=\"console\",status=\"4xx\"} 1\n")
    });
    let text = proxy.metrics();
    for line in ["santa_proxy_connections 1\n", "santa_proxy_connections_accepted_total 1\n"] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let upstream =
        format!("address=\"unix:{}\"", proxy.directory.path().join("backend.sock").display());
    assert!(text.contains(&format!("santa_proxy_upstream_down{{{upstream}}} 0\n")), "{text}");
    assert!(text.contains("\n# santa-supervise does not respond: "), "{text}");
    assert_eq!(Client::connect(proxy.admin()).get("/").status, 404);
    let post = "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(Client::connect(proxy.admin()).request(post).status, 405);
    assert_eq!(Client::connect(proxy.admin()).request("GET /metrics HTTP/1.1\n\n").status, 400);
}

#[test]
fn metrics_include_those_of_santa_supervise() {
    let setup = Setup::new().with_admin();
    let path = setup.directory.path().join("control.sock");
    let control = UnixListener::bind(&path).expect("control socket");
    let setup = setup.set("SUPERVISOR__CONTROL_SOCKET", &path.display().to_string());
    let proxy = setup.start();
    let supervisor = std::thread::spawn(move || {
        let (mut client, _) = control.accept().expect("a client");
        let mut request = String::new();
        BufReader::new(client.try_clone().expect("clone"))
            .read_line(&mut request)
            .expect("request");
        client
            .write_all(b"{\"ok\":true,\"message\":\"santa_supervise_x 1\\n\"}\n")
            .expect("response");
        request
    });
    let text = proxy.metrics();
    assert!(text.ends_with("santa_supervise_x 1\n"), "{text}");
    assert_eq!(supervisor.join().expect("the request"), "{\"op\":\"metrics\"}\n");
}

#[test]
fn metrics_include_every_instance_of_the_backend() {
    let setup = Setup::new().with_admin();
    let backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let of = format!("address=\"unix:{}\"", proxy.directory.path().join("backend.sock").display());
    let scrape = || proxy.metrics();
    let silent = format!("# {} did not return its metrics\n", &of[9..of.len() - 1]);
    // The workers may only just have started.
    eventually("an empty response holds no metrics", || scrape().contains(&silent));
    backend.set_metrics("<!doctype html>\n");
    assert!(scrape().contains(&silent), "a web page holds no metrics");
    backend.set_metrics(
        "# HELP santa_backend_bytes Bytes.\n# TYPE santa_backend_bytes gauge\n\
         santa_backend_bytes{cache=\"rules\"} 5\n",
    );
    let text = scrape();
    assert!(text.contains(&format!("santa_backend_bytes{{{of},cache=\"rules\"}} 5\n")), "{text}");
    assert!(!text.contains(&silent), "{text}");
    backend.stop();
    assert!(scrape().contains(&silent), "one that is away is named");
    assert_eq!(Client::connect(proxy.address).get("/metrics").status, 404, "not in public");
}

#[test]
fn open_metrics_has_the_trace_of_a_request_as_an_exemplar() {
    let proxy = Setup::new().with_admin().start();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traced = format!(
        "GET /file.txt HTTP/1.1\r\nHost: x\r\ntraceparent: 00-{trace}-00f067aa0ba902b7-01\r\n\r\n"
    );
    assert_eq!(Client::connect(proxy.address).request(&traced).status, 200);
    let scrape = "GET /metrics HTTP/1.1\r\nHost: x\r\n\
        Accept: application/openmetrics-text; version=1.0.0\r\n\r\n";
    let open = || Client::connect(proxy.admin()).request(scrape).text();
    eventually("the request is an exemplar", || open().contains(&format!("trace_id=\"{trace}\"")));
    let text = open();
    assert!(text.contains("# TYPE santa_proxy_requests counter\n"), "{text}");
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    assert!(!proxy.metrics().contains("trace_id"));
}
