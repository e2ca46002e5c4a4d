//! The admin listener: metrics there and nowhere else.

use std::net::TcpListener;

use crate::support::client::Client;
use crate::support::eventually;
use crate::support::proxy::Setup;

#[test]
fn metrics_tell_of_requests_on_the_admin_listener_only() {
    // The port is free again when the proxy binds it.
    let address = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let proxy = Setup::new().set("ADMIN__LISTEN", &address.to_string()).start();
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/file.txt").status, 200);
    assert_eq!(client.get("/metrics").status, 404);
    let scrape = || Client::connect(address).get("/metrics").text();
    eventually("both requests are counted", || {
        let text = scrape();
        text.contains("requests_total{route=\"console\",status=\"2xx\"} 1\n")
            && text.contains("requests_total{route=\"console\",status=\"4xx\"} 1\n")
    });
    let text = scrape();
    for line in ["santa_proxy_connections 1\n", "santa_proxy_connections_accepted_total 1\n"] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert_eq!(Client::connect(address).get("/").status, 404);
    let post = "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(Client::connect(address).request(post).status, 405);
    assert_eq!(Client::connect(address).request("GET /metrics HTTP/1.1\n\n").status, 400);
}
