//! Which variables of the user's environment reach what. A variable that is meant
//! for the user's own programs (PGPORT, PYTHONPATH, NODE_ENV …) must not change what
//! is built, checked or run here; where packages come from is the user's to say.

use std::ffi::OsString;

/// Families of variables that go no further, but for the members named; `*` ends one
/// that stands for all that begin so.
const FAMILIES: &[(&str, &[&str])] = &[
    // cargo tells the program that it runs about itself. Build scripts that cargo
    // starts below us must not see it: they would run again each time.
    ("CARGO_BIN_", &[]),
    ("CARGO_MANIFEST_", &[]),
    ("CARGO_PKG_", &[]),
    ("CARGO_FEATURE_", &[]),
    // What libpq and PostgreSQL's programs take for options.
    ("PG", &[]),
    ("PYTHON", &[]),
    ("CONDA_", &[]),
    ("PYTEST_", &[]),
    ("RUFF_", &[]),
    ("MYPY", &[]),
    (
        "PIP_",
        &[
            "CERT",
            "CLIENT_CERT",
            "CONFIG_FILE",
            "DEFAULT_TIMEOUT",
            "EXTRA_INDEX_URL",
            "FIND_LINKS",
            "INDEX_URL",
            "KEYRING_PROVIDER",
            "NO_INDEX",
            "PROXY",
            "RETRIES",
            "TIMEOUT",
            "TRUSTED_HOST",
        ],
    ),
    (
        "UV_",
        &[
            "DEFAULT_INDEX",
            "EXTRA_INDEX_URL",
            "FIND_LINKS",
            "HTTP_TIMEOUT",
            "INDEX",
            "INDEX_*",
            "INSECURE_HOST",
            "KEYRING_PROVIDER",
            "NO_INDEX",
        ],
    ),
    ("NODE_", &["EXTRA_CA_CERTS", "TLS_REJECT_UNAUTHORIZED", "USE_ENV_PROXY", "USE_SYSTEM_CA"]),
    // npm reads its variables in either case.
    (
        "NPM_",
        &[
            "CONFIG_//*",
            "CONFIG_CA",
            "CONFIG_CACHE",
            "CONFIG_CAFILE",
            "CONFIG_FETCH_RETRIES",
            "CONFIG_FETCH_TIMEOUT",
            "CONFIG_GLOBALCONFIG",
            "CONFIG_HTTPS_PROXY",
            "CONFIG_NOPROXY",
            "CONFIG_PROXY",
            "CONFIG_REGISTRY",
            "CONFIG_STRICT_SSL",
            "CONFIG_USERCONFIG",
            "TOKEN",
        ],
    ),
    ("VITE", &[]),
    // A service manager's word to its own child.
    ("LISTEN_", &[]),
    ("WATCHDOG_", &[]),
];

/// Single variables that go no further.
const NAMES: &[&str] = &[
    "CARGO",
    "CARGO_CRATE_NAME",
    "CARGO_PRIMARY_PACKAGE",
    "FORCE_COLOR",
    // Set in a git hook, for another working tree perhaps.
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_WORK_TREE",
    "NOTIFY_SOCKET",
    "OUT_DIR",
    "VIRTUAL_ENV",
    "__PYVENV_LAUNCHER__",
];

