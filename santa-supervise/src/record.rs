//! Pure: one line of output as a log record, JSON or for people. Knows nothing
//! of where records go; [`crate::log_writer`] writes them.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use memchr::memchr;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::clock::{self, Millis};
use crate::json_text;

/// Name under which santa-supervise itself logs.
pub const OWN_NAME: &str = "supervise";

/// Where a line was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// By santa-supervise.
    Event,
}

impl Stream {
    /// The word in records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Event => "event",
        }
    }
}

/// Output of one stream of one service: whole lines, read at one time.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Service, with its instance where there are several.
    pub service: Arc<str>,
    /// Where it was written.
    pub stream: Stream,
    /// When it was read.
    pub at: Millis,
    /// Lines that each end in a newline; or a piece of a line.
    pub text: Vec<u8>,
    /// Whether `text` is a piece of a line that goes on.
    pub unfinished: bool,
}

/// The form of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// One JSON object a line.
    Json,
    /// For people; with colours on a terminal.
    Pretty {
        /// Whether to use them.
        colours: bool,
    },
}

/// What keeping a chunk takes beside itself and its text: counters, a place in
/// a queue, and what the allocator adds to two allocations.
const KEEPING: usize = 64;

impl Chunk {
    /// The memory that it takes, in bytes. A service may write one short line
    /// at a time, and then the text is the smallest part of it.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.text.len() + size_of::<Self>() + KEEPING
    }

    /// Its lines, without their ends.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = Some(self.text.strip_suffix(b"\n").unwrap_or(&self.text));
        let next = move || {
            let text = rest?;
            let (line, after) = match memchr(b'\n', text) {
                Some(end) => (&text[..end], Some(&text[end + 1..])),
                None => (text, None),
            };
            rest = after;
            Some(line)
        };
        std::iter::from_fn(next).map(|line| line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// The same with its last `count` lines only.
    #[must_use]
    pub fn last(&self, count: usize) -> Self {
        let skipped = self.lines().count().saturating_sub(count);
        let begin = match skipped {
            0 => 0,
            _ => memchr::memchr_iter(b'\n', &self.text).nth(skipped - 1).map_or(0, |at| at + 1),
        };
        Self { text: self.text[begin..].to_vec(), service: Arc::clone(&self.service), ..*self }
    }

    /// Appends all its lines as records; people are spared the empty ones.
    pub fn write(&self, style: Style, out: &mut Vec<u8>) {
        match style {
            Style::Json => {
                let frame = Frame::new(self);
                self.lines().for_each(|line| json(self, &frame, line, out));
            }
            Style::Pretty { colours } => {
                let told = self.lines().filter(|line| !line.trim_ascii().is_empty());
                told.for_each(|line| crate::pretty::line(self, line, colours, out));
            }
        }
    }
}

/// What all records of a chunk have in common, as bytes of JSON.
struct Frame {
    /// `"ts":"…",`
    time: Vec<u8>,
    /// `"service":"…","stream":"…",`
    origin: Vec<u8>,
}

impl Frame {
    fn new(chunk: &Chunk) -> Self {
        let (mut time, mut origin) = (Vec::new(), Vec::new());
        member(&mut time, "ts", &clock::rfc3339(chunk.at));
        member(&mut origin, "service", &chunk.service);
        member(&mut origin, "stream", chunk.stream.word());
        Self { time, origin }
    }
}

/// The members of a JSON object, in order, their values as written.
pub(crate) struct Members<'a>(pub(crate) Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads a line that is a JSON object and nothing else.
    pub(crate) fn read(line: &'a str) -> Option<Self> {
        if !line.trim_start().starts_with('{') {
            return None;
        }
        let mut reader = serde_json::Deserializer::from_str(line);
        let members = reader.deserialize_map(ReadMembers).ok()?;
        reader.end().ok()?;
        Some(members)
    }

    /// A member's text, if it is a string.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        serde_json::from_str(value.get()).ok()
    }

    /// A member's value, if it is a number.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        serde_json::from_str(value.get()).ok()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }
}

struct ReadMembers;

impl<'a> Visitor<'a> for ReadMembers {
    type Value = Members<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Vec<(String, &RawValue)> = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
            // Of a key given twice the last one counts, as everywhere.
            match members.iter_mut().find(|(known, _)| *known == key) {
                Some(member) => member.1 = value,
                None => members.push((key, value)),
            }
        }
        Ok(Members(members))
    }
}

