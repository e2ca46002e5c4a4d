//! A child that does what its arguments say, one step each, for the tests of
//! santa-supervise: `fake-service "print hello" "sleep 100" "exit 3"`.
#![expect(unsafe_code, reason = "ignoring a signal has no safe form")]

#[path = "drain.rs"]
mod drain;

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, exit, id};
use std::time::Duration;
use std::{env, thread};

fn main() {
    for step in env::args().skip(1) {
        let (verb, rest) = step.split_once(' ').unwrap_or((&step, ""));
        perform(verb, rest);
    }
}

/// Carries out one step. Panics are fine here: a test sees the exit code.
fn perform(verb: &str, rest: &str) {
    match verb {
        "print" => writeln!(io::stdout(), "{rest}").expect("stdout"),
        "eprint" => writeln!(io::stderr(), "{rest}").expect("stderr"),
        // Without a newline, flushed.
        "begin" => {
            io::stdout()
                .write_all(rest.as_bytes())
                .and_then(|()| io::stdout().flush())
                .expect("stdout");
        }
        // N times the same text, in as few writes as possible.
        "flood" => flood(rest),
        // A text with bytes as `\xHH`, and a newline.
        "raw" => {
            let mut text = Vec::new();
            let mut rest = rest.split("\\x");
            text.extend_from_slice(rest.next().unwrap_or_default().as_bytes());
            for part in rest {
                text.push(u8::from_str_radix(&part[..2], 16).expect("two digits"));
                text.extend_from_slice(&part.as_bytes()[2..]);
            }
            text.push(b'\n');
            io::stdout().write_all(&text).expect("stdout");
        }
        "bytes" => io::stdout()
            .write_all(&[0xff, 0x00, 0x1b, b'[', b'2', b'J', 0xc3, b'\n'])
            .expect("stdout"),
        "sleep" => thread::sleep(Duration::from_millis(rest.parse().expect("milliseconds"))),
        "forever" => loop {
            thread::sleep(Duration::from_secs(3_600));
        },
        // Takes that many megabytes and uses them.
        "hoard" => {
            drop(std::hint::black_box(vec![1u8; rest.parse::<usize>().expect("megabytes") << 20]))
        }
        "exit" => exit(rest.parse().expect("exit code")),
        "append" => append(rest),
        // At once whole: it may be killed at any time.
        "pid" => {
            let new = format!("{rest}.{}", id());
            fs::write(&new, id().to_string()).expect("pid file");
            fs::rename(new, rest).expect("pid file");
        }
        "wait-for" => {
            while fs::metadata(rest).is_err() {
                thread::sleep(Duration::from_millis(5));
            }
        }
        // The first time round, end with this code.
        "fail-once" => {
            if fs::metadata(rest).is_err() {
                fs::write(rest, "").expect("marker");
                exit(9);
            }
        }
        // FILE STEP: carried out the first time round only.
        "first-only" => {
            let (file, step) = rest.split_once(' ').expect("FILE STEP");
            let (verb, rest) = step.split_once(' ').expect("VERB REST");
            if fs::metadata(file).is_err() {
                fs::write(file, "").expect("marker");
                perform(verb, rest);
            }
        }
        "die" => {
            signal_self(rest.parse().expect("signal"));
        }
        "ignore-term" => {
            // SAFETY: no handler is installed.
            unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
        }
        "ignore" => {
            // SAFETY: no handler is installed.
            unsafe { libc::signal(rest.parse().expect("signal"), libc::SIG_IGN) };
        }
        // Prints `listens`; on SIGTERM: append to a file, then end with 0.
        "say-when-told" => say_when_told(rest),
        // A child in our group, or in a session of its own, that lives on.
        "child" => spawn(rest),
        "setsid" => drop(rustix::process::setsid()),
        // That many children, each in a session of its own, that do nothing.
        "breed" => breed(rest.parse().expect("count")),
        // Orphans that end soon.
        "orphans" => orphans(rest.parse().expect("count")),
        "state" => fs::write(rest, own_state()).expect("state file"),
        "serve" => serve(rest),
        // NAME FILE: answers 503 as long as the file exists, which becomes a byte
        // longer each time.
        "serve-unless" => {
            let (name, file) = rest.split_once(' ').expect("NAME FILE");
            answer_with(&inherited(name), || match OpenOptions::new().append(true).open(file) {
                Ok(mut file) => {
                    file.write_all(b"x").expect("append");
                    "503 Service Unavailable"
                }
                Err(_) => "200 OK",
            });
        }
        // Answers with what is no HTTP, a byte at a time, forever.
        "serve-babble" => babble(&inherited(rest)),
        // Ends with 1 unless the file exists.
        "need" => {
            if fs::metadata(rest).is_err() {
                exit(1);
            }
        }
        // To NOTIFY_SOCKET.
        "notify" => notify(&env::var("NOTIFY_SOCKET").expect("NOTIFY_SOCKET"), rest),
        // FILE TEXT: to the socket whose path the file holds.
        "notify-at" => {
            let (file, text) = rest.split_once(' ').expect("FILE TEXT");
            notify(&fs::read_to_string(file).expect("path"), text);
        }
        // FILE: as much as it can, to the socket whose path the file holds.
        "notify-flood" => {
            let path = fs::read_to_string(rest).expect("path");
            let socket = UnixDatagram::unbound().expect("socket");
            // The socket goes away at the end.
            while socket.send_to(b"STATUS=flooding\nREADY=1", &path).is_ok() {}
        }
        // FILE: says that it works as long as the file exists, then nothing more.
        "watchdog" => loop {
            if fs::metadata(rest).is_ok() {
                notify(&env::var("NOTIFY_SOCKET").expect("NOTIFY_SOCKET"), "WATCHDOG=1");
            }
            thread::sleep(Duration::from_millis(20));
        },
        // NAME FILE: writes the value of a variable.
        "variable" => {
            let (name, file) = rest.split_once(' ').expect("NAME FILE");
            fs::write(file, env::var(name).unwrap_or_default()).expect("file");
        }
        // FILE: writes what comes on standard input.
        "input" => {
            let mut input = String::new();
            io::stdin().read_to_string(&mut input).expect("input");
            append(&format!("{rest} {}", input.trim_end()));
        }
        "serve-draining" => drain::serve(rest),
        "serve-path" => answer(&UnixListener::bind(rest).expect("bind").into()),
        other => panic!("no such step: {other}"),
    }
}

