//! A seeded mutation fuzzer for what reads bytes from strangers. Starts from
//! the conformance corpus; `SANTA_FUZZ_SEED` and `SANTA_FUZZ_ROUNDS` choose
//! another walk or a longer one. Runs on the stable toolchain, without coverage.

mod chunked;
mod head;
mod mutate;
mod path;

use mutate::Random;

/// The conformance corpus, which the integration tests send to the real proxy.
const CORPUS: [&str; 5] = [
    include_str!("../integration/corpus/console.txt"),
    include_str!("../integration/corpus/fields.txt"),
    include_str!("../integration/corpus/framing.txt"),
    include_str!("../integration/corpus/paths.txt"),
    include_str!("../integration/corpus/syntax.txt"),
];

fn number(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} must be a number: {text:?}")),
        Err(_) => otherwise,
    }
}

/// Requests of the corpus, as bytes.
fn requests() -> Vec<Vec<u8>> {
    let mut requests: Vec<Vec<u8>> = Vec::new();
    for line in CORPUS.iter().flat_map(|text| text.lines()) {
        if line.starts_with("=== ") {
            requests.push(Vec::new());
        }
        let Some(request) = requests.last_mut() else { continue };
        if let Some(bytes) = line.strip_prefix(">> ") {
            request.extend(unescape(bytes));
        } else if let Some(bytes) = line.strip_prefix('>') {
            request.extend(unescape(bytes.strip_prefix(' ').unwrap_or(bytes)));
            request.extend(b"\r\n");
        }
    }
    requests.retain(|request| !request.is_empty() && request.len() < 4096);
    requests
}

/// `\r`, `\n`, `\t`, `\0` and `\xNN` as the corpus writes them.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let (byte, after) = match (byte, after) {
            (b'\\', [b'r', after @ ..]) => (b'\r', after),
            (b'\\', [b'n', after @ ..]) => (b'\n', after),
            (b'\\', [b't', after @ ..]) => (b'\t', after),
            (b'\\', [b'0', after @ ..]) => (0, after),
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digit = |digit: &u8| char::from(*digit).to_digit(16).unwrap_or(0) as u8;
                (digit(high) << 4 | digit(low), after)
            }
            (byte, after) => (*byte, after),
        };
        out.push(byte);
        rest = after;
    }
    out
}

/// Runs `check` on mutations of `seeds`; gives how many it found acceptable.
fn fuzz(seeds: &[Vec<u8>], words: &[&[u8]], check: impl Fn(&[u8], &mut Random) -> bool) -> u64 {
    let seed = number("SANTA_FUZZ_SEED", 1);
    let rounds = number("SANTA_FUZZ_ROUNDS", 20_000);
    let mut accepted = 0;
    for round in 0..rounds {
        let mut random = Random::new(seed ^ round.rotate_left(32));
        let input = mutate::input(seeds, words, &mut random);
        let outcome =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&input, &mut random)));
        match outcome {
            Ok(good) => accepted += u64::from(good),
            Err(_) => panic!(
                "seed {seed}, round {round}, input \"{}\"; the message above says what is wrong",
                input.escape_ascii()
            ),
        }
    }
    accepted
}

#[test]
fn the_corpus_is_read_in_full() {
    let requests = requests();
    assert!(requests.len() > 300, "{}", requests.len());
    assert!(requests.iter().any(|request| request.ends_with(b"\r\n\r\n")));
}
