//! The form of records for machines: one JSON object a line.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::clock;
use crate::json_text;

use super::Chunk;
use super::level::level;

/// What all records of a chunk have in common, as bytes of JSON.
pub(super) struct Frame {
    /// `"ts":"…",`
    time: Vec<u8>,
    /// `"service":"…","stream":"…",`
    origin: Vec<u8>,
}

impl Frame {
    pub(super) fn new(chunk: &Chunk) -> Self {
        let (mut time, mut origin) = (Vec::new(), Vec::new());
        member(&mut time, "ts", &clock::rfc3339(chunk.at));
        member(&mut origin, "service", &chunk.service);
        member(&mut origin, "stream", chunk.stream.word());
        Self { time, origin }
    }
}

/// The members of a JSON object, in order, their values as written.
pub(super) struct Members<'a>(pub(super) Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads a line that is a JSON object and nothing else.
    pub(super) fn read(line: &'a str) -> Option<Self> {
        if !line.trim_start().starts_with('{') {
            return None;
        }
        let mut reader = serde_json::Deserializer::from_str(line);
        let members = reader.deserialize_map(ReadMembers).ok()?;
        reader.end().ok()?;
        Some(members)
    }

    /// A member's text, if it is a string.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        serde_json::from_str(value.get()).ok()
    }

    /// A member's value, if it is a number.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        serde_json::from_str(value.get()).ok()
    }

    pub(super) fn has(&self, name: &str) -> bool {
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
pub(super) fn line(chunk: &Chunk, frame: &Frame, line: &[u8], out: &mut Vec<u8>) {
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
