//! Who is told when a service changes its state.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::support::{FAKE, Supervisor, holds_in_time, is_alive};
use serde_json::Value;

/// A hook that runs the fake with `steps`.
fn hook(name: &str, steps: &[&str], more: &str) -> String {
    let steps: Vec<String> = steps.iter().map(|step| format!("{step:?}")).collect();
    format!("[[hook]]\nname = \"{name}\"\ncommand = [{FAKE:?}, {}]\n{more}\n", steps.join(", "))
}

on_every_os! {
    fn a_program_is_told_of_a_service_that_was_given_up(os) {
        let mut supervisor = Supervisor::new(os)
            .service("app", &["exit 3"], "restart = \"never\"")
            .service("well", &["forever"], "")
            .extra(&hook("alarm", &["variable SANTA_EVENT_NAME {dir}/who", "input {dir}/told"], ""))
            .replacing_dir()
            .start();
        supervisor.wait_for_state("app", "failed");
        supervisor.until("the hook ran", || supervisor.read("told").ends_with("}\n"));
        assert_eq!(supervisor.read("who"), "app");
        let event: Value = serde_json::from_str(supervisor.read("told").trim()).expect("one JSON object");
        assert_eq!((&event["name"], &event["to"]), (&"app".into(), &"failed".into()));
        assert_eq!(event["why"], "exit code 3");
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_hook_that_hangs_or_fails_holds_nothing_up(os) {
        let mut supervisor = Supervisor::new(os)
            .service("app", &["exit 3"], "restart = \"never\"")
            .extra(&hook("hangs", &["forever"], "timeout = \"200ms\""))
            .extra(&hook("fails", &["exit 4"], ""))
            .extra("[[hook]]\nname = \"missing\"\ncommand = [\"/nonexistent/program\"]")
            .extra("[[hook]]\nname = \"deaf\"\npost = \"http://127.0.0.1:1/alarm\"")
            .start();
        supervisor.wait_for_state("app", "failed");
        let log = || supervisor.log();
        supervisor.until("all four have failed", || {
            ["hangs", "fails", "missing", "deaf"]
                .iter()
                .all(|name| log().contains(&format!("hook {name} failed")))
        });
        assert!(log().contains("it took longer than 200ms"));
        assert_eq!(supervisor.stop(), 0);
    }

    fn the_end_of_a_critical_service_is_told_before_santa_supervise_ends(os) {
        let mut supervisor = Supervisor::new(os)
            .service("app", &["exit 3"], "restart = \"never\"\ncritical = true")
            .extra(&hook("alarm", &["sleep 200", "input {dir}/told"], ""))
            .extra(&hook("hangs", &["pid {dir}/hangs", "forever"], "timeout = \"1h\""))
            .replacing_dir()
            .start();
        assert_eq!(supervisor.wait().code(), Some(3));
        assert!(supervisor.read("told").contains("exit code 3"), "{}", supervisor.log());
        // Killed, not waited for: the system may still be taking it away.
        let hangs = supervisor.number_in("hangs");
        assert!(holds_in_time(|| !is_alive(hangs)), "one that hangs is killed");
    }

    fn json_is_posted_to_whoever_wants_it(os) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("any port");
        let port = listener.local_addr().expect("bound").port();
        let mut supervisor = Supervisor::new(os)
            .service("app", &["forever"], "")
            .extra(&format!("[[hook]]\nname = \"up\"\npost = \"http://127.0.0.1:{port}/events?a=1\"\nstates = [\"ready\"]\nservices = [\"app\"]"))
            .start();
        let (mut served, _) = listener.accept().expect("a post");
        let mut text = Vec::new();
        let mut buffer = [0u8; 4_096];
        while !text.ends_with(b"}") {
            let read = served.read(&mut buffer).expect("request");
            text.extend_from_slice(&buffer[..read]);
        }
        served.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("answer");
        drop(served);
        let text = String::from_utf8(text).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("head and body");
        assert!(head.starts_with("POST /events?a=1 HTTP/1.1\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
        let event: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(event["to"], "ready");
        supervisor.wait_for_state("app", "ready");
        assert_eq!(supervisor.stop(), 0);
        assert!(!supervisor.log().contains("did not work"), "{}", supervisor.log());
    }
}