fn flood(rest: &str) {
    let (count, text) = rest.split_once(' ').expect("COUNT TEXT");
    let line = format!("{text}\n");
    let block = line.repeat(500);
    let mut left: usize = count.parse().expect("count");
    let mut out = io::stdout().lock();
    while left > 0 {
        let now = left.min(500);
        out.write_all(&block.as_bytes()[..now * line.len()]).expect("stdout");
        left -= now;
    }
}

fn append(rest: &str) {
    let (file, text) = rest.split_once(' ').expect("FILE TEXT");
    let mut file = OpenOptions::new().create(true).append(true).open(file).expect("file");
    writeln!(file, "{text}").expect("append");
}

fn signal_self(signal: i32) {
    let signal = rustix::process::Signal::from_named_raw(signal).expect("signal");
    rustix::process::kill_process(rustix::process::getpid(), signal).expect("kill");
    thread::sleep(Duration::from_secs(60));
}

/// Blocks SIGTERM and waits for it, so that it is taken at a known place.
fn say_when_told(rest: &str) {
    // SAFETY: the set is initialized by sigemptyset; sigwait writes one number.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGTERM);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        writeln!(io::stdout(), "listens").expect("stdout");
        let mut signal = 0;
        libc::sigwait(&raw const set, &raw mut signal);
    }
    append(rest);
    exit(0);
}

/// Runs ourselves with the given steps, separated by `;`.
fn spawn(steps: &str) {
    let own = env::current_exe().expect("own path");
    // Nobody waits for it: whether it becomes an orphan is for the test.
    drop(Command::new(own).args(steps.split(';').map(str::trim)).spawn().expect("child"));
}

fn breed(count: usize) {
    for _ in 0..count {
        // SAFETY: we have one thread; the child makes calls only that take no memory.
        unsafe {
            if libc::fork() == 0 {
                libc::setsid();
                loop {
                    libc::pause();
                }
            }
        }
    }
}

fn orphans(count: usize) {
    for _ in 0..count {
        // The child in between ends at once and leaves its own to santa-supervise.
        let own = env::current_exe().expect("own path");
        let mut between = Command::new(own).arg("child sleep 50").spawn().expect("child");
        between.wait().expect("wait");
    }
}

/// Open descriptors and, on Linux, blocked and ignored signals.
fn own_state() -> String {
    let mut fds: Vec<i32> = fs::read_dir("/dev/fd")
        .expect("descriptors")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    // The last one is the listing itself.
    fds.sort_unstable();
    fds.pop();
    let signals = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let signals: Vec<&str> = signals.lines().filter(|line| line.starts_with("Sig")).collect();
    let variables: Vec<String> = env::vars()
        .filter(|(name, _)| name.starts_with("LISTEN_") || name.starts_with("FAKE_"))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    format!("fds {fds:?}\npid {}\n{}\n{}\n", id(), signals.join("\n"), variables.join("\n"))
}

/// Answers connections on the inherited socket of this name, by descriptor
/// number or by its place in LISTEN_FDNAMES.
fn serve(name: &str) {
    answer(&inherited(name));
}

fn inherited(name: &str) -> OwnedFd {
    let number = name.parse().unwrap_or_else(|_| {
        let names = env::var("LISTEN_FDNAMES").expect("LISTEN_FDNAMES");
        3 + names.split(':').position(|known| known == name).expect("known name") as i32
    });
    // SAFETY: the descriptor was handed to us and has no other owner here.
    let fd = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::net::listen(&fd, 64).expect("listen");
    fd
}

fn notify(path: &str, text: &str) {
    let socket = UnixDatagram::unbound().expect("socket");
    socket.send_to(text.as_bytes(), path).expect("notice");
}

fn babble(listener: &OwnedFd) {
    loop {
        let Ok(stream) = rustix::net::accept(listener) else { continue };
        let mut stream = fs::File::from(stream);
        // Its reader has heard enough at some time.
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_micros(100));
        }
    }
}

/// One HTTP answer a connection, forever, on a Unix or TCP socket.
fn answer(listener: &OwnedFd) {
    answer_with(listener, || "200 OK");
}

fn answer_with(listener: &OwnedFd, status: impl Fn() -> &'static str) {
    loop {
        let Ok(stream) = rustix::net::accept(listener) else { continue };
        let mut stream = fs::File::from(stream);
        let mut request = [0u8; 1024];
        let _ = stream.read(&mut request);
        let body = id().to_string();
        let answer = format!(
            "HTTP/1.1 {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            status(),
            body.len()
        );
        let _ = stream.write_all(answer.as_bytes());
    }
}
