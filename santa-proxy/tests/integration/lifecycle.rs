//! Starting on an inherited socket, reloading, draining.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::process::Signal;

use crate::support::backend::{Act, Backend, ok};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::proxy::{BACKUPS, Setup};

#[test]
fn the_inherited_listener_is_used_and_outlives_the_process() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("address");
    let mut first = Setup::new().inheriting(&listener).start();
    assert_eq!(first.address, address);
    assert_eq!(Client::connect(address).get("/file.txt").status, 200);
    first.signal(Signal::TERM);
    assert!(first.end().success());
    // No process accepts now: the connection waits in the backlog for the next one.
    let mut waiting = Client::connect(address);
    waiting.send("GET /file.txt HTTP/1.1\r\nHost: santa\r\n\r\n");
    let _second = Setup::new().inheriting(&listener).start();
    assert_eq!(waiting.response(false).status, 200);
}

#[test]
fn the_supervisor_is_notified_when_requests_are_accepted() {
    let setup = Setup::new();
    let path = setup.directory.path().join("notices");
    let notices = std::os::unix::net::UnixDatagram::bind(&path).expect("socket");
    let proxy = setup.variable("NOTIFY_SOCKET", &path.display().to_string()).start();
    let mut text = [0u8; 64];
    let length = notices.recv(&mut text).expect("a notice");
    assert_eq!(&text[..length], b"READY=1\n");
    assert_eq!(Client::connect(proxy.address).get("/file.txt").status, 200);
}

#[test]
fn a_drain_finishes_open_requests_and_closes_idle_connections() {
    let setup = Setup::new();
    let backend = Backend::start(&setup.socket());
    backend.always(Act::HandOver);
    let mut proxy = setup.start();
    let mut idle = Client::connect(proxy.address);
    assert_eq!(idle.get("/file.txt").status, 200);
    let mut busy = Client::connect(proxy.address);
    busy.send("GET /api/x HTTP/1.1\r\nHost: santa\r\n\r\n");
    let mut server = backend.handed_over();
    proxy.signal(Signal::TERM);
    assert!(idle.is_closed());
    assert!(proxy.has_ended().is_none());
    std::io::Write::write_all(&mut server, &ok("finished")).expect("write");
    let response = busy.response(false);
    assert_eq!(response.text(), "finished");
    assert_eq!(response.field("connection"), Some("close"));
    assert!(busy.is_closed());
    assert!(proxy.end().success());
    proxy.line_with("\"path\":\"/api/x\"");
    proxy.line_with("stopped");
}

#[test]
fn no_request_of_a_keep_alive_client_fails_while_draining() {
    const CLIENTS: usize = 8;
    let mut proxy = Setup::new()
        .set("PROXY__TIMEOUTS__DRAIN", "1m")
        .set("PROXY__TIMEOUTS__LINGER", "1m")
        .start();
    let completed = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (mut client, completed) = (Client::connect(proxy.address), Arc::clone(&completed));
            // Ends with `Connection: close`; a request without a response panics.
            std::thread::spawn(move || {
                while client.get("/file.txt").field("connection") != Some("close") {
                    completed.fetch_add(1, Ordering::SeqCst);
                }
                assert!(client.is_closed());
            })
        })
        .collect();
    eventually("all are at work", || completed.load(Ordering::SeqCst) > 10 * CLIENTS);
    proxy.signal(Signal::TERM);
    for client in clients {
        client.join().expect("every request got a response");
    }
    assert!(proxy.end().success());
}

#[test]
fn idle_connections_close_with_the_drain_at_the_latest() {
    let mut proxy = Setup::new()
        .set("PROXY__TIMEOUTS__LINGER", "1m")
        .set("PROXY__TIMEOUTS__DRAIN", "200ms")
        .start();
    let mut idle = Client::connect(proxy.address);
    assert_eq!(idle.get("/file.txt").status, 200);
    proxy.signal(Signal::TERM);
    assert!(idle.is_closed());
    assert!(proxy.end().success());
}

