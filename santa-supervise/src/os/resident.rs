//! Releases pages of our own program that only the start needed: parsing of
//! arguments and configuration. The page cache has them when they are needed again.
#![expect(unsafe_code, reason = "there is no safe call for advice about a mapping")]

use std::fs;
use std::ops::Range;

/// Releases the pages of our code. If it fails, they stay.
pub(super) fn give_back_code() {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let program = fs::read_link("/proc/self/exe").unwrap_or_default();
    for range in code_of(&maps, &program.to_string_lossy()) {
        let start = std::ptr::with_exposed_provenance_mut(range.start);
        // SAFETY: the mapping is a file's and cannot be written, so that whoever
        // reads it next finds the same.
        let _ =
            unsafe { rustix::mm::madvise(start, range.len(), rustix::mm::Advice::LinuxDontNeed) };
    }
}

/// The mappings of `program` in `maps` (proc_pid_maps(5)) that hold code.
fn code_of(maps: &str, program: &str) -> Vec<Range<usize>> {
    let range = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let is_code = words.next()? == "r-xp" && line.ends_with(program);
        let number = |text| usize::from_str_radix(text, 16).ok();
        Some(number(start)?..number(end)?).filter(|_| is_code)
    };
    maps.lines().filter(|_| !program.is_empty()).filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_the_program_itself_is_given_back() {
        let maps = "\
55d0c0000000-55d0c0010000 r--p 00000000 fe:00 4711      /opt/bin/santa-supervise
55d0c0010000-55d0c0020000 r-xp 00010000 fe:00 4711      /opt/bin/santa-supervise
55d0c0020000-55d0c0030000 rw-p 00020000 fe:00 4711      /opt/bin/santa-supervise
7f0000000000-7f0000001000 r-xp 00000000 fe:00 4712      /usr/lib/libc.so.6
7ffc00000000-7ffc00001000 r-xp 00000000 00:00 0         [vdso]
";
        let code = code_of(maps, "/opt/bin/santa-supervise");
        assert_eq!(code, vec![0x55d0_c001_0000..0x55d0_c002_0000]);
        assert_eq!(code_of(maps, ""), vec![]);
        assert_eq!(code_of("nonsense\n-\nx-y r-xp /a", "/a"), vec![]);
    }

    #[test]
    fn the_program_goes_on_without_its_pages() {
        // Counted page by page; the sums in /proc/self/status may lag behind.
        let present = || -> u64 {
            let smaps = fs::read_to_string("/proc/self/smaps").expect("smaps");
            let code = smaps.lines().skip_while(|line| !line.contains(" r-xp ")).skip(1);
            let rss = code.into_iter().find_map(|line| line.strip_prefix("Rss:")).expect("Rss");
            rss.trim().trim_end_matches(" kB").parse().expect("a number")
        };
        present();
        let before = present();
        give_back_code();
        assert!(present() < before);
    }
}
