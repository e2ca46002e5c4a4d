//! Reads and strips 64-bit little-endian ELF files, for any processor and
//! without binutils, so that the result is the same on every machine.
//!
//! What a program needs at run time lies in its segments. Stripping keeps those
//! and the sections inside them, drops everything else (symbols, debugging), and
//! moves later segments forward by whole pages.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Context, Result};

const HEADER: usize = 64;
const SEGMENT: usize = 56;
const SECTION: usize = 64;
const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const INTERPRETER: u32 = 3;
const ALLOCATED: u64 = 2;
const INFO_LINK: u64 = 0x40;
const NO_BITS: u32 = 8;
const RELOCATIONS: [u32; 2] = [4, 9];
const DYNAMIC_SYMBOLS: u32 = 11;
/// Section numbers from here on have special meanings.
const RESERVED: u16 = 0xff00;

/// What a program or library asks of the system.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    /// `x86_64` or `aarch64`, else the machine's number.
    pub(crate) machine: String,
    /// The loader of a program.
    pub(crate) interpreter: Option<String>,
    /// Libraries by name.
    pub(crate) libraries: Vec<String>,
    /// Where it looks for them first.
    pub(crate) run_path: Vec<String>,
}

/// Whether these are the bytes of an ELF file that this module understands.
pub(crate) fn is_elf(bytes: &[u8]) -> bool {
    bytes.len() >= HEADER && bytes.starts_with(b"\x7fELF\x02\x01")
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn get<const N: usize>(&self, at: usize) -> Result<[u8; N]> {
        let part = self.0.get(at..at + N).context("the ELF file is cut off")?;
        Ok(part.try_into()?)
    }
    fn u16(&self, at: usize) -> Result<u16> {
        Ok(u16::from_le_bytes(self.get(at)?))
    }
    fn u32(&self, at: usize) -> Result<u32> {
        Ok(u32::from_le_bytes(self.get(at)?))
    }
    fn u64(&self, at: usize) -> Result<u64> {
        Ok(u64::from_le_bytes(self.get(at)?))
    }
    fn place(&self, at: usize) -> Result<usize> {
        Ok(usize::try_from(self.u64(at)?)?)
    }
    /// The text that ends with a zero byte.
    fn text(&self, at: usize) -> String {
        let bytes = self.0.get(at..).unwrap_or_default();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }
    /// Where the headers of all segments begin.
    fn segments(&self) -> Result<Vec<usize>> {
        let (start, count) = (self.place(32)?, usize::from(self.u16(56)?));
        Ok((0..count).map(|index| start + index * SEGMENT).collect())
    }
    /// Where the headers of all sections begin.
    fn sections(&self) -> Result<Vec<usize>> {
        let (start, count) = (self.place(40)?, usize::from(self.u16(60)?));
        Ok((0..count).map(|index| start + index * SECTION).collect())
    }
    fn file_range(&self, segment: usize) -> Result<Range<usize>> {
        let start = self.place(segment + 8)?;
        Ok(start..start + self.place(segment + 32)?)
    }
}

/// What the file asks of the system.
pub(crate) fn wants(bytes: &[u8]) -> Result<Wants> {
    let elf = Reader(bytes);
    let mut wants = Wants {
        machine: match elf.u16(18)? {
            62 => "x86_64".to_owned(),
            183 => "aarch64".to_owned(),
            other => other.to_string(),
        },
        ..Wants::default()
    };
    for segment in elf.segments()? {
        let range = elf.file_range(segment)?;
        match elf.u32(segment)? {
            INTERPRETER => wants.interpreter = Some(elf.text(range.start)),
            DYNAMIC => dynamic(&elf, range, &mut wants)?,
            _ => {}
        }
    }
    Ok(wants)
}

fn dynamic(elf: &Reader<'_>, range: Range<usize>, wants: &mut Wants) -> Result<()> {
    let entries: Vec<(u64, u64)> =
        range.step_by(16).map(|at| Ok((elf.u64(at)?, elf.u64(at + 8)?))).collect::<Result<_>>()?;
    let entries: Vec<_> = entries.into_iter().take_while(|(tag, _)| *tag != 0).collect();
    let Some((_, address)) = entries.iter().find(|(tag, _)| *tag == 5) else { return Ok(()) };
    let names = file_place(elf, *address)?;
    for (tag, value) in &entries {
        let text = || -> Result<String> { Ok(elf.text(names + usize::try_from(*value)?)) };
        match tag {
            1 => wants.libraries.push(text()?),
            15 | 29 => wants.run_path.extend(text()?.split(':').map(str::to_owned)),
            _ => {}
        }
    }
    Ok(())
}

