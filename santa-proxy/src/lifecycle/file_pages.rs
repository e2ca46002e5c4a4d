//! What stays in memory after the start: most of the program's own pages are
//! there only because loading and compressing the console touched them once.
//! They are dropped, and read again from the page cache when they are needed.

#[cfg(any(target_os = "linux", test))]
use std::ops::Range;

/// Drops the pages of program and libraries. Nothing is lost when it
/// fails: they merely stay.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "there is no safe call for advice about a mapping")]
pub(super) fn drop_file_pages() {
    let Ok(smaps) = std::fs::read_to_string("/proc/self/smaps") else { return };
    for range in unchanged(&smaps) {
        let start = std::ptr::with_exposed_provenance_mut(range.start);
        // SAFETY: the mapping is a file's, cannot be written and holds no page
        // that differs from the file, so that the next reader finds the same bytes.
        // A file that is written to in the meantime would show the change either way.
        let advised =
            unsafe { rustix::mm::madvise(start, range.len(), rustix::mm::Advice::LinuxDontNeed) };
        debug_assert!(advised.is_ok(), "{range:x?}: {advised:?}");
    }
}

/// Other systems count shared pages differently.
#[cfg(not(target_os = "linux"))]
pub(super) fn drop_file_pages() {}

/// The mappings in `smaps` (proc(5)) that are of a file, cannot be written, and hold
/// nothing of their own. Relocated data cannot be written either, but is its own.
#[cfg(any(target_os = "linux", test))]
fn unchanged(smaps: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut candidate = None;
    for line in smaps.lines() {
        if let Some(range) = line.strip_prefix("Anonymous:") {
            ranges.extend(candidate.take().filter(|_| range.trim() == "0 kB"));
        } else if let Some(mapping) = mapping(line) {
            candidate = mapping.1.then_some(mapping.0);
        }
    }
    ranges
}

/// The range in the first line of a mapping, and whether a file is read there.
#[cfg(any(target_os = "linux", test))]
fn mapping(line: &str) -> Option<(Range<usize>, bool)> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    let range = number(start)?..number(end)?;
    let rights = words.next()?;
    let reads = matches!(rights, "r-xp" | "r--p");
    Some((range, reads && words.nth(3).is_some_and(|path| path.starts_with('/'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
55d0c0000000-55d0c0010000 r-xp 00001000 fe:00 4711      /opt/santaserver/bin/santa-proxy
Rss:                  64 kB
Anonymous:             0 kB
THPeligible:           0
55d0c0010000-55d0c0020000 r--p 00011000 fe:00 4711      /opt/santaserver/bin/santa-proxy
Rss:                  64 kB
Anonymous:            64 kB
55d0c0020000-55d0c0030000 rw-p 00021000 fe:00 4711      /opt/santaserver/bin/santa-proxy
Anonymous:             0 kB
55d0c0030000-55d0c0040000 r--s 00021000 fe:00 4712      /etc/shared
Anonymous:             0 kB
7ffc00000000-7ffc00001000 r-xp 00000000 00:00 0         [vdso]
Anonymous:             0 kB
7f0000000000-7f0000001000 r--p 00000000 00:00 0
Anonymous:             0 kB
7f0000001000-7f0000003000 r--p 00000000 fe:00 4713      /usr/lib/a library (old)
Anonymous:             0 kB
VmFlags: rd mr mw me
";

    #[test]
    fn only_unmodified_file_pages_are_dropped() {
        let expected = [0x55d0_c000_0000..0x55d0_c001_0000, 0x7f00_0000_1000..0x7f00_0000_3000];
        assert_eq!(unchanged(SMAPS), expected);
    }

    #[test]
    fn invalid_smaps_drop_nothing() {
        for smaps in ["", "Anonymous: 0 kB", "x-y r-xp 0 0 0 /a\nAnonymous: 0 kB", "1-2\n"] {
            assert!(unchanged(smaps).is_empty(), "{smaps}");
        }
    }

    /// Pages of files that are present, in KiB.
    #[cfg(target_os = "linux")]
    fn present() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").expect("status");
        let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).expect("a line");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_program_continues_without_its_pages() {
        let before = present();
        drop_file_pages();
        let after = present();
        assert!(after < before, "{before} and then {after} KiB");
        assert_eq!(unchanged(SMAPS).len(), 2, "code that is needed again comes back");
    }
}
