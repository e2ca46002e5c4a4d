//! With a development server for the console, everything but the API and the
//! health pages goes there, upgrades included.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::support::backend::Backend;
use crate::support::client::Client;
use crate::support::proxy::Setup;

/// Responds with the request line, or agrees to an upgrade and echoes.
fn serve(mut stream: TcpStream) {
    let mut buffer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let count = stream.read(&mut piece).unwrap_or(0);
        if count == 0 {
            return;
        }
        buffer.extend_from_slice(&piece[..count]);
        if !buffer.ends_with(b"\r\n\r\n") {
            continue;
        }
        let head = String::from_utf8_lossy(&buffer).into_owned();
        if head.contains("Upgrade: websocket") {
            let agreed = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
            stream.write_all(agreed.as_bytes()).expect("write");
            while let Ok(count @ 1..) = stream.read(&mut piece) {
                stream.write_all(&piece[..count]).expect("write");
            }
            return;
        }
        let line = format!("vite {}", head.lines().next().unwrap_or_default());
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{line}", line.len());
        stream.write_all(response.as_bytes()).expect("write");
        buffer.clear();
    }
}

#[test]
fn the_console_comes_from_the_development_server() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("address").to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    let setup =
        Setup::new().set("PROXY__CONSOLE__UPSTREAM", &address).set("PATHS__WWW", "/nonexistent");
    let _backend = Backend::start(&setup.socket());
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/").text(), "vite GET / HTTP/1.1");
    let module = "/node_modules/.vite/deps/svelte.js?v=1";
    assert_eq!(client.get(module).text(), format!("vite GET {module} HTTP/1.1"));
    let post = "POST /__open HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(client.request(post).text(), "vite POST /__open HTTP/1.1");
    assert_eq!(client.get("/api/x").text(), "ok");
    assert_eq!(client.get("/health").text(), "healthy\n");
    client.send(
        "GET /?token=x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    assert_eq!(client.head().status, 101);
    client.send("update");
    assert_eq!(client.take(6), b"update");
}
