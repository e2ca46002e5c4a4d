//! A seeded mutation fuzzer for the parsers of untrusted bytes. Starts from
//! the conformance corpus; `SANTA_FUZZ_SEED` and `SANTA_FUZZ_ROUNDS` choose
//! another walk or a longer one. Blind, but part of every test run; libFuzzer,
//! which sees what an input reaches, is `cargo xtask fuzz`.

mod mutate;

use santa_proxy_fuzz::random::Random;
use santa_proxy_fuzz::{Target, chunked, head, path, response};

fn number(name: &str, otherwise: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} must be a number: {text:?}")),
        Err(_) => otherwise,
    }
}

/// Tries a target on mutations of its seeds.
fn fuzz(target: Target) {
    let Target { name, dictionary, seeds, check } = target;
    let seed = number("SANTA_FUZZ_SEED", 1);
    let rounds = number("SANTA_FUZZ_ROUNDS", 20_000);
    let (seeds, mut accepted) = (seeds(), 0);
    for round in 0..rounds {
        let mut random = Random::new(seed ^ round.rotate_left(32));
        let input = mutate::input(&seeds, dictionary, &mut random);
        match std::panic::catch_unwind(|| check(&input)) {
            Ok(good) => accepted += u64::from(good),
            Err(_) => panic!(
                "{name}: seed {seed}, round {round}, input \"{}\"; see the message above",
                input.escape_ascii()
            ),
        }
    }
    assert!(accepted > 0, "{name}: some are acceptable");
}

#[test]
fn heads_mean_one_thing_however_they_arrive() {
    fuzz(head::TARGET);
}

#[test]
fn responses_mean_one_thing_however_they_arrive() {
    fuzz(response::TARGET);
}

#[test]
fn chunks_mean_one_thing_however_they_arrive() {
    fuzz(chunked::TARGET);
}

#[test]
fn no_path_leads_out_of_the_root_or_to_a_hidden_file() {
    fuzz(path::TARGET);
}

#[test]
fn the_corpus_is_read_in_full() {
    let seeds = (head::TARGET.seeds)();
    assert!(seeds.len() > 900, "{}", seeds.len());
    assert!(seeds.iter().any(|request| request.ends_with(b"\r\n\r\n")));
}
