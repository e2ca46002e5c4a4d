//! Listening sockets: bound once, handed over, never refused, never stolen.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::ports::ReservedPort;
use crate::support::{Supervisor, exists, text};

/// One request; gives the process that answered, or why there was no answer.
fn ask(path: &std::path::Path) -> Result<String, std::io::Error> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.rsplit("\r\n").next().unwrap_or_default().to_owned())
}

on_every_os! {
    fn sockets_that_someone_removes_are_bound_again(os) {
        let mut supervisor = Supervisor::new(os).socket("main");
        supervisor = supervisor
            .service("app", &["serve main"], "sockets = [\"main\"]\nready = { kind = \"http\", socket = \"main\", path = \"/\" }")
            .start();
        supervisor.wait_for_state("app", "ready");
        let old = supervisor.service_pid("app");
        for name in ["main.sock", "control.sock"] {
            std::fs::remove_file(supervisor.path(name)).expect("remove");
        }
        // It looks now and then, and when it is told to read its configuration.
        supervisor.signal(libc::SIGHUP);
        supervisor.wait_for_control();
        supervisor.until("the service got the new socket", || {
            let app = supervisor.service_status("app");
            app["state"] == "ready" && app["pid"] != old
        });
        assert!(std::os::unix::net::UnixStream::connect(supervisor.path("main.sock")).is_ok());
        assert_eq!(supervisor.stop(), 0);
        assert_eq!(supervisor.leftover_files(), Vec::<String>::new());
        let log = supervisor.messages("supervise").join("\n");
        assert!(log.contains("main.sock was removed by another process; it is bound again"), "{log}");
    }

    fn a_service_finds_its_sockets_by_number_and_by_name(os) {
        let mut supervisor = Supervisor::new(os).socket("main").socket("second");
        let (state, dir) = (supervisor.path("state").display().to_string(), supervisor.dir.path().display().to_string());
        supervisor = supervisor
            .service("app", &[&format!("state {state}"), "serve {fd:second}"],
                "sockets = [\"main\", \"second\"]\n\
                 env = { FAKE_FD = \"{fd:second}\", FAKE_ADDRESS = \"{socket:second}\", FAKE_NUMBER = \"{instance}\" }\n\
                 ready = { kind = \"http\", socket = \"second\", path = \"/\" }")
            .start();
        supervisor.wait_for_state("app", "ready");
        let pid = supervisor.service_pid("app");
        let state = supervisor.read("state");
        for line in [
            "fds [0, 1, 2, 3, 4]".to_owned(),
            "LISTEN_FDS=2".to_owned(),
            "LISTEN_FDNAMES=main:second".to_owned(),
            format!("LISTEN_PID={pid}"),
            "FAKE_FD=4".to_owned(),
            format!("FAKE_ADDRESS={dir}/second.sock"),
            "FAKE_NUMBER=0".to_owned(),
        ] {
            assert!(state.lines().any(|found| found == line), "no {line} in:\n{state}");
        }
        assert_eq!(ask(&supervisor.path("second.sock")).expect("answer"), pid.to_string());
        assert_eq!(supervisor.stop(), 0);
    }

    fn no_connection_is_refused_over_restarts_and_kills(os) {
        let mut supervisor = Supervisor::new(os).socket("main").service(
            "app",
            &["serve main"],
            "sockets = [\"main\"]\nrestart = \"always\"\nbackoff = { initial = \"10ms\", max = \"50ms\" }\n\
             ready = { kind = \"http\", socket = \"main\", path = \"/\" }",
        );
        supervisor = supervisor.start();
        supervisor.wait_for_state("app", "ready");
        let (path, over) = (supervisor.path("main.sock"), AtomicBool::new(false));
        let refused = std::thread::scope(|scope| {
            let client = scope.spawn(|| {
                let mut refused = 0;
                while !over.load(Ordering::Relaxed) {
                    // What was accepted may die with its process; nothing may
                    // be turned away.
                    let result = ask(&path);
                    refused += usize::from(result.is_err_and(|error| {
                        error.kind() == std::io::ErrorKind::ConnectionRefused
                            || error.kind() == std::io::ErrorKind::NotFound
                    }));
                }
                refused
            });
            for _ in 0..3 {
                supervisor.ctl_ok(&["restart", "app"]);
                let before = supervisor.service_status("app")["restarts"].as_u64();
                supervisor.ctl_ok(&["signal", "app", "KILL"]);
                supervisor.until("it is back", || {
                    let app = supervisor.service_status("app");
                    app["restarts"].as_u64() > before && app["state"] == "ready"
                });
            }
            over.store(true, Ordering::Relaxed);
            client.join().expect("client")
        });
        assert_eq!(refused, 0);
        assert_eq!(supervisor.stop(), 0);
    }

    fn every_instance_has_a_socket_and_a_process_of_its_own(os) {
        let mut supervisor = Supervisor::new(os).socket("main").service(
            "app",
            &["serve main"],
            "instances = 2\nsockets = [\"main\"]\nready = { kind = \"http\", socket = \"main\", path = \"/\" }",
        );
        supervisor = supervisor.start();
        supervisor.wait_for_state("app:0", "ready");
        supervisor.wait_for_state("app:1", "ready");
        for instance in 0..2 {
            let answer = ask(&supervisor.path(&format!("main-{instance}.sock"))).expect("answer");
            assert_eq!(answer, supervisor.service_pid(&format!("app:{instance}")).to_string());
        }
        let untouched = supervisor.service_pid("app:0");
        supervisor.ctl_ok(&["restart", "app:1"]);
        assert_eq!(supervisor.service_status("app:1")["restarts"], 1);
        assert_eq!(supervisor.service_pid("app:0"), untouched);
        assert_eq!(supervisor.stop(), 0);
        assert_eq!(supervisor.leftover_files(), Vec::<String>::new());
    }

    fn a_socket_has_its_mode_and_a_stale_one_is_taken_over(os) {
        let mut supervisor = Supervisor::new(os);
        let path = supervisor.path("main.sock");
        drop(UnixListener::bind(&path).expect("stale socket"));
        supervisor = supervisor
            .extra(&format!("[socket.main]\nlisten = \"unix:{}\"\nmode = \"0660\"", path.display()))
            .extra("[socket.unused]\nlisten = \"127.0.0.1:1\"")
            .service("app", &["serve main"],
                "sockets = [\"main\"]\nready = { kind = \"http\", socket = \"main\", path = \"/\" }");
        supervisor = supervisor.without_main_socket().start();
        supervisor.wait_for_state("app", "ready");
        assert_eq!(fs::metadata(&path).expect("socket").mode() & 0o777, 0o660);
        assert_eq!(fs::metadata(supervisor.path("control.sock")).expect("socket").mode() & 0o777, 0o600);
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_taken_port_is_one_clear_message_and_nothing_is_left(os) {
        let owner = TcpListener::bind("127.0.0.1:0").expect("any port");
        let address = owner.local_addr().expect("bound");
        let mut supervisor = Supervisor::new(os).socket_at("main", &address.to_string()).socket("other");
        let file = supervisor.path("started").display().to_string();
        supervisor = supervisor
            .service("early", &[&format!("pid {file}"), "forever"], "sockets = [\"other\"]")
            .service("app", &["serve main"], "sockets = [\"main\"]")
            .start();
        assert_eq!(supervisor.wait().code(), Some(1));
        let errors = supervisor.errors();
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(errors.contains(&format!("port {} is taken", address.port())), "{errors}");
        assert!(errors.contains("socket.main"), "{errors}");
        assert_eq!(supervisor.leftover_files(), Vec::<String>::new(), "nothing was started or left");
    }

    fn what_lies_at_the_path_and_is_not_ours_stays(os) {
        let mut supervisor = Supervisor::new(os).socket("main").socket("live");
        fs::write(supervisor.path("main.sock"), "precious").expect("file");
        let owner = UnixListener::bind(supervisor.path("live.sock")).expect("owner");
        supervisor = supervisor.service("app", &["forever"], "sockets = [\"main\", \"live\"]").start();
        assert_eq!(supervisor.wait().code(), Some(1));
        let errors = supervisor.errors();
        assert!(errors.contains("there is a file that is not a socket"), "{errors}");
        assert!(errors.contains("another running process serves it"), "{errors}");
        assert_eq!(supervisor.read("main.sock"), "precious");
        drop(owner);
        assert!(exists(&supervisor.path("live.sock")));
        assert!(!exists(&supervisor.path("control.sock")));
    }

    fn a_socket_that_someone_removes_is_bound_again_and_served(os) {
        let mut supervisor = Supervisor::new(os)
            .socket("app")
            .service("app", &["serve app"],
                "sockets = [\"app\"]\nready = { kind = \"listen\", socket = \"app\" }")
            .start();
        supervisor.wait_for_state("app", "ready");
        let (app, control) = (supervisor.path("app.sock"), supervisor.path("control.sock"));
        fs::remove_file(&app).expect("removed");
        fs::remove_file(&control).expect("removed");
        supervisor.until("both are back", || app.exists() && control.exists());
        supervisor.wait_for_state("app", "ready");
        let mut served = UnixStream::connect(&app).expect("it accepts");
        served.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("request");
        let mut answer = String::new();
        served.read_to_string(&mut answer).expect("answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(supervisor.stop(), 0);
        assert!(!app.exists() && !control.exists());
    }

    fn a_tcp_port_outlives_the_service_that_serves_it(os) {
        let mut supervisor = Supervisor::new(os);
        let port = ReservedPort::new();
        supervisor = supervisor
            .socket_at("main", &format!("127.0.0.1:{}", port.number))
            .service("app", &["serve main"],
                "sockets = [\"main\"]\nready = { kind = \"http\", socket = \"main\", path = \"/\" }")
            .start();
        supervisor.wait_for_state("app", "ready");
        supervisor.ctl_ok(&["stop", "app"]);
        let mut waiting = TcpStream::connect(("127.0.0.1", port.number)).expect("the port is held");
        waiting.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("request");
        supervisor.ctl_ok(&["start", "app"]);
        let mut answer = String::new();
        waiting.read_to_string(&mut answer).expect("answer");
        assert!(answer.ends_with(&supervisor.service_pid("app").to_string()), "{answer}");
        assert_eq!(supervisor.stop(), 0);
    }
}

#[test]
fn a_second_supervisor_on_the_same_control_socket_is_refused() {
    let mut supervisor = Supervisor::new("").service("app", &["forever"], "").start();
    supervisor.wait_for_state("app", "ready");
    let second = supervisor.ctl(&["run"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("another running process serves it"));
    assert_eq!(supervisor.state("app"), "ready");
    assert_eq!(supervisor.stop(), 0);
}

fn served_on_every_address(supervisor: Supervisor) -> (Supervisor, ReservedPort) {
    let port = ReservedPort::new();
    let supervisor = supervisor.socket_at("web", &format!("[::]:{}", port.number)).service(
        "app",
        &["serve web"],
        "sockets = [\"web\"]\nready = { kind = \"http\", socket = \"web\", path = \"/\" }",
    );
    (supervisor, port)
}

#[test]
fn every_address_is_one_of_ipv4_and_of_ipv6() {
    let (supervisor, port) = served_on_every_address(Supervisor::new("linux"));
    let mut supervisor = supervisor.start();
    supervisor.wait_for_state("app", "ready");
    TcpStream::connect(("127.0.0.1", port.number)).expect("IPv4");
    // Machines without IPv6 have the test below.
    if TcpListener::bind("[::1]:0").is_ok() {
        TcpStream::connect(("::1", port.number)).expect("IPv6");
    }
    assert_eq!(supervisor.stop(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn every_address_is_one_of_ipv4_where_the_kernel_has_no_ipv6() {
    use crate::support::refused::Refused;
    let (supervisor, port) = served_on_every_address(Supervisor::new("linux"));
    let ipv6 = Some(libc::AF_INET6.cast_unsigned());
    let without = Refused { call: libc::SYS_socket, first: ipv6, error: libc::EAFNOSUPPORT };
    let mut supervisor = supervisor.start_refusing(without);
    supervisor.wait_for_state("app", "ready");
    TcpStream::connect(("127.0.0.1", port.number)).expect("IPv4");
    assert!(TcpStream::connect(("::1", port.number)).is_err(), "it is no listener of IPv6");
    assert_eq!(supervisor.stop(), 0);
}
