//! What is wrong with a configuration is said before anything starts.

use std::path::Path;
use std::process::Command;

use crate::support::{SUPERVISE, Supervisor, text};

/// `check` and `run` end with 78 and one line that names all of `parts`.
fn refused(supervisor: &Supervisor, parts: &[&str]) {
    supervisor.write();
    for command in ["check", "run"] {
        let output = supervisor.ctl(&[command]);
        let problem = text(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{command}: {problem}");
        let named = |line: &str| parts.iter().all(|part| line.contains(part));
        assert!(problem.lines().any(named), "{command}: no line has all of {parts:?}:\n{problem}");
    }
    assert_eq!(supervisor.leftover_files(), Vec::<String>::new());
}

#[test]
fn a_circle_of_dependencies_is_named() {
    let supervisor = Supervisor::new("")
        .service("a", &["forever"], "depends_on = [\"b\"]")
        .service("b", &["forever"], "depends_on = [\"c\"]")
        .service("c", &["forever"], "depends_on = [\"a\"]");
    refused(&supervisor, &["santa.toml:", "a → b → c → a"]);
}

#[test]
fn errors_have_their_place_and_remedy() {
    refused(
        &Supervisor::new("").service("app", &["forever"], "start_timout = \"5s\""),
        &["santa.toml:", "start_timout", "start_timeout"],
    );
    refused(
        &Supervisor::new("").service("app", &["forever"], "depends_on = [\"databse\"]"),
        &["there is no service \"databse\""],
    );
    refused(
        &Supervisor::new("").service("app", &["serve {fd:main}"], ""),
        &["service.app", "{fd:main}", "add \"main\" to sockets"],
    );
    refused(
        &Supervisor::new("").service("app", &["forever"], "stop_signal = \"TERMINATE\""),
        &["santa.toml:", "service.app.stop_signal", "\"TERMINATE\"", "a signal such as \"TERM\""],
    );
    for key in ["stop_timeout", "start_timeout", "stop_delay"] {
        refused(
            &Supervisor::new("").service(
                "app",
                &["forever"],
                &format!("{key} = \"18446744073709551615s\""),
            ),
            &["santa.toml:", &format!("service.app.{key}"), "at most \"365d\""],
        );
    }
    refused(
        &Supervisor::new("").service("app", &["forever"], "backoff = { max = \"9999999d\" }"),
        &["santa.toml:", "service.app.backoff.max", "at most \"365d\""],
    );
    refused(
        &Supervisor::new("").socket_at("main", "127.0.0.1:1").service(
            "app",
            &["forever"],
            "sockets = [\"main\"]\nready = { kind = \"listen\", socket = \"main\" }",
        ),
        &["service.app", "needs a Unix socket", "kind = \"http\""],
    );
}

#[test]
fn all_errors_come_at_once() {
    let supervisor = Supervisor::new("")
        .service("a", &["forever"], "ready = { kind = \"http\", socket = \"none\", path = \"/\" }")
        .service("b", &["serve {fd:none}"], "");
    supervisor.write();
    let problem = text(&supervisor.ctl(&["check"]).stderr);
    assert!(problem.contains("service.a") && problem.contains("service.b"), "{problem}");
}

#[test]
fn a_file_that_is_not_there_is_said_so() {
    let output =
        Command::new(SUPERVISE).args(["run", "--config", "/nonexistent/santa.toml"]).output();
    let output = output.expect("runs");
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stderr).contains("/nonexistent/santa.toml"));
}

#[test]
fn check_shows_the_order_of_starts() {
    let supervisor = Supervisor::new("")
        .service("web", &["forever"], "depends_on = [\"app\"]")
        .service("app", &["forever"], "")
        .service("db", &["forever"], "");
    supervisor.write();
    let shown = supervisor.ctl_ok(&["check"]);
    assert!(shown.contains("1. app, db\n") && shown.contains("2. web\n"), "{shown}");
    assert_eq!(
        supervisor.ctl_ok(&["check", "--json"]).trim(),
        r#"{"ok":true,"start_order":[["app","db"],["web"]],"stop_order":[["web","db"],["app"]]}"#
    );
}

#[test]
fn the_configuration_of_the_container_is_valid() {
    let plan = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/santa.toml");
    let output =
        Command::new(SUPERVISE).arg("check").arg("--config").arg(plan).output().expect("runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
}
