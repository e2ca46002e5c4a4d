//! Pure: one line of output as a log record, JSON or for people. Knows nothing
//! of where records go; [`crate::log_writer`] writes them.

mod json;
mod level;
mod pretty;

use std::sync::Arc;

use memchr::memchr;

use crate::clock::Millis;

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
    /// For people; with colors on a terminal.
    Pretty {
        /// Whether to use them.
        colors: bool,
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

    /// Appends all its lines as records; empty lines are left out for people.
    pub fn write(&self, style: Style, out: &mut Vec<u8>) {
        match style {
            Style::Json => {
                let frame = json::Frame::new(self);
                self.lines().for_each(|line| json::line(self, &frame, line, out));
            }
            Style::Pretty { colors } => {
                let lines = self.lines().filter(|line| !line.trim_ascii().is_empty());
                lines.for_each(|line| pretty::line(self, line, colors, out));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json_text;
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
