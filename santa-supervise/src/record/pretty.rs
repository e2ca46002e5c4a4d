//! Pure: one line of output for people: time, service in its color, text. JSON
//! lines become their message and the rest as `name=value`; access lines one
//! short phrase.

use crate::clock;
use crate::json_text::is_unsafe;

use super::json::Members;
use super::level::level;
use super::{Chunk, OWN_NAME};

/// Room for the names of services; longer ones push their lines to the right.
const NAME_WIDTH: usize = 10;

/// Colors for names, apart from red and yellow, which mean trouble.
const NAME_COLORS: [&str; 6] = [CYAN, GREEN, "\x1b[35m", "\x1b[34m", "\x1b[96m", "\x1b[92m"];
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const CYAN: &str = "\x1b[36m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

/// Members of a JSON line that are shown elsewhere or say nothing to a person.
const SHOWN_OTHERWISE: [&str; 6] = ["ts", "level", "message", "service", "stream", "logger"];

/// Appends one line of `chunk`.
pub(super) fn line(chunk: &Chunk, line: &[u8], colors: bool, out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(line);
    let members = Members::read(&text).filter(|_| !chunk.unfinished);
    let own_level = members.as_ref().and_then(|members| members.text("level"));
    let level = own_level.as_deref().unwrap_or_else(|| level(&text, chunk.stream));
    let is_access = members.as_ref().is_some_and(is_access);
    let paint = |color: &'static str| if colors { color } else { "" };
    let mark = match level {
        _ if is_access => "",
        "error" | "critical" | "fatal" => paint(RED),
        "warning" | "warn" => paint(YELLOW),
        _ => "",
    };
    let head = format!(
        "{}{}{} {}{:<NAME_WIDTH$}{} {mark}",
        paint(DIM),
        clock::time_of_day(chunk.at),
        paint(PLAIN),
        paint(color_of(&chunk.service)),
        chunk.service,
        paint(PLAIN),
    );
    out.extend_from_slice(head.as_bytes());
    match members {
        Some(members) if is_access => access(&members, colors, out),
        Some(members) => message(&members, &chunk.service, out),
        None => harmless(&text, colors, out),
    }
    if chunk.unfinished {
        out.extend_from_slice(" …".as_bytes());
    }
    out.extend_from_slice(if mark.is_empty() { "" } else { PLAIN }.as_bytes());
    out.push(b'\n');
}

/// The same name always has the same color.
fn color_of(service: &str) -> &'static str {
    if service == OWN_NAME {
        return DIM;
    }
    let sum: usize = service.bytes().map(usize::from).sum();
    NAME_COLORS[sum % NAME_COLORS.len()]
}

/// Whether a line tells of one request.
fn is_access(members: &Members<'_>) -> bool {
    members.number("status").is_some() && ["method", "path"].iter().all(|name| members.has(name))
}

/// Appends an access line as one phrase: `GET /api/v1/rules 200 4.1 ms`.
fn access(members: &Members<'_>, colors: bool, out: &mut Vec<u8>) {
    let text = |name| members.text(name).unwrap_or_default();
    harmless(&format!("{} {} ", text("method"), text("path")), false, out);
    let status = members.number("status").unwrap_or_default();
    let shown = match status {
        _ if !colors => status.to_string(),
        500.0.. => format!("{RED}{status}{PLAIN}"),
        400.0.. => format!("{YELLOW}{status}{PLAIN}"),
        300.0.. => format!("{CYAN}{status}{PLAIN}"),
        _ => format!("{GREEN}{status}{PLAIN}"),
    };
    out.extend_from_slice(shown.as_bytes());
    if let Some(taken) = members.number("duration_ms") {
        out.extend_from_slice(format!(" {taken:.1} ms").as_bytes());
    }
}

