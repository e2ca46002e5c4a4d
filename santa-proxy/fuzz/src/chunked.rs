//! The chunked coding: decoded the same in any pieces, and what is accepted is
//! what a reader without any tricks would find.

use santa_proxy::http::chunked::Chunked;

use crate::Target;
use crate::random::Random;

/// See the module.
pub const TARGET: Target = Target { name: "chunked", dictionary: &DICTIONARY, seeds, check };

const DICTIONARY: [&[u8]; 18] = [
    b"\r\n",
    b"\n",
    b"\r",
    b"0\r\n\r\n",
    b"0\r\n",
    b"5\r\nhello\r\n",
    b"00000005",
    b"FFFFFFFF",
    b"ffffffffffffffff",
    b"-",
    b"+",
    b"0x",
    b";",
    b";a=b",
    b";a=\"\r\n\"",
    b"A: b\r\n",
    b" ",
    b"\0",
];

/// Content and how much was used; nothing while it is incomplete or when it is
/// refused.
fn decode(bytes: &[u8], mut piece: impl FnMut() -> usize) -> Option<(Vec<u8>, usize)> {
    let mut decoder = Chunked::default();
    let (mut content, mut used) = (Vec::new(), 0);
    while used < bytes.len() && !decoder.is_done() {
        let end = used.saturating_add(piece()).min(bytes.len());
        let mut part = bytes[used..end].to_vec();
        let done = decoder.decode(&mut part).ok()?;
        assert!(done.produced <= done.consumed && done.consumed <= part.len());
        content.extend_from_slice(&part[..done.produced]);
        assert!(done.consumed == part.len() || decoder.is_done(), "all is used before the end");
        used += done.consumed;
    }
    decoder.is_done().then_some((content, used))
}

/// A reader that knows sizes and line ends only.
fn plain(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let line = |at: usize| {
        let end = bytes[at..].windows(2).position(|pair| pair == b"\r\n")?;
        Some((&bytes[at..at + end], at + end + 2))
    };
    let (mut content, mut at) = (Vec::new(), 0);
    loop {
        let (size, start) = line(at)?;
        let digits = size.split(|byte| *byte == b';').next()?;
        let digits = std::str::from_utf8(digits).ok()?.trim_end_matches([' ', '\t']);
        let size = usize::from_str_radix(digits, 16).ok()?;
        if size == 0 {
            at = start;
            break;
        }
        let end = start.checked_add(size)?;
        content.extend_from_slice(bytes.get(start..end)?);
        at = (bytes.get(end..end + 2)? == b"\r\n").then_some(end + 2)?;
    }
    loop {
        let (field, next) = line(at)?;
        at = next;
        if field.is_empty() {
            return Some((content, at));
        }
    }
}

/// Panics when they can be read in two ways; returns whether they are chunks.
pub fn check(bytes: &[u8]) -> bool {
    let mut random = Random::of(bytes);
    let whole = decode(bytes, || usize::MAX);
    let pieces = decode(bytes, || 1 + random.below(7));
    assert_eq!(whole, pieces, "the same in pieces");
    if whole.is_some() {
        assert_eq!(whole, plain(bytes), "what anybody would read");
    }
    whole.is_some()
}

fn seeds() -> Vec<Vec<u8>> {
    let seeds = [
        "5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n",
        "a\r\n0123456789\r\n1;x=y\r\nz\r\n0\r\nA: b\r\nC: d\r\n\r\n",
        "3;a=\"b;c\\\"\"\r\nabc\r\n00\r\n\r\n",
        "0\r\n\r\n",
    ];
    seeds.map(|seed| seed.as_bytes().to_vec()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_split_at_any_byte_are_the_same_content() {
        for seed in seeds() {
            let whole = decode(&seed, || usize::MAX);
            assert!(whole.is_some());
            for split in 1..seed.len() {
                let mut first = true;
                let piece = || if std::mem::take(&mut first) { split } else { usize::MAX };
                assert_eq!(decode(&seed, piece), whole, "split at {split}");
            }
        }
    }
}
