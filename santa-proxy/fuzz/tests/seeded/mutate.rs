//! Inputs made from known ones. Knows nothing of what they mean.

use santa_proxy_fuzz::random::Random;

/// One of `seeds` after a few changes.
pub(crate) fn input(seeds: &[Vec<u8>], dictionary: &[&[u8]], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..random.below(5) {
        change(&mut bytes, seeds, dictionary, random);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], dictionary: &[&[u8]], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let end = (at + random.below(12)).min(bytes.len());
    match random.below(7) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.byte();
            }
        }
        1 => bytes.insert(at, random.byte()),
        2 => drop(bytes.drain(at..end)),
        3 => drop(bytes.splice(at..at, random.one_of(dictionary).iter().copied())),
        4 => drop(bytes.splice(at..end, random.one_of(dictionary).iter().copied())),
        5 => {
            let copy = bytes[at..end].to_vec();
            let to = random.below(bytes.len() + 1);
            drop(bytes.splice(to..to, copy));
        }
        _ => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
    }
}