fn message(members: &Members<'_>, service: &str, out: &mut Vec<u8>) {
    let mut text = members.text("message").unwrap_or_default();
    // Our own messages say everything in words.
    if service != OWN_NAME {
        let rest = members.0.iter().filter(|(name, _)| !SHOWN_OTHERWISE.contains(&name.as_str()));
        for (name, value) in rest {
            let gap = if text.is_empty() { "" } else { " " };
            text += &format!("{gap}{name}={}", value.get());
        }
    }
    // A traceback is worth its lines.
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.extend_from_slice(format!("\n{:1$}", "", 10 + NAME_WIDTH).as_bytes());
        }
        harmless(line, false, out);
    }
}

/// Appends text without anything that could move the cursor or clear the
/// screen; colors may stay.
fn harmless(text: &str, colors: bool, out: &mut Vec<u8>) {
    let mut rest = text.chars();
    let mut colored = false;
    while let Some(c) = rest.next() {
        let sequence = if c == '\x1b' { color_sequence(rest.as_str()) } else { None };
        match (c, sequence) {
            (_, Some(length)) => {
                if colors {
                    out.push(b'\x1b');
                    out.extend_from_slice(&rest.as_str().as_bytes()[..length]);
                    colored = true;
                }
                rest = rest.as_str()[length..].chars();
            }
            ('\t', _) => out.push(b'\t'),
            (c, _) if is_unsafe(c) => out.extend_from_slice("\u{fffd}".as_bytes()),
            (c, _) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    if colored {
        out.extend_from_slice(PLAIN.as_bytes());
    }
}

/// Length of `[…m` behind an escape character.
fn color_sequence(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix('[')?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';' && c != ':')?;
    parameters[end..].starts_with('m').then_some(end + 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Stream, Style};

    fn check(service: &str, text: &str, colors: bool, expected: &str) {
        let chunk = Chunk {
            service: service.into(),
            stream: Stream::Stdout,
            at: 951_782_400_123,
            text: text.as_bytes().to_vec(),
            unfinished: false,
        };
        let mut out = Vec::new();
        chunk.write(Style::Pretty { colors }, &mut out);
        assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
    }

    #[test]
    fn lines_are_aligned_behind_their_service() {
        check("app", "hello\n", false, "00:00:00 app        hello\n");
        check("a-long-name", "hello\n", false, "00:00:00 a-long-name hello\n");
    }

    #[test]
    fn json_lines_become_their_message_and_the_rest() {
        check(
            "app",
            "{\"message\":\"m\",\"ts\":\"t\",\"n\":1}\n",
            false,
            "00:00:00 app        m n=1\n",
        );
        check("supervise", "{\"message\":\"m\",\"n\":1}\n", false, "00:00:00 supervise  m\n");
    }

    #[test]
    fn an_access_line_is_one_phrase_with_its_status_in_color() {
        let line = |status: u32| {
            format!(
                "{{\"level\":\"info\",\"method\":\"GET\",\"path\":\"/a\",\"status\":{status},\
                 \"bytes\":7,\"duration_ms\":4.125,\"user_agent\":\"x\"}}\n"
            )
        };
        check("app", &line(200), false, "00:00:00 app        GET /a 200 4.1 ms\n");
        let head = "\x1b[2m00:00:00\x1b[0m \x1b[34mapp       \x1b[0m GET /a ";
        for (status, color) in [(204, GREEN), (304, CYAN), (404, YELLOW), (503, RED)] {
            check("app", &line(status), true, &format!("{head}{color}{status}\x1b[0m 4.1 ms\n"));
        }
    }

    #[test]
    fn empty_lines_are_left_out() {
        check("app", "\na\n \n", false, "00:00:00 app        a\n");
    }

    #[test]
    fn a_line_cannot_clear_the_screen_but_may_be_colored() {
        check(
            "app",
            "\x1b[2J\x1b[1;31mred\x1b[0m\x07\n",
            false,
            "00:00:00 app        \u{fffd}[2Jred\u{fffd}\n",
        );
        check(
            "app",
            "\x1b[31mred\n",
            true,
            "\x1b[2m00:00:00\x1b[0m \x1b[34mapp       \x1b[0m \x1b[31mred\x1b[0m\n",
        );
    }
}