/// Where in the file an address of the loaded program lies.
fn file_place(elf: &Reader<'_>, address: u64) -> Result<usize> {
    for segment in elf.segments()? {
        let (start, size) = (elf.u64(segment + 16)?, elf.u64(segment + 32)?);
        if elf.u32(segment)? == LOAD && (start..start + size).contains(&address) {
            return Ok(usize::try_from(address - start)? + elf.place(segment + 8)?);
        }
    }
    anyhow::bail!("an address of the ELF file lies in no segment")
}

/// A part of the file that is kept, and where it goes.
struct Kept {
    from: Range<usize>,
    to: usize,
}

/// The file without what is not needed at run time; none when that saves nothing.
pub(crate) fn strip(bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    let elf = Reader(bytes);
    let kept = kept(&elf)?;
    let end = kept.last().map_or(0, |part| part.to + part.from.len());
    let mut result = vec![0; end];
    for part in &kept {
        let from = bytes.get(part.from.clone()).context("the ELF file is cut off")?;
        result[part.to..part.to + from.len()].copy_from_slice(from);
    }
    let moved = |place: usize| {
        let part = kept.iter().find(|part| (part.from.start..=part.from.end).contains(&place));
        part.map_or(place, |part| place - part.from.start + part.to)
    };
    let segments = moved(elf.place(32)?);
    set64(&mut result, 32, segments);
    for (index, segment) in elf.segments()?.into_iter().enumerate() {
        if elf.u64(segment + 32)? > 0 {
            set64(&mut result, segments + index * SEGMENT + 8, moved(elf.place(segment + 8)?));
        }
    }
    sections(&elf, &mut result, moved)?;
    Ok((result.len() < bytes.len()).then_some(result))
}

/// The parts that segments cover, each moved forward by a multiple of the page.
fn kept(elf: &Reader<'_>) -> Result<Vec<Kept>> {
    let (table, count) = (elf.place(32)?, usize::from(elf.u16(56)?));
    let mut ranges = vec![0..HEADER, table..table + count * SEGMENT];
    let mut page = 1;
    for segment in elf.segments()? {
        ranges.push(elf.file_range(segment)?);
        if elf.u32(segment)? == LOAD {
            page = page.max(elf.place(segment + 48)?);
        }
    }
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| range.start);
    let mut kept: Vec<Kept> = Vec::new();
    for range in ranges {
        match kept.last_mut() {
            Some(last) if range.start <= last.from.end => {
                last.from.end = last.from.end.max(range.end)
            }
            last => {
                let free = last.map_or(0, |last| last.to + last.from.len());
                // The same place in a page as before, at or after the first free byte.
                let to = free + (range.start % page + page - free % page) % page;
                kept.push(Kept { from: range, to });
            }
        }
    }
    Ok(kept)
}

/// Writes the table of the sections that are left, with their names.
fn sections(elf: &Reader<'_>, result: &mut Vec<u8>, moved: impl Fn(usize) -> usize) -> Result<()> {
    let all = elf.sections()?;
    let names = match all.get(usize::from(elf.u16(62)?)) {
        Some(header) => elf.place(header + 24)?,
        None => 0,
    };
    let mut number = BTreeMap::from([(0, 0)]);
    for (index, header) in all.iter().enumerate().skip(1) {
        if elf.u64(header + 8)? & ALLOCATED != 0 {
            number.insert(index, number.len());
        }
    }
    let (mut text, mut table) = (vec![0], Vec::new());
    for index in number.keys().filter(|index| **index < all.len()) {
        let mut header: [u8; SECTION] = elf.get(all[*index])?;
        let name = elf.text(names + usize::try_from(elf.u32(all[*index])?)?);
        set32(&mut header, 0, text.len());
        text.extend(name.bytes().chain([0]));
        if elf.u32(all[*index] + 4)? != NO_BITS && *index > 0 {
            set64(&mut header, 24, moved(elf.place(all[*index] + 24)?));
        }
        renumber(elf, all[*index], &number, &mut header)?;
        table.push(header);
    }
    symbols(elf, &all, &number, &moved, result)?;
    finish(result, text, table);
    Ok(())
}

