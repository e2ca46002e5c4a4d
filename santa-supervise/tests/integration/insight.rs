//! What the commands tell about the services.

use crate::support::{Supervisor, text};

on_every_os! {
    fn an_explanation_names_the_last_exits_their_last_lines_and_what_comes_next(os) {
        let mut supervisor = Supervisor::new(os);
        supervisor = supervisor
            .service("app", &["print begun", "eprint no database", "exit 3"],
                "backoff = { initial = \"1h\", max = \"1h\" }")
            .start();
        supervisor.wait_for_state("app", "backoff");
        let shown = supervisor.ctl_ok(&["explain", "app"]);
        for part in ["app is backoff", "exit code 3", "| no database", "next: starts again in "] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let json: serde_json::Value =
            serde_json::from_str(&supervisor.ctl_ok(&["explain", "app", "--json"])).expect("JSON");
        assert_eq!(json[0]["exits"][0]["exit"], "exit code 3");
        assert_eq!(json[0]["state"], "backoff");
        let output = supervisor.ctl(&["explain", "nobody"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("there is no service"), "{output:?}");
        assert_eq!(supervisor.stop(), 0);
    }

    fn numbers_are_told_as_prometheus_text_and_as_a_table(os) {
        let mut supervisor = Supervisor::new(os).service("app", &["print four", "forever"], "").start();
        supervisor.wait_for_state("app", "ready");
        supervisor.until("its line was read", || supervisor.ctl_ok(&["metrics"])
            .contains("service_log_bytes_total{service=\"app\",instance=\"0\"} 5\n"));
        let metrics = supervisor.ctl_ok(&["metrics"]);
        let own = "{service=\"app\",instance=\"0\"";
        assert!(metrics.contains(&format!("santa_supervise_service_up{own}}} 1\n")), "{metrics}");
        assert!(metrics.contains(&format!("service_state{own},state=\"ready\"}} 1\n")), "{metrics}");
        let memory = format!("service_resident_memory_bytes{own}}}");
        assert_eq!(metrics.contains(&memory), os != "portable", "{metrics}");
        for name in ["santa_supervise_longest_turn_seconds ", "santa_supervise_longest_turn_cpu_seconds "] {
            let longest = metrics.lines().find_map(|line| line.strip_prefix(name));
            assert!(longest.expect("the longest turn").parse::<f64>().expect("a number") > 0.0);
        }
        let top = supervisor.ctl_ok(&["top", "--once"]);
        assert!(top.contains("app:0") && top.contains("ready"), "{top}");
        let json: serde_json::Value =
            serde_json::from_str(&supervisor.ctl_ok(&["top", "--json"])).expect("JSON");
        assert_eq!(json[0]["processes"].as_u64(), (os != "portable").then_some(1));
        assert_eq!(supervisor.stop(), 0);
    }

    fn every_answer_comes_as_json_on_request(os) {
        let mut supervisor = Supervisor::new(os).service("app", &["forever"], "").start();
        supervisor.wait_for_state("app", "ready");
        for command in [
            &["healthcheck", "--ready", "--json"][..],
            &["wait", "app", "--json"],
            &["signal", "app", "CONT", "--json"],
            &["metrics", "--json"],
            &["shutdown", "--json"],
        ] {
            let shown = supervisor.ctl_ok(command);
            let json: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
            assert_eq!(json["ok"], true, "{command:?}");
        }
        assert_eq!(supervisor.wait().code(), Some(0));
    }
}