/// Appends one line as a JSON record. A line that is itself a JSON object is
/// merged in: its members win, except `service` and `stream`, which nobody can
/// claim for himself.
fn json(chunk: &Chunk, frame: &Frame, line: &[u8], out: &mut Vec<u8>) {
    // Far quicker for what is text, and nearly everything is.
    let text = str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Cow::Borrowed);
    let members = Members::read(&text).filter(|_| !chunk.unfinished);
    out.push(b'{');
    if !members.as_ref().is_some_and(|members| members.has("ts")) {
        out.extend_from_slice(&frame.time);
    }
    if !members.as_ref().is_some_and(|members| members.has("level")) {
        out.extend_from_slice(b"\"level\":\"");
        out.extend_from_slice(level(&text, chunk.stream).as_bytes());
        out.extend_from_slice(b"\",");
    }
    out.extend_from_slice(&frame.origin);
    match members {
        None => {
            out.extend_from_slice(b"\"message\":");
            json_text::string(out, &text);
            out.push(b',');
        }
        Some(members) => {
            let own = members.0.iter().filter(|(key, _)| key != "service" && key != "stream");
            let plain = json_text::is_plain(text.as_bytes());
            for (key, value) in own {
                if plain {
                    out.push(b'"');
                    out.extend_from_slice(key.as_bytes());
                    out.extend_from_slice(b"\":");
                    out.extend_from_slice(value.get().as_bytes());
                } else {
                    name(out, key);
                    json_text::value(out, value.get());
                }
                out.push(b',');
            }
        }
    }
    if chunk.unfinished {
        out.extend_from_slice(b"\"unfinished\":true,");
    }
    // Every member left a comma behind it.
    out.pop();
    out.extend_from_slice(b"}\n");
}

fn member(out: &mut Vec<u8>, key: &str, value: &str) {
    name(out, key);
    json_text::string(out, value);
    out.push(b',');
}

fn name(out: &mut Vec<u8>, key: &str) {
    json_text::string(out, key);
    out.push(b':');
}

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
pub(crate) fn level(line: &str, stream: Stream) -> &'static str {
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
    use proptest::prelude::*;

    fn chunk(stream: Stream, text: &[u8], unfinished: bool) -> Chunk {
        Chunk {
            service: "app".into(),
            stream,
            at: 951_782_400_123,
            text: text.to_vec(),
            unfinished,
        }
    }

    fn check(text: &str, expected: &str) {
        let mut out = Vec::new();
        chunk(Stream::Stdout, text.as_bytes(), false).write(Style::Json, &mut out);
        assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
    }

    const HEAD: &str =
        r#"{"ts":"2000-02-29T00:00:00.123Z","level":"info","service":"app","stream":"stdout","#;

    #[test]
    fn a_plain_line_is_wrapped() {
        check("hello \"you\"\r\n", &format!("{HEAD}\"message\":\"hello \\\"you\\\"\"}}\n"));
        check("\n", &format!("{HEAD}\"message\":\"\"}}\n"));
        check("a\nb\n", &format!("{HEAD}\"message\":\"a\"}}\n{HEAD}\"message\":\"b\"}}\n"));
    }

    #[test]
    fn a_json_line_is_merged_with_its_values_as_they_were() {
        check(
            "{\"message\":\"m\",\"n\":1.50,\"deep\":{\"a\":[1]}}\n",
            &format!("{HEAD}\"message\":\"m\",\"n\":1.50,\"deep\":{{\"a\":[1]}}}}\n"),
        );
        check(
            "{\"level\":\"error\",\"ts\":\"then\",\"a\":1,\"a\":2}\n",
            "{\"service\":\"app\",\"stream\":\"stdout\",\"level\":\"error\",\"ts\":\"then\",\"a\":2}\n",
        );
    }

    #[test]
    fn a_line_cannot_pretend_to_come_from_another_service() {
        check(
            "{\"service\":\"proxy\",\"stream\":\"event\",\"x\":1}\n",
            &format!("{HEAD}\"x\":1}}\n"),
        );
    }

    #[test]
    fn a_line_cannot_look_like_two_to_whoever_splits_on_other_characters() {
        check(
            "{\"a\":\r{\"b\":\r\n",
            &format!("{HEAD}\"message\":\"{{\\\"a\\\":\\r{{\\\"b\\\":\"}}\n"),
        );
        check(
            "{\"a\":[1,\r{\"service\":\"proxy\"}\r],\"b\":\"\u{85}\u{2028}\"}\n",
            &format!("{HEAD}\"a\":[1, {{\"service\":\"proxy\"}} ],\"b\":\"\\u0085\\u2028\"}}\n"),
        );
    }

    #[test]
    fn what_only_looks_like_json_is_text() {
        check("{oops\n", &format!("{HEAD}\"message\":\"{{oops\"}}\n"));
        check("{} {}\n", &format!("{HEAD}\"message\":\"{{}} {{}}\"}}\n"));
    }

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

    proptest! {
        #[test]
        fn every_record_is_one_line_of_json(
            text in prop::collection::vec(any::<u8>(), 0..200),
            unfinished: bool,
        ) {
            let mut out = Vec::new();
            let chunk = chunk(Stream::Stderr, &text, unfinished);
            chunk.write(Style::Json, &mut out);
            let written = String::from_utf8(out).expect("UTF-8");
            prop_assert!(written.ends_with('\n'));
            prop_assert_eq!(written.lines().count(), chunk.lines().count());
            prop_assert!(written.lines().all(|line| !line.contains(json_text::is_unsafe)));
            for line in written.lines() {
                let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
                prop_assert_eq!(value["service"].as_str(), Some("app"));
            }
        }
    }
}
