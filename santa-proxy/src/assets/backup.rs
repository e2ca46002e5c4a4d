//! Files that editors, package managers and people leave beside the real ones. They hold
//! what was meant to be changed or removed, so none of them is served. Pure.

/// Extensions of backups, temporary files and editors' swap files.
const EXTENSIONS: [&str; 26] = [
    "backup",
    "bak",
    "bck",
    "bkp",
    "crdownload",
    "dist",
    "dpkg-dist",
    "dpkg-new",
    "dpkg-old",
    "dpkg-tmp",
    "old",
    "orig",
    "original",
    "pacnew",
    "pacsave",
    "part",
    "prev",
    "rej",
    "rpmnew",
    "rpmorig",
    "rpmsave",
    "sav",
    "save",
    "temp",
    "tmp",
    "ucf-old",
];
/// Extensions that compressed forms add.
const CODINGS: [&str; 3] = [".br", ".gz", ".zst"];

/// Whether a file or directory called `name` is left out.
pub(super) fn is_backup(name: &str) -> bool {
    original(name).is_some()
}

/// The name of what `name` is a backup of.
pub(super) fn original(name: &str) -> Option<&str> {
    let name = CODINGS.iter().find_map(|coding| name.strip_suffix(coding)).unwrap_or(name);
    if let Some(rest) = name.strip_suffix('~') {
        return Some(rest.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '~' | '.')));
    }
    if let Some(rest) = name.strip_prefix('#') {
        return Some(rest.trim_end_matches('#'));
    }
    let (stem, extension) = name.rsplit_once('.')?;
    let extension = extension.to_ascii_lowercase();
    // `index.html.bak2`
    let plain = extension.trim_end_matches(|c: char| c.is_ascii_digit());
    (EXTENSIONS.contains(&plain) || is_swap(&extension)).then_some(stem)
}

/// `.swp`, and what vim takes when that is taken: `.swo`, `.swn`, … (not `.swf`)
fn is_swap(extension: &str) -> bool {
    matches!(extension.as_bytes(), [b's', b'w', b'h'..=b'p' | b'x'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_are_told_from_files() {
        let backups = [
            "index.html~",
            "index.html.~1~",
            "app.js.bak",
            "app.js.BAK",
            "app.js.bak2",
            "a.old",
            "a.orig",
            "a.tmp",
            "a.save",
            "a.save.1~",
            "#index.html#",
            "a.swp",
            "a.swo",
            "a.swx",
            "a.rpmsave",
            "a.dpkg-old",
            "index.html.bak.gz",
            "index.html~.br",
            "#a#.zst",
        ];
        for name in backups {
            assert!(is_backup(name), "{name}");
        }
        let files = [
            "index.html",
            "index.html.gz",
            "app.js",
            "bak",
            "old",
            "tmp.js",
            "old.html",
            "a.swf",
            "template.css",
            "app-old.js",
            "swp",
            "a#b.html",
            "security.txt",
            "CHANGES",
        ];
        for name in files {
            assert!(!is_backup(name), "{name}");
        }
        assert_eq!(original("index.html.~12~"), Some("index.html"));
        assert_eq!(original("#index.html#"), Some("index.html"));
        assert_eq!(original("index.html.bak.gz"), Some("index.html"));
    }
}
