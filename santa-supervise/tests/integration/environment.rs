//! Variables from files, and secrets that are mounted.

use std::fs;

use crate::support::Supervisor;

#[test]
fn files_of_variables_and_secrets_are_read_at_each_start() {
    let supervisor = Supervisor::new("linux");
    fs::write(supervisor.path("vars"), "# two\nA=$one %s\nB=\"two\"\nC=lost\n").expect("vars");
    fs::write(supervisor.path("key"), "s3cret'\"$A\n\n").expect("key");
    let mut supervisor = supervisor
        .service(
            "app",
            &["variable A {dir}/a", "variable B {dir}/b", "variable C {dir}/c", "variable KEY {dir}/k", "print up", "forever"],
            "env_files = [\"{dir}/vars\"]\nsecrets = { KEY = \"{dir}/key\" }\nenv = { C = \"won\" }\nready = { kind = \"log\", pattern = \"up\" }",
        )
        .replacing_dir()
        .start();
    supervisor.wait_for_state("app", "ready");
    let seen = || ["a", "b", "c", "k"].map(|name| supervisor.read(name));
    assert_eq!(seen(), ["$one %s", "two", "won", "s3cret'\"$A"]);
    fs::write(supervisor.path("key"), "changed").expect("key");
    supervisor.ctl_ok(&["restart", "app"]);
    assert_eq!(supervisor.read("k"), "changed");
    assert_eq!(supervisor.stop(), 0);
    assert!(!supervisor.log().contains("s3cret"), "no secret is logged");
}

#[test]
fn a_file_that_cannot_be_used_is_named_and_its_content_is_not() {
    let supervisor = Supervisor::new("linux");
    fs::write(supervisor.path("vars"), "A=1\ns3cret without a name\n").expect("vars");
    let mut supervisor = supervisor
        .service("app", &["forever"], "env_files = [\"{dir}/vars\"]")
        .service("other", &["forever"], "secrets = { KEY = \"{dir}/missing\" }")
        .start();
    supervisor.wait_for_state("app", "failed");
    supervisor.wait_for_state("other", "failed");
    let why = |name: &str| supervisor.service_status(name)["why"].as_str().expect("why").to_owned();
    assert!(why("app").contains("env_files: ") && why("app").contains("line 2"), "{}", why("app"));
    let problem = why("other");
    assert!(problem.contains("secrets.KEY: ") && problem.contains("is it mounted"), "{problem}");
    assert_eq!(supervisor.stop(), 0);
    assert!(!supervisor.log().contains("s3cret"));
}

/// What a service or a hook finds in its environment.
fn environ(supervisor: &Supervisor, pid: i32) -> Vec<String> {
    let mut found = Vec::new();
    supervisor.until("its environment can be read", || {
        let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        found = crate::support::text(&bytes).split('\0').map(str::to_owned).collect();
        found.iter().any(|entry| entry.starts_with("SANTA_SUPERVISE_ID="))
    });
    found
}

#[test]
#[cfg(target_os = "linux")]
fn a_service_has_the_variables_that_it_declares_and_no_others() {
    const SECRETS: [(&str, &str); 4] = [
        ("SECRET_KEY", "a-key"),
        ("DATABASE_URL", "postgresql://me:pw@db/x"),
        ("POSTGRES_PASSWORD", "pw"),
        ("SANTA__SERVICE__BACKEND__ENV__CLIENT_SECRET", "another"),
    ];
    let mut supervisor = Supervisor::new("linux")
        .without_main_socket()
        .extra("[socket.main]\nlisten = \"${PUBLIC:-127.0.0.1:1}\"")
        .service("plain", &["forever"], "")
        .service("some", &["forever"], "env_pass = [\"POSTGRES_*\", \"DATABASE_URL\"]")
        .service("backend", &["forever"], "env_pass = [\"*\"]\nenv = { KEY = \"${SECRET_KEY:?}\" }")
        .service(
            "less",
            &["forever"],
            "env_pass = [\"!POSTGRES_*\", \"!LC_TIME\", \"!SECRET_KEY\", \"*\"]",
        )
        .program("proxy", crate::support::FAKE, "args = [\"forever\", \"{config}\"]")
        .setting("PUBLIC", "127.0.0.1:2".as_ref())
        .setting("SANTA__SERVICE__BACKEND__INSTANCES", "1".as_ref())
        .setting("LC_TIME", "C".as_ref());
    for (name, value) in SECRETS {
        supervisor = supervisor.setting(name, value.as_ref());
    }
    let mut supervisor = supervisor.start();
    let of = |name: &str| {
        supervisor.wait_for_state(name, "ready");
        environ(&supervisor, supervisor.service_pid(name))
    };
    let has =
        |all: &[String], name: &str| all.iter().any(|one| one.split('=').next() == Some(name));
    let seen = |all: &[String]| -> Vec<&str> {
        SECRETS.iter().map(|(name, _)| *name).filter(|name| has(all, name)).collect()
    };
    let (plain, proxy) = (of("plain"), of("proxy"));
    assert_eq!(seen(&plain), Vec::<&str>::new());
    assert!(has(&plain, "PATH") && has(&plain, "LC_TIME") && !has(&plain, "PUBLIC"), "{plain:?}");
    assert_eq!(seen(&of("some")), ["DATABASE_URL", "POSTGRES_PASSWORD"]);
    let less = of("less");
    assert_eq!(seen(&less), ["DATABASE_URL", "SANTA__SERVICE__BACKEND__ENV__CLIENT_SECRET"]);
    assert!(has(&less, "PATH") && !has(&less, "LC_TIME"), "{less:?}");
    assert_eq!(seen(&of("backend")), SECRETS.map(|(name, _)| name));
    // It reads the file itself, as santa-proxy does.
    assert_eq!(seen(&proxy), Vec::<&str>::new());
    assert!(
        has(&proxy, "PUBLIC") && has(&proxy, "SANTA__SERVICE__BACKEND__INSTANCES"),
        "{proxy:?}"
    );
    assert!(SECRETS.iter().all(|(_, value)| !proxy.iter().any(|entry| entry.contains(value))));
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn a_hook_has_the_variables_that_it_declares_and_no_others() {
    let mut supervisor = Supervisor::new("linux");
    let file = |name: &str| supervisor.path(name).display().to_string();
    let hook = |name: &str, more: &str| {
        let step = format!("variable SECRET_KEY {}", file(name));
        format!(
            "[[hook]]\nname = \"{name}\"\nstates = [\"ready\"]\n{more}\ncommand = [{:?}, {step:?}]",
            crate::support::FAKE
        )
    };
    let (without, with) = (hook("without", ""), hook("with", "env_pass = [\"SECRET_KEY\"]"));
    supervisor = supervisor
        .service("app", &["forever"], "")
        .extra(&without)
        .extra(&with)
        .setting("SECRET_KEY", "a-key".as_ref())
        .start();
    supervisor.until("both were called", || {
        ["with", "without"].iter().all(|name| supervisor.path(name).exists())
            && !supervisor.read("with").is_empty()
    });
    assert_eq!(
        (supervisor.read("without"), supervisor.read("with")),
        (String::new(), "a-key".to_owned())
    );
    assert_eq!(supervisor.stop(), 0);
}

#[test]
fn what_is_no_variable_to_pass_is_refused() {
    let supervisor = Supervisor::new("linux").service("app", &["forever"], "env_pass = [\"A B\"]");
    supervisor.write();
    let output = supervisor.ctl(&["check"]);
    let problem = crate::support::text(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{problem}");
    assert!(
        problem.contains("service.app.env_pass: \"A B\" is not the name of a variable"),
        "{problem}"
    );
}
