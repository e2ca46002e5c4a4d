//! A server that loses nothing when it is told to stop: it takes no more
//! connections, answers those it has, and closes them when they fall silent.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{exit, id};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

static TOLD: AtomicBool = AtomicBool::new(false);
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// How long a connection may be silent once the end has begun.
const SILENCE: Duration = Duration::from_millis(300);

extern "C" fn note(_: libc::c_int) {
    TOLD.store(true, Ordering::SeqCst);
}

/// Serves the inherited Unix socket of this name until SIGTERM.
pub(crate) fn serve(name: &str) {
    // SAFETY: the handler only stores to an atomic.
    unsafe { libc::signal(libc::SIGTERM, note as *const () as libc::sighandler_t) };
    let listener = super::inherited(name);
    // Another generation may take a connection between our poll and accept.
    let flags = rustix::fs::fcntl_getfl(&listener).expect("flags");
    rustix::fs::fcntl_setfl(&listener, flags | OFlags::NONBLOCK).expect("flags");
    let tick = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
    while !TOLD.load(Ordering::SeqCst) {
        let _ = poll(&mut [PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN)], Some(&tick));
        while !TOLD.load(Ordering::SeqCst)
            && let Ok(stream) = rustix::net::accept(&listener)
        {
            OPEN.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || {
                converse(&UnixStream::from(stream));
                OPEN.fetch_sub(1, Ordering::SeqCst);
            });
        }
    }
    drop(File::from(listener));
    while OPEN.load(Ordering::SeqCst) > 0 {
        thread::sleep(Duration::from_millis(2));
    }
    exit(0);
}

/// Answers one request after the other with our process number.
fn converse(mut stream: &UnixStream) {
    rustix::fs::fcntl_setfl(stream, OFlags::empty()).expect("blocking");
    stream.set_read_timeout(Some(Duration::from_millis(5))).expect("timeout");
    let mut request = Vec::new();
    let mut silent_since = Instant::now();
    loop {
        let mut buffer = [0u8; 1024];
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => request.extend_from_slice(&buffer[..read]),
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                let ends = TOLD.load(Ordering::SeqCst) && silent_since.elapsed() > SILENCE;
                match ends {
                    true => return,
                    false => continue,
                }
            }
            // The signal itself.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return,
        }
        if request.ends_with(b"\r\n\r\n") {
            let close = TOLD.load(Ordering::SeqCst) || contains(&request, b"close");
            let kind = if close { "close" } else { "keep-alive" };
            let body = id().to_string();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: {kind}", body.len());
            if stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).is_err() || close {
                return;
            }
            request.clear();
            silent_since = Instant::now();
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