/// What the services of the development loop get, beside what docker/santa.toml
/// gives them: the machine's ways, and what the reference of settings names.
const SERVICES: &[&str] = &[
    "AUDIT_CHECKPOINT_FILE",
    "AUDIT_CHECKPOINT_URL",
    "AUDIT_DETAIL_RETENTION_DAYS",
    "AUDIT_KEY",
    "AUDIT_KEY_FILE",
    "AUDIT_ORIGIN",
    "CACHE_MEMORY_MIB",
    "COLORTERM",
    "CONFIRMATION_RETENTION_DAYS",
    "CONFIRM_ABOVE",
    "COUNT_RETENTION_DAYS",
    "EVENT_RETENTION_DAYS",
    "HISTORY_RETENTION_DAYS",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LD_LIBRARY_PATH",
    "LOGNAME",
    "LOG_LEVEL",
    "NO_COLOR",
    "PATH",
    "PROFILE_SIGNING_CERTIFICATE",
    "PROFILE_SIGNING_CERTIFICATE_FILE",
    "PROFILE_SIGNING_KEY",
    "PROFILE_SIGNING_KEY_FILE",
    "REQUIRE_ENROLLMENT",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "SESSION_ADMIN_HOURS",
    "SESSION_ADMIN_IDLE_MINUTES",
    "SESSION_HOURS",
    "SESSION_IDLE_MINUTES",
    "SHELL",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "SYNC_RETENTION_DAYS",
    "CLIENT_ID",
    "CLIENT_SECRET",
    "CLIENT_SECRET_FILE",
    "OIDC_GROUP_ROLES",
    "OIDC_ISSUER",
    "OIDC_NAME",
    "TENANT_ID",
    "TERM",
    "TMPDIR",
    "TRUSTED_PROXIES",
    "TZ",
    "USER",
    "UVICORN_WORKERS",
    "WIDELY_USED_MACS",
];

/// Settings of the backend that the development loop makes up itself.
#[cfg(test)]
const MADE_UP: &[&str] = &[
    "DATABASE_DIRECT_URL",
    "DATABASE_DIRECT_URL_FILE",
    "DATABASE_OWNER_URL",
    "DATABASE_OWNER_URL_FILE",
    "DATABASE_URL",
    "DATABASE_URL_FILE",
    "ENVIRONMENT",
    "POSTGRES_DB",
    "POSTGRES_PASSWORD",
    "POSTGRES_PASSWORD_FILE",
    "POSTGRES_PORT",
    "POSTGRES_SERVER",
    "POSTGRES_USER",
    "PUBLIC_URL",
    "SECRET_KEY",
    "SECRET_KEY_PREVIOUS",
    "SUPERVISOR_SOCKET",
    "UVICORN_UDS",
];

/// Removes what must not reach anything. Called once, before anything is started.
#[expect(unsafe_code, reason = "the environment is changed while there is one thread")]
pub(crate) fn clean() {
    for (name, _) in std::env::vars_os() {
        if !name.to_str().is_none_or(kept) {
            // SAFETY: `main` calls this before it starts any thread.
            unsafe { std::env::remove_var(name) };
        }
    }
    if let Some(path) = std::env::var_os("LD_LIBRARY_PATH") {
        let rest: Vec<_> =
            std::env::split_paths(&path).filter(|one| !added_by_cargo(one)).collect();
        match std::env::join_paths(&rest) {
            // SAFETY: as above.
            Ok(rest) if !rest.is_empty() => unsafe { std::env::set_var("LD_LIBRARY_PATH", rest) },
            // SAFETY: as above.
            _ => unsafe { std::env::remove_var("LD_LIBRARY_PATH") },
        }
    }
    // SAFETY: as above.
    unsafe { std::env::set_var(crate::repo::ROOT_VARIABLE, crate::repo::root()) };
}

/// Removes what leads to the user's own container engines, for commands that have
/// engines of their own. Called, like [`clean`], before anything is started.
#[expect(unsafe_code, reason = "the environment is changed while there is one thread")]
pub(crate) fn forget_engines() {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(of_an_engine) {
            // SAFETY: `main` calls this before it starts any thread.
            unsafe { std::env::remove_var(name) };
        }
    }
}

fn of_an_engine(name: &str) -> bool {
    ["BUILDAH_", "CONTAINER_", "CONTAINERS_", "DOCKER_", "NETAVARK_", "PODMAN_", "STORAGE_"]
        .iter()
        .any(|family| name.starts_with(family))
        || ["BUILDKIT_HOST", "COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "REGISTRY_AUTH_FILE"]
            .contains(&name)
}

/// What the services of the development loop are started with.
pub(crate) fn of_services() -> Vec<(OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(for_services)).collect()
}

fn kept(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let name = if upper.starts_with("NPM_") { &upper } else { name };
    let family = FAMILIES.iter().find(|(family, _)| name.starts_with(family));
    family.is_none_or(|(family, members)| members.iter().any(|one| is(&name[family.len()..], one)))
        && !NAMES.contains(&name)
}

fn is(name: &str, member: &str) -> bool {
    member.strip_suffix('*').map_or(name == member, |start| name.starts_with(start))
}

