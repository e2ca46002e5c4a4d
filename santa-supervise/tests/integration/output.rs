//! Output of services: whole lines, whoever reads them, however slowly.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use crate::support::{Supervisor, text};
use santa_supervise::os;

on_every_os! {
    fn lines_of_two_services_are_never_mixed(os) {
        let mut supervisor = Supervisor::new(os)
            .service("a", &["begin aa", "sleep 30", "print aa", "flood 5000 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "print end"], "kind = \"task\"")
            .service("b", &["flood 5000 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "begin b", "sleep 30", "print b", "print end"], "kind = \"task\"")
            .start();
        supervisor.wait_for_state("a", "completed");
        supervisor.wait_for_state("b", "completed");
        assert_eq!(supervisor.stop(), 0);
        for (service, letter) in [("a", 'a'), ("b", 'b')] {
            let messages = supervisor.messages(service);
            assert_eq!(messages.len(), 5_002, "{service}");
            let whole = |message: &&String| *message == "end" || message.chars().all(|c| c == letter);
            assert_eq!(messages.iter().filter(whole).count(), 5_002, "{service}");
        }
    }

    fn json_lines_are_merged_and_cannot_forge_their_service(os) {
        let mut supervisor = Supervisor::new(os)
            .service("app", &[
                r#"print {"level":"error","message":"from the child","ts":"then","service":"proxy","n":1.50}"#,
                "eprint plain words",
                "bytes",
            ], "kind = \"task\"")
            .start();
        supervisor.wait_for_state("app", "completed");
        assert_eq!(supervisor.stop(), 0);
        let records = supervisor.records();
        let merged = records.iter().find(|record| record["message"] == "from the child").expect("merged");
        assert_eq!(merged["service"], "app");
        assert_eq!((&merged["level"], &merged["ts"]), (&"error".into(), &"then".into()));
        assert!(supervisor.log().contains("\"n\":1.50"), "numbers stay as they were");
        let plain = records.iter().find(|record| record["message"] == "plain words").expect("plain");
        assert_eq!(plain["stream"], "stderr");
        assert!(supervisor.messages("app").iter().any(|message| message.starts_with('\u{fffd}')), "binary output");
    }

    fn one_line_stays_one_record_whatever_readers_split_on(os) {
        // Carriage return, vertical tab, form feed, file and record separator, NEL,
        // line and paragraph separator, NUL, escape, delete.
        let breaks = ["\\x0d", "\\x0b", "\\x0c", "\\x1c", "\\x1e", "\\xc2\\x85", "\\xe2\\x80\\xa8", "\\xe2\\x80\\xa9", "\\x00", "\\x1b[2K", "\\x7f"];
        let forged = r#"{"service":"proxy","message":"forged"}"#;
        let mut steps = Vec::new();
        for one in breaks {
            // Between values, in a string, in a name, in an array, in plain text.
            steps.push(format!("raw {{\"message\":\"m\",\"a\":[1,{one}{forged}{one}]}}"));
            steps.push(format!("raw {{\"message\":\"m\",{one}{}", &forged[1..]));
            steps.push(format!("raw {{\"message\":\"x{one}{{'service':'proxy'}}\",\"k{one}\":{{\"{one}\":1}}}}"));
            steps.push(format!("raw before{one}{forged}"));
        }
        let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
        let mut supervisor = Supervisor::new(os).service("app", &steps, "kind = \"task\"").start();
        supervisor.wait_for_state("app", "completed");
        let answers = supervisor.ctl_ok(&["logs", "app", "-n", "1000", "--json"]);
        assert_eq!(supervisor.stop(), 0);
        let splits = |c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}';
        for text in [supervisor.log(), answers] {
            let pieces = text.split(splits).filter(|piece| !piece.is_empty());
            let records: Vec<serde_json::Value> =
                pieces.map(|piece| serde_json::from_str(piece).unwrap_or_else(|error| panic!("{error}: {piece}"))).collect();
            assert!(records.iter().all(|record| record["service"] != "proxy"), "{text}");
            let own = records.iter().filter(|record| record["service"] == "app").count();
            assert_eq!(own, steps.len());
        }
    }

    fn a_line_without_end_is_cut_into_marked_pieces(os) {
        let long = "x".repeat(3_000);
        let mut supervisor = Supervisor::new(os)
            .extra("[supervisor.log]\nmax_line = \"1KiB\"")
            .service("app", &[&format!("print {long}")], "kind = \"task\"")
            .start();
        supervisor.wait_for_state("app", "completed");
        assert_eq!(supervisor.stop(), 0);
        let pieces: Vec<_> = supervisor.records().into_iter().filter(|record| record["service"] == "app").collect();
        let lengths: Vec<usize> = pieces.iter().map(|piece| piece["message"].as_str().expect("text").len()).collect();
        assert_eq!(lengths, [1_024, 1_024, 952]);
        let marks: Vec<bool> = pieces.iter().map(|piece| piece["unfinished"] == true).collect();
        assert_eq!(marks, [true, true, false]);
    }

    fn the_last_words_come_before_the_news_of_the_end(os) {
        let mut supervisor = Supervisor::new(os)
            .service("app", &["flood 2000 working", "begin last words", "exit 3"], "restart = \"never\"")
            .start();
        supervisor.wait_for_state("app", "failed");
        assert_eq!(supervisor.stop(), 0);
        let log = supervisor.log();
        let words = log.find("last words").expect("last words");
        let end = log.find("\"to\":\"failed\"").expect("the end");
        assert!(words < end, "{log}");
    }

    fn a_stuck_reader_of_the_log_stops_nothing(os) {
        let (read, write) = os::pipe().expect("pipe");
        let mut supervisor = Supervisor::new(os);
        let done = supervisor.path("done").display().to_string();
        supervisor = supervisor
            .extra("[supervisor.log]\nbuffer = \"64KiB\"")
            .service("chatty", &["flood 20000 a line that nobody reads for a long time", &format!("pid {done}"), "forever"], "")
            .service("app", &["forever"], "restart = \"always\"")
            .start_into(Stdio::from(write));
        supervisor.until("the chatty one is not held up", || !supervisor.read("done").is_empty());
        supervisor.ctl_ok(&["restart", "app"]);
        supervisor.ctl_ok(&["signal", "app", "KILL"]);
        supervisor.until("it was restarted", || supervisor.service_status("app")["restarts"] == 2);
        assert!(supervisor.status()["supervisor"]["dropped_lines"].as_u64() > Some(0));
        assert_eq!(supervisor.stop(), 0);
        drop(read);
    }

    fn what_was_dropped_is_counted_once_the_reader_wakes(os) {
        let (read, write) = os::pipe().expect("pipe");
        let mut supervisor = Supervisor::new(os);
        let done = supervisor.path("done").display().to_string();
        supervisor = supervisor
            .extra("[supervisor.log]\nbuffer = \"64KiB\"")
            .service("chatty", &["flood 20000 a line that nobody reads for a long time", &format!("pid {done}"), "forever"], "")
            .start_into(Stdio::from(write));
        supervisor.until("the chatty one is through", || !supervisor.read("done").is_empty());
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            File::from(read).read_to_end(&mut bytes).expect("read");
            text(&bytes)
        });
        let dropped = supervisor.status()["supervisor"]["dropped_lines"].as_u64().expect("count");
        assert_eq!(supervisor.stop(), 0);
        let log = reader.join().expect("reader");
        let records: Vec<serde_json::Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let seen = records.iter().filter(|record| record["service"] == "chatty").count() as u64;
        let reported: u64 = records.iter().filter_map(|record| record["lines"].as_u64()).sum();
        assert!(dropped > 0);
        assert_eq!(seen + reported, 20_000, "every line is shown or counted");
    }

    fn lines_over_the_rate_of_a_service_are_dropped_and_counted(os) {
        let mut supervisor = Supervisor::new(os)
            .service("chatty", &["flood 5000 again and again", "print through", "forever"], "log = { rate = 1, burst = 100 }")
            .service("quiet", &["flood 500 something to say", "forever"], "")
            .start();
        supervisor.wait_for_state("chatty", "ready");
        supervisor.until("it is told", || supervisor.log().contains("it writes more than its log.rate"));
        supervisor.until("all is read", || supervisor.log().matches("something to say").count() == 500);
        let usage: serde_json::Value = serde_json::from_str(&supervisor.ctl_ok(&["top", "--json"])).expect("JSON");
        let dropped = usage[0]["dropped_lines"].as_u64().expect("count");
        assert!((4_800..=4_901).contains(&dropped), "{dropped}");
        assert_eq!(usage[1]["dropped_lines"], 0, "the other one is not concerned");
        assert_eq!(supervisor.stop(), 0);
        let seen = supervisor.messages("chatty").len() as u64;
        assert!((100..=201).contains(&seen), "{seen}");
    }

    fn a_closed_log_stops_nothing(os) {
        let (read, write) = os::pipe().expect("pipe");
        drop(read);
        let mut supervisor = Supervisor::new(os)
            .service("app", &["print nobody hears this", "forever"], "restart = \"always\"")
            .start_into(Stdio::from(write));
        supervisor.wait_for_state("app", "ready");
        supervisor.ctl_ok(&["restart", "app"]);
        assert_eq!(supervisor.stop(), 0);
    }

    fn an_exit_is_seen_although_something_holds_the_pipe(os) {
        let mut supervisor = Supervisor::new(os)
            .service("app", &["child setsid; sleep 3000", "sleep 100", "exit 3"], "restart = \"never\"")
            .start();
        supervisor.wait_for_state("app", "failed");
        assert_eq!(supervisor.stop(), 0);
    }

    fn on_request_the_log_is_for_people(os) {
        let mut supervisor = Supervisor::new(os)
            .extra("[supervisor.log]\nformat = \"pretty\"")
            .service("app", &["print hello"], "kind = \"task\"")
            .start();
        supervisor.wait_for_state("app", "completed");
        assert_eq!(supervisor.stop(), 0);
        let log = supervisor.log();
        assert!(log.lines().any(|line| line.ends_with(" app        hello")), "{log}");
        assert!(log.lines().any(|line| line.ends_with(" supervise  app completed (exit code 0)")), "{log}");
        assert!(!log.contains('\u{1b}'), "no colors outside a terminal");
    }
}
