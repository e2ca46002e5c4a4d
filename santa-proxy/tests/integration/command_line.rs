//! Exit codes and messages: what an operator sees before anything is served.

use std::process::{Output, Stdio};

use crate::support::proxy::Setup;

fn run(setup: &Setup, arguments: &[&str]) -> (i32, String) {
    let mut command = setup.command();
    command.args(arguments).stderr(Stdio::piped());
    let Output { status, stdout, stderr } = command.output().expect("runs");
    let text = [stdout, stderr].concat();
    (status.code().unwrap_or(-1), String::from_utf8(text).expect("text"))
}

#[test]
fn check_accepts_what_can_be_served() {
    assert_eq!(run(&Setup::new(), &["--check"]).0, 0);
}

#[test]
fn variables_that_only_other_services_need_are_not_missed() {
    let setup = Setup::new();
    let mut text = std::fs::read_to_string(setup.config()).expect("configuration");
    text += "\n[[service]]\nname = \"other\"\ncommand = \"${NOT_OURS:?}\"\nargs = [\"{fd:none}\"]\n\
             env = { KEY = \"${SECRET_KEY:?}\" }\nstop_timeout = \"${OTHERS_TIME}\"\n\
             [[hook]]\nname = \"h\"\ncommand = [\"${TOKEN}\"]\n";
    std::fs::write(setup.config(), text).expect("configuration");
    let (code, text) = run(&setup, &["--check"]);
    assert_eq!(code, 0, "{text}");
}

#[test]
fn check_names_every_error_and_its_remedy() {
    let setup = Setup::new().set("PROXY__WORKERS", "many").set("PROXY__LIMITS__HEAD_SIZE", "16");
    let (code, text) = run(&setup, &["--check"]);
    assert_eq!(code, 78, "{text}");
    assert!(text.contains("proxy.workers") && text.contains("head_size"), "{text}");
}

#[test]
fn a_missing_console_is_reported_before_serving() {
    let setup = Setup::new().set("PATHS__WWW", "/nonexistent");
    let (code, text) = run(&setup, &["--check"]);
    assert_eq!(code, 78);
    assert!(text.contains("/nonexistent"), "{text}");
    assert_eq!(run(&setup, &[]).0, 1);
}

#[test]
fn a_port_in_use_is_reported_with_its_address() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("address").to_string();
    let (code, text) = run(&Setup::new().set("SOCKET__HTTP__LISTEN", &address), &[]);
    assert_eq!(code, 1);
    assert!(text.contains(&address) && text.contains("another program"), "{text}");
}

#[test]
fn help_is_complete_and_wrong_usage_is_code_2() {
    let (code, text) = run(&Setup::new(), &["--help"]);
    assert_eq!(code, 0);
    for part in ["--config", "--check", "Examples:", "SIGHUP", "LISTEN_FDNAMES", "Exit codes:"] {
        assert!(text.contains(part), "{part}");
    }
    assert_eq!(run(&Setup::new(), &["--nonsense"]).0, 2);
}
