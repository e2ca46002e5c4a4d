//! The level of a line that is no JSON, by its words.

use super::Stream;

/// Words at the beginning of a line that tell its level.
const LEVELS: [(&str, &str); 10] = [
    ("TRACE", "debug"),
    ("DEBUG", "debug"),
    ("INFO", "info"),
    ("NOTICE", "info"),
    ("LOG", "info"),
    ("WARN", "warning"),
    ("ERROR", "error"),
    ("CRITICAL", "error"),
    ("FATAL", "error"),
    ("PANIC", "error"),
];

/// How far into a line its level is looked for, behind time and process number.
const LEVEL_WITHIN: usize = 64;

/// The longest word that tells a level.
const LONGEST_WORD: usize = "CRITICAL".len() + MORE;

/// How many letters such a word may have more: `WARNING`, `ERRORS`.
const MORE: usize = 3;

/// The level of a line that does not say so in JSON: by one of the usual words
/// near its beginning, else by its stream.
pub(super) fn level(line: &str, stream: Stream) -> &'static str {
    // A word that goes on behind that is too long to be one of them.
    let bytes = &line.as_bytes()[..line.len().min(LEVEL_WITHIN + LONGEST_WORD + 1)];
    let mut begin = 0;
    while begin <= LEVEL_WITHIN && begin < bytes.len() {
        // Most words begin with no letter of a level.
        let length = bytes[begin..].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        if length > 0
            && bytes[begin].is_ascii_uppercase()
            && let Some(level) = level_of_word(&bytes[begin..begin + length])
        {
            return level;
        }
        begin += length + 1;
    }
    match stream {
        Stream::Stderr => "warning",
        Stream::Stdout | Stream::Event => "info",
    }
}

fn level_of_word(word: &[u8]) -> Option<&'static str> {
    let means = |(name, _): &&(&str, &str)| {
        word.starts_with(name.as_bytes()) && word.len() <= name.len() + MORE
    };
    LEVELS.iter().find(means).map(|(_, level)| *level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_off_the_beginning_of_a_line() {
        let cases = [
            ("INFO:     Uvicorn running", Stream::Stderr, "info"),
            ("2024-01-01 10:00:00 UTC [7] WARNING:  slow", Stream::Stdout, "warning"),
            ("[error] nope", Stream::Stdout, "info"),
            ("FATAL: no", Stream::Stdout, "error"),
            ("INFORMATION age", Stream::Stderr, "warning"),
            ("plain", Stream::Stderr, "warning"),
            ("plain", Stream::Stdout, "info"),
        ];
        for (line, stream, expected) in cases {
            assert_eq!(level(line, stream), expected, "{line}");
        }
    }
}
