//! Listening sockets that whoever starts santa-supervise keeps open (systemd's socket
//! activation), and those that two of them share.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};

use crate::support::ports::ReservedPort;
use crate::support::{SUPERVISE, Supervisor, text};

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("any port");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

/// One that serves `main`, whose configured address is `listen`.
fn serving(os: &str, listen: &str) -> Supervisor {
    let ready = "sockets = [\"main\"]\nready = { kind = \"none\" }";
    Supervisor::new(os).socket_at("main", listen).service("app", &["serve main"], ready)
}

fn send(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the socket is open");
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("request");
    stream
}

fn answer(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answer");
    answer.rsplit("\r\n").next().unwrap_or_default().to_owned()
}

fn duplicate(listener: &TcpListener) -> OwnedFd {
    listener.try_clone().expect("descriptor").into()
}

on_every_os! {
    fn connections_wait_in_an_inherited_socket_for_the_next_supervisor(os) {
        let (held, address) = listener();
        let at = address.to_string();
        // By its name, whatever the port; without a name, or with that of a unit, by the port.
        for (listen, names) in [("127.0.0.1:1", "main"), (&at, ""), (&at, "santaserver.socket")] {
            let waiting = send(address);
            let variables = [("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", names)];
            let mut supervisor = serving(os, listen).start_inheriting(duplicate(&held), &variables);
            supervisor.wait_for_state("app", "ready");
            assert_eq!(answer(waiting), supervisor.service_pid("app").to_string());
            assert_eq!(supervisor.stop(), 0);
            assert_eq!(supervisor.leftover_files(), Vec::<String>::new());
            let log = supervisor.messages("supervise").join("\n");
            assert!(log.contains(&format!("socket.main: inherited, listens on {address}")), "{log}");
        }
        TcpStream::connect(address).expect("nobody has closed it");
    }

    fn a_path_that_is_inherited_keeps_its_file(os) {
        let mut supervisor = Supervisor::new(os).socket("main");
        let path = supervisor.path("main.sock");
        let held = UnixListener::bind(&path).expect("bound");
        supervisor = supervisor
            .service("app", &["serve main"], "sockets = [\"main\"]\nready = { kind = \"http\", socket = \"main\", path = \"/\" }")
            .start_inheriting(held.try_clone().expect("descriptor").into(), &[("LISTEN_FDS", "1")]);
        supervisor.wait_for_state("app", "ready");
        assert_eq!(supervisor.stop(), 0);
        UnixStream::connect(&path).expect("the file is there, and it listens");
    }

    fn a_reload_that_needs_an_inherited_socket_no_more_can_need_it_again(os) {
        let (held, address) = listener();
        let mut supervisor = serving(os, &address.to_string())
            .start_inheriting(duplicate(&held), &[("LISTEN_FDS", "1")]);
        supervisor.wait_for_state("app", "ready");
        let file = supervisor.path("santa.toml");
        let with = std::fs::read_to_string(&file).expect("configuration");
        let without = with.split("[[service]]").next().expect("the rest").to_owned();
        for text in [without + "[[service]]\nname = \"idle\"\ncommand = \"sleep\"\nargs = [\"3600\"]\n", with] {
            std::fs::write(&file, text).expect("configuration");
            supervisor.ctl_ok(&["reload-config"]);
        }
        supervisor.wait_for_state("app", "ready");
        assert_eq!(answer(send(address)), supervisor.service_pid("app").to_string());
        assert_eq!(supervisor.stop(), 0);
    }
}

fn refusal(os: &str, fd: OwnedFd, variables: &[(&str, &str)]) -> String {
    let mut supervisor = serving(os, "127.0.0.1:1").start_inheriting(fd, variables);
    assert_eq!(supervisor.wait().code(), Some(1), "{}", supervisor.log());
    assert_eq!(supervisor.leftover_files(), Vec::<String>::new());
    supervisor.errors()
}

