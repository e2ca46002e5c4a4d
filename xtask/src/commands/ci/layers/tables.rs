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
        &["log", "metrics", "local_response", "tls", "listeners"],
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
    layers: &[],
    upward: &[],
    circles: &[&["os::report", "os::spawn"], &["pretty", "record"]],
};

const CONFIG: Tree = Tree {
    root: "docker/config/src",
    language: Language::Rust,
    layers: &[],
    upward: &[],
    circles: &[&["read", "reference", "section", "sections", "values"]],
};

const BACKEND: Tree = Tree {
    root: "backend/santaserver",
    language: Language::Python,
    layers: &[],
    upward: &[],
    circles: &[],
};
