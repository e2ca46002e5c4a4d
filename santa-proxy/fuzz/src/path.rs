//! Paths: nothing that is accepted leads out of the root, to a dotfile, or
//! somewhere else when it is decoded once more.

use std::path::{Component, Path};

use santa_proxy::http::path::{decode, is_hidden};

use crate::Target;

/// See the module.
pub const TARGET: Target = Target { name: "path", dictionary: &DICTIONARY, seeds, check };

const DICTIONARY: [&[u8]; 21] = [
    b"/",
    b"//",
    b".",
    b"..",
    b"/../",
    b"/./",
    b"%2e",
    b"%2E%2e",
    b"%2f",
    b"%5c",
    b"\\",
    b"%00",
    b"%",
    b"%25",
    b"%c0%ae",
    b"\xc0\xae",
    b";",
    b"..;x",
    b".well-known/",
    b".git/config",
    b"%EF%BC%8F",
];

/// Panics when a path leads somewhere it must not; returns whether it is a path.
pub fn check(bytes: &[u8]) -> bool {
    let Ok(path) = decode(bytes) else { return false };
    assert!(path.starts_with('/'));
    assert!(!path.contains(['\\', '\0', '\r', '\n']));
    let mut names = path.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
    assert!(names.all(|name| !matches!(name, "." | "..")), "parameters aside: {path}");
    assert_eq!(
        path.matches('/').count(),
        bytes.iter().filter(|byte| **byte == b'/').count(),
        "every slash was written as one"
    );
    let root = Path::new("/folder/of/files");
    let file = root.join(path.trim_start_matches('/'));
    assert!(file.starts_with(root));
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::RootDir);
    assert!(file.components().all(plain), "{}", file.display());
    if !is_hidden(&path) {
        let inside = file.strip_prefix(root).expect("inside");
        let mut parts = inside.components().map(|part| part.as_os_str().to_string_lossy());
        let well_known = path.starts_with("/.well-known/");
        let first = parts.next().unwrap_or_default();
        assert!(!first.starts_with('.') || well_known, "{}", file.display());
        assert!(parts.all(|part| !part.starts_with('.')), "{}", file.display());
    }
    true
}

fn seeds() -> Vec<Vec<u8>> {
    let seeds = [
        "/",
        "/index.html",
        "/_app/immutable/app.js",
        "/.well-known/security.txt",
        "/a/.git/config",
        "/%61/%C3%A9",
        "/api/santa/preflight/ID",
        "/../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
    ];
    seeds.map(|seed| seed.as_bytes().to_vec()).to_vec()
}