#[test]
fn a_descriptor_that_is_not_what_the_configuration_means_is_refused() {
    let (held, address) = listener();
    let one = [("LISTEN_FDS", "1")];
    let named = |name| [one[0], ("LISTEN_FDNAMES", name)];
    let dir = tempfile::tempdir().expect("temporary directory");
    let unix = UnixListener::bind(dir.path().join("a.sock")).expect("bound");
    let datagrams = UdpSocket::bind("127.0.0.1:0").expect("any port");
    let connection = TcpStream::connect(address).expect("connected");
    let file = File::open("/dev/null").expect("a file");
    type Case<'a> = (OwnedFd, &'a [(&'a str, &'a str)], &'a str);
    let cases: [Case<'_>; 8] = [
        (duplicate(&held), &one, "make `ListenStream="),
        (duplicate(&held), &named("mian"), "FileDescriptorName="),
        (unix.into(), &named("main"), "cannot stand for"),
        (datagrams.into(), &one, "datagram (UDP)"),
        (connection.into(), &one, "Accept=no"),
        (file.into(), &one, "not a socket"),
        (
            duplicate(&held),
            &[("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "main:other")],
            "descriptor 4 (other) is not open",
        ),
        (
            duplicate(&held),
            &[("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "main:main")],
            "expected 1 names",
        ),
    ];
    for (fd, variables, part) in cases {
        let errors = refusal("", fd, variables);
        assert!(errors.contains(part) && errors.contains("LISTEN_FD"), "{part}: {errors}");
    }
    TcpStream::connect(address).expect("nobody has closed it");
}

#[test]
fn sockets_for_another_process_are_left_alone() {
    let (held, address) = listener();
    let port = ReservedPort::new();
    let mut supervisor = serving("", &format!("127.0.0.1:{}", port.number))
        .start_inheriting(duplicate(&held), &[("LISTEN_FDS", "1"), ("LISTEN_PID", "1")]);
    supervisor.wait_for_state("app", "ready");
    let own = SocketAddr::from(([127, 0, 0, 1], port.number));
    assert_eq!(answer(send(own)), supervisor.service_pid("app").to_string());
    assert_eq!(supervisor.stop(), 0);
    let errors = supervisor.errors();
    assert!(
        errors.contains("warning: the sockets of LISTEN_FDS are meant for process 1"),
        "{errors}"
    );
    TcpStream::connect(address).expect("nobody has closed it");
}

#[test]
fn a_client_command_minds_no_sockets() {
    let mut command = std::process::Command::new(SUPERVISE);
    command
        .args(["status", "--socket", "/nonexistent"])
        .env("LISTEN_FDS", "x")
        .env("LISTEN_PID", "1");
    let errors = text(&command.output().expect("it runs").stderr);
    assert!(!errors.contains("LISTEN"), "{errors}");
}

#[test]
fn two_share_an_address_when_both_say_so() {
    let port = ReservedPort::new();
    let address = SocketAddr::from(([127, 0, 0, 1], port.number));
    let sharing = || {
        serving("", &address.to_string()).setting("SANTA__SOCKET__MAIN__REUSEPORT", "true".as_ref())
    };
    let mut old = sharing().start();
    old.wait_for_state("app", "ready");
    let mut alone = serving("", &address.to_string()).start();
    assert_eq!(alone.wait().code(), Some(1));
    assert!(alone.errors().contains("is taken"), "{}", alone.errors());
    // One that does not become ready gets nothing.
    let late =
        sharing().service("late", &["forever"], "ready = { kind = \"log\", pattern = \"x\" }");
    let mut late = late.start();
    late.wait_for_state("late", "starting");
    for _ in 0..20 {
        assert_eq!(answer(send(address)), old.service_pid("app").to_string());
    }
    assert_eq!(late.state("app"), "waiting");
    assert_eq!(late.stop(), 0);
    let mut new = sharing().start();
    new.wait_for_state("app", "ready");
    assert_eq!(old.stop(), 0);
    // Only the new one is left.
    for _ in 0..20 {
        assert_eq!(answer(send(address)), new.service_pid("app").to_string());
    }
    assert_eq!(new.stop(), 0);
}
