//! The layers of each tree of sources.

use super::{Language, Tree};

/// All trees.
pub(super) const TREES: &[Tree] = &[PROXY, SUPERVISE, CONFIG, BACKEND];

const PROXY: Tree = Tree {
    root: "santa-proxy/src",
    language: Language::Rust,
    layers: &[
        &["http", "route", "proxy_protocol", "client_limits"],
        &["io"],
        &["log", "metrics", "exposition", "local_response", "tls", "listeners"],
        &["assets", "upstream"],
        &["snapshot"],
        &["control_state"],
        &["server"],
        &["lifecycle"],
        &["cli", "lib", "main"],
    ],
    upward: &[],
    circles: &[],
};

const SUPERVISE: Tree = Tree {
    root: "santa-supervise/src",
    language: Language::Rust,
    layers: &[
        &["clock", "files", "fill", "json_text", "pressure", "protocol", "rate", "stderr"],
        &["lines", "record"],
        &["backoff", "machine", "order"],
        &["os"],
        &["plan", "reload"],
        &["log_writer", "readiness"],
        &["sockets"],
        &["spawning"],
        // The parts of the event loop: none of them knows the loop.
        &["event_loop::core", "event_loop::io", "event_loop::turn"],
        &[
            "event_loop::children",
            "event_loop::control",
            "event_loop::guarding",
            "event_loop::metrics",
            "event_loop::notify",
            "event_loop::output",
            "event_loop::starting",
            "event_loop::usage",
        ],
        &["event_loop::helpers"],
        &[
            "event_loop::config_reading",
            "event_loop::connecting",
            "event_loop::jobs",
            "event_loop::watched",
        ],
        &["event_loop::hooks", "event_loop::probes"],
        &["event_loop"],
        &["cli", "commands", "lib", "main"],
    ],
    upward: &[],
    circles: &[],
};

const CONFIG: Tree = Tree {
    root: "docker/config/src",
    language: Language::Rust,
    layers: &[
        &["calendar", "diagnostic", "env", "listen", "reference"],
        &["node"],
        &["expand", "overrides", "read"],
        &["section", "shared", "signal", "values"],
        &["sections"],
        &["validate"],
        &["lib"],
    ],
    upward: &[],
    circles: &[],
};

const BACKEND: Tree = Tree {
    root: "backend/santaserver",
    language: Language::Python,
    layers: &[],
    upward: &[],
    circles: &[],
};