/// Sections name each other by number.
fn renumber(
    elf: &Reader<'_>,
    header: usize,
    number: &BTreeMap<usize, usize>,
    new: &mut [u8],
) -> Result<()> {
    let of = |at: usize| -> Result<usize> {
        Ok(number.get(&usize::try_from(elf.u32(header + at)?)?).copied().unwrap_or(0))
    };
    set32(new, 40, of(40)?);
    let kind = elf.u32(header + 4)?;
    if elf.u64(header + 8)? & INFO_LINK != 0 || RELOCATIONS.contains(&kind) {
        set32(new, 44, of(44)?);
    }
    Ok(())
}

/// Symbols name their section by number, too.
fn symbols(
    elf: &Reader<'_>,
    all: &[usize],
    number: &BTreeMap<usize, usize>,
    moved: impl Fn(usize) -> usize,
    result: &mut [u8],
) -> Result<()> {
    for header in all {
        if elf.u32(header + 4)? != DYNAMIC_SYMBOLS {
            continue;
        }
        let (start, size) = (elf.place(header + 24)?, elf.place(header + 32)?);
        for symbol in (start..start + size).step_by(24) {
            let section = elf.u16(symbol + 6)?;
            if section < RESERVED {
                let new = number.get(&usize::from(section)).copied().unwrap_or(0);
                let at = moved(symbol) + 6;
                result[at..at + 2].copy_from_slice(&u16::try_from(new)?.to_le_bytes());
            }
        }
    }
    Ok(())
}

/// Appends the names and the table and says in the header where they are.
fn finish(result: &mut Vec<u8>, mut text: Vec<u8>, mut table: Vec<[u8; SECTION]>) {
    if table.is_empty() {
        set64(result, 40, 0);
        result[60..64].fill(0);
        return;
    }
    let mut names = [0; SECTION];
    set32(&mut names, 0, text.len());
    text.extend(b".shstrtab\0");
    set32(&mut names, 4, 3);
    set64(&mut names, 24, result.len());
    set64(&mut names, 32, text.len());
    set64(&mut names, 48, 1);
    table.push(names);
    result.extend(text);
    result.resize(result.len().next_multiple_of(8), 0);
    let start = result.len();
    set64(result, 40, start);
    let count = table.len().to_le_bytes();
    result[60..62].copy_from_slice(&count[..2]);
    let last = (table.len() - 1).to_le_bytes();
    result[62..64].copy_from_slice(&last[..2]);
    result.extend(table.concat());
}

fn set64(bytes: &mut [u8], at: usize, value: usize) {
    bytes[at..at + 8].copy_from_slice(&(value as u64).to_le_bytes());
}

fn set32(bytes: &mut [u8], at: usize, value: usize) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes()[..4]);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    /// This test program itself: a real one, with everything in it.
    fn own() -> Vec<u8> {
        std::fs::read(std::env::current_exe().expect("a program")).expect("readable")
    }

    #[test]
    fn a_stripped_program_is_smaller_and_still_runs() {
        let whole = own();
        let stripped = strip(&whole).expect("understood").expect("something to strip");
        assert!(stripped.len() < whole.len() / 2, "{} of {}", stripped.len(), whole.len());
        assert_eq!(wants(&stripped).expect("read"), wants(&whole).expect("read"));
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("program");
        std::fs::write(&file, &stripped).expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))
            .expect("executable");
        let listed = Command::new(&file).arg("--list").output().expect("it starts");
        assert!(String::from_utf8_lossy(&listed.stdout).contains("still_runs: test"));
    }

    #[test]
    fn what_is_stripped_stays_as_it_is() {
        let stripped = strip(&own()).expect("understood").expect("something to strip");
        assert_eq!(strip(&stripped).expect("understood"), None);
    }

    #[test]
    fn a_program_names_its_loader_and_libraries() {
        let wants = wants(&own()).expect("read");
        assert_eq!(wants.machine, std::env::consts::ARCH);
        assert!(wants.interpreter.is_some());
        assert!(wants.libraries.iter().any(|name| name.starts_with("libc.so")));
    }

    #[test]
    fn a_cut_off_file_is_an_error_and_no_panic() {
        let whole = own();
        for length in [64, 100, 1000, whole.len() / 2] {
            assert!(strip(&whole[..length]).is_err(), "{length}");
        }
        assert!(!is_elf(b"#!/bin/sh"));
    }
}
