//! The shipped file is right, and wrong files are refused with all diagnostics.

use std::path::Path;
use std::time::Duration;

use santa_config::{Address, Config, Diagnostics, Env, Kind, Ready, Restart, Size};

fn shipped() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../santa.toml"))
        .expect("docker/santa.toml")
}

fn env(pairs: &[(&str, &str)]) -> Env {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn read(text: &str, pairs: &[(&str, &str)]) -> Result<Config, Diagnostics> {
    santa_config::parse(text, "santa.toml", &env(pairs))
}

fn refusal(text: &str, pairs: &[(&str, &str)]) -> String {
    read(text, pairs).expect_err("must be refused").to_string()
}

#[test]
fn the_shipped_file_is_valid_in_an_empty_environment() {
    let config = read(&shipped(), &[]).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    assert_eq!(config.upstreams(), [Address::Unix("/tmp/uvicorn.sock".into())]);
    assert_eq!(config.sockets["http"].listen.to_string(), "[::]:8080");
    assert!(config.proxy.trusted_proxies.is_empty());
    assert_eq!(config.proxy.limits.head_size, Size(16 * 1024));
    let backend =
        config.services.iter().find(|service| service.name == "backend").expect("backend");
    assert_eq!(backend.kind, Kind::Daemon);
    assert_eq!(backend.restart, Restart::Always);
    assert_eq!(backend.ready, Ready::Listen { socket: "backend".into() });
    assert_eq!(backend.args.last().map(String::as_str), Some("{fd:backend}"));
    assert_eq!(backend.command, config.paths.python.display().to_string());
}

#[test]
fn the_proxy_gets_no_variable_that_holds_a_secret() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../santa.toml");
    let of_container = env(&[("SECRET_KEY", "x"), ("SANTA__SERVICE__BACKEND__ENV__KEY", "x")]);
    let needed: Vec<String> =
        santa_config::shared_variables(&shipped(), &of_container).into_iter().collect();
    assert_eq!(needed, ["TRUSTED_PROXIES", "UVICORN_UDS", "UVICORN_WORKERS"]);
    let config = read(&shipped(), &[]).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let passed = |name: &str| {
        let service = config.services.iter().find(|service| service.name == name);
        service.expect(name).env_pass.clone()
    };
    assert_eq!(passed("proxy"), Vec::<String>::new());
    assert_eq!(passed("backend"), ["*", "!DATABASE_OWNER_URL*"]);
    assert_eq!(passed("migrate"), ["*"]);
    // With these it reads the same as santa-supervise does.
    let some = env(&[("UVICORN_WORKERS", "3"), ("TRUSTED_PROXIES", "10.0.0.0/8")]);
    let shared = santa_config::load_shared(&path, &some).expect("valid");
    let whole = santa_config::load(&path, &some).expect("valid");
    assert_eq!((shared.upstreams(), shared.proxy), (whole.upstreams(), whole.proxy));
}

#[test]
fn documented_variables_reach_their_values() {
    let config = read(
        &shipped(),
        &[
            ("UVICORN_UDS", "/run/santa/app.sock"),
            ("UVICORN_WORKERS", "2"),
            ("TRUSTED_PROXIES", "10.0.0.0/8, fd00::/8"),
            ("SANTA__PROXY__LIMITS__HEAD_SIZE", "32KiB"),
            ("SANTA__SERVICE__BACKEND__STOP_TIMEOUT", "20s"),
            ("SANTA__ADMIN__LISTEN", ""),
        ],
    )
    .unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
    let upstreams: Vec<String> = config.upstreams().iter().map(Address::to_string).collect();
    assert_eq!(upstreams, ["unix:/run/santa/app-0.sock", "unix:/run/santa/app-1.sock"]);
    assert_eq!(config.proxy.trusted_proxies.len(), 2);
    assert_eq!(config.proxy.limits.head_size, Size(32 * 1024));
    assert_eq!(config.admin.listen, None);
    let backend =
        config.services.iter().find(|service| service.name == "backend").expect("backend");
    assert_eq!(backend.stop_timeout, Duration::from_secs(20));
}

#[test]
fn every_error_is_reported_at_once_with_its_place_and_remedy() {
    let text = shipped()
        .replace("backlog = 4096", "backlog = \"many\"")
        .replace("[proxy]", "[proxy]\nworkrs = 2\nlimits.head_size = 16384")
        .replace("shutdown_timeout = \"9s\"", "shutdown_timeout = \"9\"");
    let message = refusal(&text, &[]);
    for part in [
        "socket.http.backlog: \"many\" is not valid here; expected a whole number",
        "proxy.workrs: unknown key; did you mean \"workers\"?",
        "proxy.limits.head_size: 16384 is not valid here; expected a size",
        "supervisor.shutdown_timeout: \"9\" is not valid here; expected a duration",
    ] {
        assert!(message.contains(part), "{part} is not in:\n{message}");
    }
    let line = text.lines().position(|line| line.starts_with("workrs")).expect("written above") + 1;
    assert!(message.contains(&format!("santa.toml:{line}:1: proxy.workrs")), "{message}");
    assert_eq!(message.lines().count(), 4, "{message}");
}