#[test]
fn a_drain_ends_at_its_deadline() {
    let setup = Setup::new().set("PROXY__TIMEOUTS__DRAIN", "200ms");
    let backend = Backend::start(&setup.socket());
    backend.always(Act::NoResponse);
    let mut proxy = setup.start();
    let mut stuck = Client::connect(proxy.address);
    stuck.send("GET /api/x HTTP/1.1\r\nHost: santa\r\n\r\n");
    eventually("the request is there", || !backend.received().is_empty());
    proxy.signal(Signal::TERM);
    assert!(stuck.is_closed());
    assert!(proxy.end().success());
    assert!(proxy.line_with("/api/x").contains("\"status\":499"));
}

#[test]
fn a_request_that_arrives_while_draining_still_gets_its_response() {
    // A loaded machine may be slow to send the rest.
    let mut proxy = Setup::new()
        .set("PROXY__TIMEOUTS__DRAIN", "1m")
        .set("PROXY__TIMEOUTS__LINGER", "1m")
        .set("PROXY__TIMEOUTS__HEAD", "1m")
        .start();
    let mut slow = Client::connect(proxy.address);
    slow.send("GET /file.txt HTTP/1.1\r\nHo");
    // So many requests after it show that the first bytes were read.
    for _ in 0..50 {
        assert_eq!(Client::connect(proxy.address).get("/health").status, 200);
    }
    proxy.signal(Signal::TERM);
    proxy.line_with("stopping");
    slow.send("st: santa\r\n\r\n");
    let response = slow.response(false);
    assert_eq!((response.status, response.field("connection")), (200, Some("close")));
    drop(slow);
    assert!(proxy.end().success());
}

#[test]
fn a_reload_applies_new_files_and_settings_without_dropping_a_connection() {
    let proxy = Setup::new().start();
    let mut client = Client::connect(proxy.address);
    let old = client.get("/file.txt");
    assert_eq!(client.get("/new.txt").status, 404);
    proxy.file("file.txt", "replaced");
    proxy.file("new.txt", "new");
    assert_eq!(client.get("/file.txt").text(), old.text(), "nothing is read while serving");
    let config = proxy.directory.path().join("santa.toml");
    let text = std::fs::read_to_string(&config).expect("config");
    let with_limit = text.clone() + "\n[proxy.limits]\ntarget_size = \"64B\"\n";
    std::fs::write(&config, with_limit).expect("config");
    proxy.signal(Signal::HUP);
    proxy.line_with("\"reloaded\"");
    eventually("the new files are served", || client.get("/new.txt").status == 200);
    assert_eq!(client.get("/file.txt").text(), "replaced");
    assert_ne!(client.get("/file.txt").field("etag"), old.field("etag"));
    assert_eq!(client.get(&format!("/{}", "a".repeat(100))).status, 414);
}

#[test]
fn files_that_changed_are_served_without_a_signal_and_never_half_a_change() {
    const FILES: usize = 40;
    let write = |put: &dyn Fn(&str, &str), state: &str| {
        for number in 0..FILES {
            put(&format!("part-{number}.txt"), state);
        }
    };
    let setup = Setup::new().set("PROXY__WATCH", "20ms");
    write(&|name, text| setup.file(name, text), "old");
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    write(&|name, text| proxy.file(name, text), "brand new");
    let last = format!("/part-{}.txt", FILES - 1);
    eventually("the change is served", || client.get(&last).text() == "brand new");
    for number in 0..FILES {
        assert_eq!(client.get(&format!("/part-{number}.txt")).text(), "brand new");
    }
}

#[test]
fn a_large_file_comes_whole_although_it_is_replaced_while_it_is_sent() {
    const LENGTH: usize = 20_000_000;
    let setup = Setup::new();
    setup.file("large.bin", &"a".repeat(LENGTH));
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    client.send("GET /large.bin HTTP/1.1\r\nHost: santa\r\n\r\n");
    assert_eq!(client.head().status, 200);
    // Written over in place, and reloaded, while most of it is still to come.
    proxy.file("large.bin", &"b".repeat(LENGTH));
    proxy.signal(Signal::HUP);
    proxy.line_with("\"reloaded\"");
    assert!(client.take(LENGTH).iter().all(|byte| *byte == b'a'));
    eventually("the new one is served", || {
        let part = "GET /large.bin HTTP/1.1\r\nHost: santa\r\nRange: bytes=5000000-5000009\r\n\r\n";
        let response = client.request(part);
        response.status == 206 && response.text() == "bbbbbbbbbb"
    });
}

