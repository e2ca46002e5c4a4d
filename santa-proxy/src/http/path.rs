//! The path of a request target: decoded once and refused, never repaired, when
//! the backend could understand it differently.
//! Knows nothing of files or routes.

use std::borrow::Cow;

use super::bytes::hex_digit;
use super::reject::Reject;

/// Decodes the percent-encoding of a path.
///
/// The result starts with `/`, is UTF-8, holds no control character and no
/// backslash, has no `.` or `..` segment (parameters aside), and every `/` in it was written as
/// `/`.
///
/// # Errors
/// 400 when the path cannot be brought into that form without changing it.
pub fn decode(raw: &[u8]) -> Result<Cow<'_, str>, Reject> {
    if raw.first() != Some(&b'/') {
        return Err(Reject::bad("path does not start with a slash"));
    }
    let bytes = unescape(raw)?;
    if bytes.iter().any(|byte| matches!(byte, 0..=0x1f | 0x7f | b'\\')) {
        return Err(Reject::bad("control character or backslash in the path"));
    }
    // Hardly any path has a segment that starts with a dot.
    let dotted = bytes.windows(2).any(|pair| pair == b"/.");
    if dotted && bytes.split(|byte| *byte == b'/').any(is_dot_segment) {
        return Err(Reject::bad("dot segment in the path"));
    }
    let text = match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).ok(),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).ok(),
    };
    text.ok_or(Reject::bad("path is not UTF-8"))
}

/// `.` and `..`, also with parameters (`..;x`), which some servers take off before they
/// look for dot segments.
fn is_dot_segment(segment: &[u8]) -> bool {
    let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
    matches!(name, b"." | b"..")
}

fn unescape(raw: &[u8]) -> Result<Cow<'_, [u8]>, Reject> {
    if !raw.contains(&b'%') {
        return Ok(Cow::Borrowed(raw));
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        let [high, low, after @ ..] = after else {
            return Err(Reject::bad("incomplete percent-encoding in the path"));
        };
        let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low)) else {
            return Err(Reject::bad("malformed percent-encoding in the path"));
        };
        match high << 4 | low {
            b'/' => return Err(Reject::bad("encoded slash in the path")),
            byte => out.push(byte),
        }
        rest = after;
    }
    Ok(Cow::Owned(out))
}

/// Whether any segment starts with a dot, `/.well-known/` excepted.
#[must_use]
pub fn is_hidden(path: &str) -> bool {
    let visible = path.strip_prefix("/.well-known/").map_or(path, |rest| rest);
    visible.split('/').any(|segment| segment.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_decoded_once() {
        let cases = [
            ("/", "/"),
            ("/a/b.js", "/a/b.js"),
            ("/%61pi", "/api"),
            ("/%252e%252e/x", "/%2e%2e/x"),
            ("/...", "/..."),
            ("/...;/x", "/...;/x"),
            ("/a;b/x;..", "/a;b/x;.."),
            ("/a..b", "/a..b"),
            ("/%C3%A9", "/é"),
            ("//a", "//a"),
            ("/.well-known/x", "/.well-known/x"),
        ];
        for (raw, decoded) in cases {
            assert_eq!(decode(raw.as_bytes()).as_deref(), Ok(decoded), "{raw}");
        }
    }

    #[test]
    fn ambiguous_paths_are_refused() {
        let bad = [
            "",
            "a",
            "/..",
            "/../x",
            "/a/..",
            "/./a",
            "/a/.",
            "/%2e%2e/x",
            "/..;/x",
            "/api/..;a=b/x",
            "/api/.;/x",
            "/api/%2e%2e;/x",
            "/api/.%2e%3b/x",
            "/api/..;;/x",
            "/api/x/..;",
            "/.%2E/x",
            "/a/%2e",
            "/%2fetc",
            "/a%2Fb",
            "/%5c",
            "/a\\b",
            "/%00",
            "/%0d%0a",
            "/%7f",
            "/%",
            "/%4",
            "/%zz",
            "/%c0%ae%c0%ae/",
            "/%ff",
        ];
        for raw in bad {
            assert_eq!(decode(raw.as_bytes()).err().map(|r| r.status), Some(400), "{raw}");
        }
    }

    #[test]
    fn dotfiles_are_hidden_and_well_known_is_not() {
        assert!(is_hidden("/.env"));
        assert!(is_hidden("/a/.git/config"));
        assert!(is_hidden("/.well-known/.secret"));
        assert!(!is_hidden("/.well-known/security.txt"));
        assert!(!is_hidden("/a.b/c."));
    }

    proptest! {
        #[test]
        fn no_path_escapes(raw in "/(\\.|/|%2e|%2E|%2f|%5c|\\\\|a|%25|%00|;){0,12}") {
            if let Ok(path) = decode(raw.as_bytes()) {
                prop_assert!(path.starts_with('/'));
                let mut depth = 0i32;
                for segment in path.split('/').skip(1) {
                    let name = segment.split(';').next().unwrap_or_default();
                    prop_assert!(name != "." && name != "..");
                    depth += i32::from(!segment.is_empty());
                }
                prop_assert!(depth >= 0);
                let root = std::path::Path::new("/srv/www");
                let relative = path.trim_start_matches('/');
                let joined = root.join(relative);
                let ordinary = joined.components().all(|part| {
                    matches!(part, std::path::Component::Normal(_) | std::path::Component::RootDir)
                });
                prop_assert!(ordinary && joined.starts_with(root));
            }
        }

        #[test]
        fn any_bytes_are_decided(raw in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&raw);
        }
    }
}