#[test]
fn broken_references_between_keys_name_what_there_is() {
    let text = shipped()
        .replace("upstream = \"backend\"", "upstream = \"backand\"")
        .replace("depends_on = [\"migrate\"]", "depends_on = [\"migrate\", \"database\"]");
    let message = refusal(&text, &[]);
    assert!(
        message
            .contains("proxy.upstream: there is no socket \"backand\"; did you mean \"backend\"?"),
        "{message}"
    );
    assert!(message.contains("service.backend.depends_on: there is no service \"database\"; there are: migrate, backend, proxy"), "{message}");
}

#[test]
fn a_circle_of_dependencies_is_shown() {
    let text = shipped().replace("kind = \"task\"", "kind = \"task\"\ndepends_on = [\"backend\"]");
    let message = refusal(&text, &[]);
    assert!(message.contains("dependency cycle: migrate → backend → migrate"), "{message}");
}

#[test]
fn a_circle_of_stops_is_shown() {
    let text =
        shipped().replace("name = \"proxy\"", "name = \"proxy\"\nstop_after = [\"backend\"]");
    let message = refusal(&text, &[]);
    assert!(message.contains("dependency cycle: backend → proxy → backend"), "{message}");
    // What a service depends on cannot stop before it.
    let text = shipped().replace("[\"proxy\"]", "[\"migrate\"]");
    let message = refusal(&text, &[]);
    assert!(message.contains("migrate → backend → migrate"), "{message}");
}

#[test]
fn overrides_of_what_does_not_exist_are_refused() {
    let message = refusal(
        &shipped(),
        &[
            ("SANTA__PROXY__WORKRS", "2"),
            ("SANTA__SERVICE__BAKEND__COMMAND", "x"),
            ("SANTA__PROXXY__LIMITS__HEAD_SIZE", "1KiB"),
            ("SANTA__PROXY__TIMEOUTS__HEAD", "soon"),
            ("SANTA__", "x"),
        ],
    );
    // Each is blamed on its variable, none on the file.
    let begins = |line: &str| line.starts_with("environment variable SANTA__");
    assert_eq!(message.lines().filter(|line| begins(line)).count(), 5, "{message}");
    assert_eq!(message.lines().count(), 5, "{message}");
    for part in ["SANTA__PROXXY__LIMITS__HEAD_SIZE: proxxy: unknown key", "\"soon\" is not valid"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(message.contains("proxy.workrs: unknown key"), "{message}");
    assert!(
        message.contains("SANTA__SERVICE__BAKEND__COMMAND: there is no entry named \"bakend\""),
        "{message}"
    );
}

#[test]
fn socket_paths_that_no_system_takes_are_refused() {
    let long = format!("/tmp/{}.sock", "x".repeat(100));
    let message = refusal(&shipped(), &[("UVICORN_UDS", &long)]);
    assert!(message.contains("socket.backend.listen: the path has"), "{message}");
}

#[test]
fn readiness_says_what_it_needs() {
    let text = shipped().replace(
        "kind = \"listen\", socket = \"backend\"",
        "kind = \"http\", socket = \"backend\"",
    );
    assert!(refusal(&text, &[]).contains("kind = \"http\" with socket = \"NAME\" and path"));
    let text = shipped().replace("sockets = [\"backend\"]", "sockets = []");
    assert!(refusal(&text, &[]).contains("must be in sockets"));
}

#[test]
fn tls_says_what_it_needs() {
    let refusal = |lines: &str| refusal(&(shipped() + "\n[proxy.tls]\n" + lines), &[]);
    let message = refusal("socket = \"https\"");
    for part in ["\"https\"", "proxy.tls.certificate: is missing", "proxy.tls.key: is missing"] {
        assert!(message.contains(part), "{part} is not in {message}");
    }
    assert!(refusal("socket = \"http\"").contains("must not be proxy.socket"));
    let message = refusal("client_certificate = \"required\"");
    assert!(message.contains("proxy.tls.client_authorities: is missing"), "{message}");
}

#[test]
fn broken_toml_and_a_missing_file_give_one_clear_line() {
    let message = refusal("version = 1\n[paths\n", &[]);
    assert!(message.contains("santa.toml:2:"), "{message}");
    assert!(message.contains("not valid TOML"), "{message}");
    let missing = santa_config::load(Path::new("/nowhere/santa.toml"), &Env::new())
        .expect_err("no such file");
    assert!(missing.to_string().starts_with("/nowhere/santa.toml: cannot be read:"), "{missing}");
}

#[test]
fn the_reference_lists_every_table_with_defaults() {
    let text = santa_config::reference();
    for part in [
        "## `[proxy.limits]`",
        "## `[[service]]`",
        "## `[socket.NAME]`",
        "| `head_size` |",
        "`\"16KiB\"`",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}") {
        let _ = read(&text, &[("SANTA__A__B", &text)]);
    }
}