#[test]
fn a_reload_that_fails_changes_nothing() {
    let proxy = Setup::new().start();
    let config = proxy.directory.path().join("santa.toml");
    std::fs::write(&config, "version = 1\nnonsense = true\n").expect("config");
    proxy.signal(Signal::HUP);
    let line = proxy.line_with("reload failed");
    assert!(line.contains("nonsense"), "{line}");
    assert_eq!(Client::connect(proxy.address).get("/file.txt").status, 200);
}

#[test]
fn workers_share_one_listener() {
    let proxy = Setup::new().set("PROXY__WORKERS", "4").start();
    let mut clients: Vec<Client> = (0..64).map(|_| Client::connect(proxy.address)).collect();
    for client in &mut clients {
        assert_eq!(client.get("/file.txt").status, 200);
    }
    let mut proxy = proxy;
    proxy.signal(Signal::TERM);
    for client in &mut clients {
        assert!(client.is_closed());
    }
    assert!(proxy.end().success());
}

#[test]
fn a_changed_configuration_is_reloaded_without_a_signal() {
    let setup = Setup::new().set("PROXY__WATCH", "50ms");
    let proxy = setup.start();
    let mut client = Client::connect(proxy.address);
    assert_eq!(client.get("/file.txt").status, 200);
    let config = proxy.directory.path().join("santa.toml");
    let text = std::fs::read_to_string(&config).expect("config");
    let new = proxy.directory.path().join("new.toml");
    std::fs::write(&new, text + "\n[proxy.limits]\ntarget_size = \"64B\"\n").expect("config");
    std::fs::rename(&new, &config).expect("config");
    proxy.line_with("reloaded");
    let long = format!("/{}", "a".repeat(100));
    assert_eq!(client.get(&long).status, 414, "on the connection that was open");
}

#[test]
fn a_new_binary_takes_over_the_listener_without_a_failed_request() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let mut old = Setup::new().inheriting(&listener).start();
    let address = listener.local_addr().expect("an address");
    let stop = Arc::new(AtomicBool::new(false));
    let stopping = Arc::clone(&stop);
    let asking = std::thread::spawn(move || {
        let mut completed = 0;
        while !stopping.load(Ordering::SeqCst) {
            assert_eq!(Client::connect(address).get("/file.txt").status, 200);
            completed += 1;
        }
        completed
    });
    let new = Setup::new().inheriting(&listener).start();
    old.signal(Signal::TERM);
    assert!(old.end().success());
    assert_eq!(Client::connect(address).get("/file.txt").status, 200, "by the new one");
    stop.store(true, Ordering::SeqCst);
    assert!(asking.join().expect("no request failed") > 0);
    drop(new);
}

#[test]
fn backups_in_the_console_directory_are_not_served() {
    let proxy = Setup::new().start();
    let mut client = Client::connect(proxy.address);
    for name in BACKUPS {
        let path = name.replace('#', "%23");
        for accept in ["*/*", "text/html"] {
            let response = client.request(&format!(
                "GET /{path} HTTP/1.1\r\nHost: santa\r\nAccept: {accept}\r\n\r\n"
            ));
            assert_eq!(response.status, 404, "{name} for {accept}");
        }
    }
    assert_eq!(client.get("/file.txt").status, 200);
}

#[test]
fn files_that_cannot_be_read_in_time_keep_neither_signals_nor_metrics_waiting() {
    let setup = Setup::new().with_admin();
    let config = setup.config();
    let mut proxy = setup.start();
    // A FIFO blocks its reader until something opens it for writing, like a file system that hangs.
    std::fs::remove_file(&config).expect("removed");
    let made = std::process::Command::new("mkfifo").arg(&config).status().expect("mkfifo");
    assert!(made.success());
    for _ in 0..3 {
        proxy.signal(Signal::HUP);
        assert_eq!(Client::connect(proxy.admin()).get("/metrics").status, 200);
        assert_eq!(Client::connect(proxy.address).get("/file.txt").status, 200);
    }
    proxy.signal(Signal::TERM);
    assert!(proxy.end().success());
}

#[test]
fn reloads_requested_during_one_are_done_after_it() {
    let proxy = Setup::new().start();
    for number in 0..5 {
        proxy.file("new.txt", &format!("version {number}"));
        proxy.signal(Signal::HUP);
        eventually("the last one is served", || {
            Client::connect(proxy.address).get("/new.txt").text() == format!("version {number}")
        });
    }
}