fn for_services(name: &str) -> bool {
    let proxy = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];
    SERVICES.contains(&name)
        || name.starts_with("LC_")
        || name.starts_with("SANTA_")
        || proxy.contains(&name.to_ascii_lowercase().as_str())
}

/// `cargo run` puts its own folders first, in which other programs find wrong libraries.
fn added_by_cargo(folder: &std::path::Path) -> bool {
    let parts: Vec<_> = folder.iter().filter_map(|part| part.to_str()).collect();
    let built =
        parts.windows(2).any(|pair| matches!(pair, ["debug" | "release", "deps" | "build"]));
    let beside = folder.join("deps").is_dir() && folder.join(".fingerprint").is_dir();
    let toolchain = parts.contains(&"rustlib") || folder.join("rustlib").is_dir();
    built || beside || toolchain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_for_other_programs_goes_no_further() {
        for name in [
            "PGPORT",
            "PGHOST",
            "PGDATABASE",
            "PGDATA",
            "PYTHONHOME",
            "PYTHONPATH",
            "PYTHONWARNINGS",
            "NODE_OPTIONS",
            "NODE_ENV",
            "NODE_PATH",
            "npm_config_prefix",
            "NPM_CONFIG_IGNORE_SCRIPTS",
            "npm_package_name",
            "VIRTUAL_ENV",
            "CONDA_PREFIX",
            "PIP_TARGET",
            "PIP_USER",
            "UV_PYTHON",
            "UV_PROJECT_ENVIRONMENT",
            "CARGO_PKG_NAME",
            "CARGO_MANIFEST_DIR",
            "GIT_DIR",
            "NOTIFY_SOCKET",
            "LISTEN_FDS",
            "VITE_PORT",
        ] {
            assert!(!kept(name), "{name}");
        }
    }

    #[test]
    fn where_packages_come_from_is_the_users_to_say() {
        for name in [
            "PIP_INDEX_URL",
            "PIP_CERT",
            "UV_INDEX_URL",
            "NPM_CONFIG_REGISTRY",
            "npm_config_cafile",
            "NODE_EXTRA_CA_CERTS",
            "https_proxy",
            "HTTPS_PROXY",
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_TARGET_DIR",
            "RUSTFLAGS",
            "CC",
            "PATH",
            "HOME",
            "DOCKER_HOST",
        ] {
            assert!(kept(name), "{name}");
        }
    }

    #[test]
    fn engines_of_the_tests_are_not_those_of_the_user() {
        for name in ["CONTAINER_HOST", "CONTAINERS_CONF_OVERRIDE", "DOCKER_HOST", "STORAGE_OPTS"] {
            assert!(of_an_engine(name), "{name}");
        }
        assert!(!of_an_engine("PATH") && !of_an_engine("HTTPS_PROXY"));
    }

    #[test]
    fn services_get_the_machines_ways_and_no_more() {
        for name in ["PATH", "HOME", "LC_ALL", "TZ", "SANTA__PROXY__WORKERS", "no_proxy"] {
            assert!(for_services(name), "{name}");
        }
        for name in ["RUSTFLAGS", "WEB_CONCURRENCY", "DATABASE_URL", "SECRET_KEY", "LD_PRELOAD"] {
            assert!(!for_services(name), "{name}");
        }
    }

    #[test]
    fn every_setting_of_the_backend_is_passed_on_or_made_up() {
        let read = |name: &str| crate::files::text(&crate::repo::path(name));
        let settings = read("backend/santaserver/settings.py")
            + &read("backend/santaserver/database_settings.py");
        let names: Vec<&str> =
            settings.split("alias=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(names.len() > 15 && names.contains(&"DATABASE_URL"), "{names:?}");
        for name in names {
            assert!(for_services(name) != MADE_UP.contains(&name), "{name}");
        }
    }

    #[test]
    fn cargos_library_folders_are_told_from_the_users() {
        let cargos = ["/c/target/debug/deps", "/c/target/debug/build/ring-1/out"];
        assert!(cargos.iter().all(|folder| added_by_cargo(folder.as_ref())));
        assert!(!added_by_cargo("/opt/libraries".as_ref()));
    }
}
