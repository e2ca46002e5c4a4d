//! Media types and cache policy of console files, as tables.

/// Extension, media type.
const TYPES: &[(&str, &str)] = &[
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("webmanifest", "application/manifest+json"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("ico", "image/x-icon"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("ttf", "font/ttf"),
    ("otf", "font/otf"),
    ("txt", "text/plain; charset=utf-8"),
    ("xml", "application/xml"),
    ("pdf", "application/pdf"),
    ("wasm", "application/wasm"),
    ("mobileconfig", "application/x-apple-aspen-config"),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
];

fn extension(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?;
    name.rsplit_once('.').map(|(_, extension)| extension)
}

fn known(path: &str) -> Option<&'static str> {
    let extension = extension(path)?;
    TYPES.iter().find(|(known, _)| extension.eq_ignore_ascii_case(known)).map(|(_, kind)| *kind)
}

/// The media type of a file, by its extension.
pub(crate) fn media_type(path: &str) -> &'static str {
    known(path).unwrap_or("application/octet-stream")
}

/// Whether a path names a file rather than a page of the console.
pub(crate) fn looks_like_file(path: &str) -> bool {
    path.starts_with("/_app/") || known(path).is_some()
}

/// `Cache-Control` of a file: names with a hash never change, everything else
/// is requested again (which the entity tag makes cheap).
pub(crate) fn cache_control(path: &str) -> &'static str {
    if path.starts_with("/_app/immutable/") {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_pages_are_told_apart() {
        for file in ["/favicon.ico", "/a/b.JS", "/_app/version", "/robots.txt"] {
            assert!(looks_like_file(file), "{file}");
        }
        for page in ["/", "/machines", "/machines/mac-7.example.org", "/rules/1.2"] {
            assert!(!looks_like_file(page), "{page}");
        }
    }

    #[test]
    fn only_hashed_names_are_cached_forever() {
        assert!(cache_control("/_app/immutable/chunks/x.js").contains("immutable"));
        assert_eq!(cache_control("/index.html"), "no-cache");
        assert_eq!(cache_control("/_app/version.json"), "no-cache");
    }
}
