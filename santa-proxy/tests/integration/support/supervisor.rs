//! A control socket that reports the states a test sets, in place of santa-supervise.

use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

#[derive(Default)]
struct Shared {
    /// The response to `status`; with `None`, there is none.
    status: Mutex<Option<String>>,
    followers: Mutex<Vec<UnixStream>>,
    pending: Mutex<Vec<UnixStream>>,
}

/// A control socket.
pub(crate) struct Supervisor {
    path: PathBuf,
    shared: Arc<Shared>,
}

impl Supervisor {
    /// Listens; the instances of `backend` are in these phases.
    pub(crate) fn start(directory: &Path, phases: &[&str]) -> Self {
        let path = directory.join("supervise.sock");
        let listener = UnixListener::bind(&path).expect("bind");
        let shared = Arc::new(Shared::default());
        *shared.status.lock().expect("lock") = Some(status(phases));
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                serve(client, &serving);
            }
        });
        Self { path, shared }
    }

    /// Changes the phases and sends an event.
    pub(crate) fn set_phases(&self, phases: &[&str]) {
        self.say_text(&status(phases));
    }

    /// The same with any response.
    pub(crate) fn say_text(&self, text: &str) {
        *self.shared.status.lock().expect("lock") = Some(text.to_owned());
        self.notify();
    }

    /// Stops responding.
    pub(crate) fn fall_silent(&self) {
        *self.shared.status.lock().expect("lock") = None;
        self.notify();
    }

    fn notify(&self) {
        super::eventually("a client follows", || {
            !self.shared.followers.lock().expect("lock").is_empty()
        });
        for follower in self.shared.followers.lock().expect("lock").iter_mut() {
            // Some have left.
            let _ = follower.write_all(b"{\"event\":\"x\"}\n");
        }
    }

    /// Ends as a process that dies.
    pub(crate) fn stop(self) {
        std::fs::remove_file(&self.path).expect("socket file");
        for follower in self.shared.followers.lock().expect("lock").drain(..) {
            let _ = follower.shutdown(Shutdown::Both);
        }
    }
}

fn status(phases: &[&str]) -> String {
    let service = |(number, phase): (usize, &&str)| {
        format!("{{\"name\":\"backend\",\"instance\":{number},\"state\":\"{phase}\",\"pid\":7}}")
    };
    let services: Vec<String> = phases.iter().enumerate().map(service).collect();
    format!("{{\"supervisor\":{{\"pid\":1}},\"services\":[{}]}}\n", services.join(","))
}

fn serve(mut client: UnixStream, shared: &Shared) {
    let mut request = String::new();
    let mut reader = BufReader::new(client.try_clone().expect("clone"));
    reader.read_line(&mut request).expect("request");
    match request.as_str() {
        "{\"op\":\"events\"}\n" => shared.followers.lock().expect("lock").push(client),
        "{\"op\":\"status\"}\n" => match &*shared.status.lock().expect("lock") {
            // The client may be gone.
            Some(status) => drop(client.write_all(status.as_bytes())),
            None => shared.pending.lock().expect("lock").push(client),
        },
        _ => drop(client.write_all(b"{\"ok\":true,\"message\":\"\"}\n")),
    }
}
