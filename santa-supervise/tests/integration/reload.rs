//! A changed configuration is applied while everything runs.

use std::fs;
use std::os::unix::net::UnixStream;

use crate::support::{Supervisor, is_alive};

/// Replaces the services of a running supervisor and reloads by command.
fn reload(supervisor: &Supervisor, change: impl Fn(String) -> String) -> std::process::Output {
    let path = supervisor.path("santa.toml");
    let text = fs::read_to_string(&path).expect("configuration");
    fs::write(&path, change(text)).expect("configuration");
    supervisor.ctl(&["reload-config"])
}

fn message(output: &std::process::Output) -> String {
    crate::support::text(&output.stdout) + &crate::support::text(&output.stderr)
}

on_every_os! {
    fn only_what_differs_gets_a_new_process(os) {
        let mut supervisor = Supervisor::new(os)
            .service("same", &["forever"], "")
            .service("gone", &["forever"], "")
            .service("replaced", &["forever"], "env = { FAKE_X = \"1\" }")
            .service("tuned", &["forever"], "stop_timeout = \"1s\"")
            .start();
        for name in ["same", "gone", "replaced", "tuned"] {
            supervisor.wait_for_state(name, "ready");
        }
        let pids = ["same", "gone", "replaced", "tuned"].map(|name| supervisor.service_pid(name));
        let output = reload(&supervisor, |text| {
            let text = text.replace("FAKE_X = \"1\"", "FAKE_X = \"2\"");
            let text = text.replace("stop_timeout = \"1s\"", "stop_timeout = \"2s\"");
            text.replace("name = \"gone\"", "name = \"fresh\"")
        });
        assert!(output.status.success(), "{}", message(&output));
        let expected = "added: fresh; renewed: replaced; changed in place: tuned; removed: gone\n";
        assert_eq!(message(&output), expected);
        supervisor.wait_for_state("fresh", "ready");
        supervisor.until("the removed one is gone", || !is_alive(pids[1]));
        supervisor.until("it is forgotten", || !supervisor.ctl_ok(&["status"]).contains("gone"));
        supervisor.until("the changed one is replaced", || !is_alive(pids[2]));
        supervisor.wait_for_state("replaced", "ready");
        assert_eq!(supervisor.service_pid("same"), pids[0]);
        assert_eq!(supervisor.service_pid("tuned"), pids[3]);
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_stop_follows_the_steps_that_are_planned_now(os) {
        let mut supervisor = Supervisor::new(os)
            .service("sooner", &["forever"], "stop_delay = \"40ms\"")
            .service("later", &["forever"], "stop_delay = \"0s\"")
            .start();
        for name in ["sooner", "later"] {
            supervisor.wait_for_state(name, "ready");
        }
        let output = reload(&supervisor, |text| {
            let text = text.replace("\"0s\"", "\"30ms\"");
            text.replace("\"40ms\"", "\"0s\"")
        });
        assert_eq!(message(&output), "changed in place: sooner, later\n");
        for name in ["sooner", "later"] {
            supervisor.ctl_ok(&["stop", name]);
            assert_eq!(supervisor.service_status(name)["last_exit"], "ended by SIGTERM");
        }
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_reload_to_fewer_instances_in_the_middle_of_a_rolling_restart_is_survived(os) {
        for left in [1, 2] {
            let mut supervisor = Supervisor::new(os);
            let (go, starts) = (supervisor.path("go"), supervisor.path("starts"));
            fs::write(&go, "").expect("go");
            let steps = [
                &*format!("append {} started", starts.display()),
                &format!("wait-for {}", go.display()),
                "print up",
                "forever",
            ];
            let ready = "ready = { kind = \"log\", pattern = \"up\" }\nrestart = \"always\"";
            supervisor = supervisor.service("app", &steps, &format!("instances = 3\n{ready}")).start();
            for name in ["app:0", "app:1", "app:2"] {
                supervisor.wait_for_state(name, "ready");
            }
            fs::remove_file(&go).expect("go");
            let mut rolls = supervisor.command();
            let mut rolls = rolls.args(["rolling-restart", "app"]).spawn().expect("client runs");
            let started = || supervisor.read("starts").lines().count();
            supervisor.until("the next of the first starts", || started() == 4);
            let fewer = |text: String| text.replace("instances = 3", &format!("instances = {left}"));
            let output = reload(&supervisor, fewer);
            assert!(output.status.success(), "{}", message(&output));
            fs::write(&go, "").expect("go");
            assert!(rolls.wait().expect("client").success());
            let services = || supervisor.status()["services"].as_array().expect("services").len();
            supervisor.until("the others are forgotten", || services() == left);
            // A name without a number means the instance where there is only one.
            supervisor.wait_for_state("app", "ready");
            assert_eq!(started(), 3 + left, "only what is configured was rolled");
            assert_eq!(supervisor.stop(), 0);
        }
    }

    fn a_wrong_configuration_is_refused_and_the_old_one_stays(os) {
        let mut supervisor = Supervisor::new(os).service("app", &["forever"], "").start();
        supervisor.wait_for_state("app", "ready");
        let pid = supervisor.service_pid("app");
        for (wrong, part) in [
            ("restrat = \"always\"", "did you mean \"restart\"?"),
            ("depends_on = [\"nobody\"]", "there is no service \"nobody\""),
            ("= broken", "not valid TOML"),
        ] {
            let before = fs::read_to_string(supervisor.path("santa.toml")).expect("configuration");
            let output = reload(&supervisor, |text| format!("{text}\n{wrong}\n"));
            assert_eq!(output.status.code(), Some(1));
            let problem = message(&output);
            assert!(problem.contains(part) && problem.contains("santa.toml:"), "{problem}");
            fs::write(supervisor.path("santa.toml"), before).expect("configuration");
        }
        let moved = reload(&supervisor, |text| text.replace("/control.sock", "/elsewhere.sock"));
        // The client looks at the new place, where nobody is.
        assert_eq!(moved.status.code(), Some(4), "{}", message(&moved));
        let control = supervisor.path("control.sock").display().to_string();
        let refused = supervisor.ctl(&["--socket", &control, "reload-config"]);
        assert!(message(&refused).contains("cannot change while"), "{}", message(&refused));
        reload(&supervisor, |text| text.replace("/elsewhere.sock", "/control.sock"));
        assert_eq!(supervisor.service_pid("app"), pid, "nothing else was disturbed");
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_signal_reloads_too_and_a_socket_comes_and_goes(os) {
        let mut supervisor = Supervisor::new(os).service("app", &["forever"], "").start();
        supervisor.wait_for_state("app", "ready");
        let path = supervisor.path("extra.sock");
        let socket = format!("[socket.extra]\nlisten = \"unix:{}\"\n[[service]]", path.display());
        let text = fs::read_to_string(supervisor.path("santa.toml")).expect("configuration");
        let with = text.replace("[[service]]", &socket).replace("name = \"app\"", "name = \"app\"\nsockets = [\"extra\"]");
        fs::write(supervisor.path("santa.toml"), with).expect("configuration");
        supervisor.signal(libc::SIGHUP);
        supervisor.until("the new socket accepts", || UnixStream::connect(&path).is_ok());
        supervisor.wait_for_state("app", "ready");
        fs::write(supervisor.path("santa.toml"), text).expect("configuration");
        supervisor.signal(libc::SIGHUP);
        supervisor.until("the socket is gone", || !path.exists());
        supervisor.wait_for_state("app", "ready");
        assert_eq!(supervisor.stop(), 0);
    }

    fn a_service_that_rolls_serves_without_a_gap_over_a_reload(os) {
        let mut supervisor = Supervisor::new(os)
            .service(
                "app",
                &["serve-draining app"],
                "env = { FAKE_X = \"1\" }\nsockets = [\"app\"]\nready = { kind = \"listen\", socket = \"app\" }",
            )
            .socket("app")
            .start();
        supervisor.wait_for_state("app", "ready");
        let first = supervisor.service_pid("app");
        let output = reload(&supervisor, |text| text.replace("FAKE_X = \"1\"", "FAKE_X = \"2\""));
        assert_eq!(message(&output), "renewed: app\n");
        supervisor.until("the old one has left", || !is_alive(first));
        assert_eq!(supervisor.state("app"), "ready");
        assert_eq!(supervisor.stop(), 0);
        let states = supervisor.messages("supervise").join("\n");
        assert!(states.contains("has taken over"), "{states}");
        assert_eq!(states.matches("app is ready").count(), 1, "never down: {states}");
    }
}
