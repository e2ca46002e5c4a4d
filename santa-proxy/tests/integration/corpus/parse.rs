//! Reads the case files; see the module above for their form.

/// One case.
#[derive(Debug, Default)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) request: Vec<u8>,
    pub(super) ends: bool,
    pub(super) statuses: Vec<u16>,
    pub(super) closes: bool,
    pub(super) has: Vec<(String, String)>,
    pub(super) lacks: Vec<String>,
    pub(super) body: Option<String>,
    pub(super) response: Vec<u8>,
    pub(super) backend_then: String,
    pub(super) backend_begins: bool,
    pub(super) backend_gets: Option<usize>,
    pub(super) backend_sees: Vec<String>,
    pub(super) backend_misses: Vec<String>,
    pub(super) backend_body: Option<String>,
}

/// All cases of a file.
pub(super) fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("=== ") {
            cases.push(Case { name: name.to_owned(), ..Case::default() });
        } else {
            let case = cases.last_mut().expect("a file starts with a name");
            assert!(case.read(line), "{}: cannot read {line:?}", case.name);
        }
    }
    cases
}

impl Case {
    fn read(&mut self, line: &str) -> bool {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            ">" => self.request.extend(unescape(rest).into_iter().chain(*b"\r\n")),
            ">>" => self.request.extend(unescape(rest)),
            "|" => self.response.extend(unescape(rest).into_iter().chain(*b"\r\n")),
            "||" => self.response.extend(unescape(rest)),
            "<" => self.statuses(rest),
            "end" => self.ends = true,
            "has" => {
                let Some((name, value)) = rest.split_once(": ") else { return false };
                self.has.push((name.to_owned(), value.to_owned()));
            }
            "lacks" => self.lacks.push(rest.to_owned()),
            "body:" => self.body = Some(text(rest)),
            "backend" => return self.backend(rest),
            _ => return false,
        }
        true
    }

    fn statuses(&mut self, rest: &str) {
        for word in rest.split(' ') {
            match word {
                "close" => self.closes = true,
                status => self.statuses.push(status.parse().expect("a status")),
            }
        }
    }

    fn backend(&mut self, rest: &str) -> bool {
        let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        match word {
            "then" => self.backend_then = rest.to_owned(),
            "begins" => self.backend_begins = true,
            "gets" => self.backend_gets = rest.parse().ok(),
            "sees:" => self.backend_sees.push(rest.to_owned()),
            "misses:" => self.backend_misses.push(rest.to_owned()),
            "body:" => self.backend_body = Some(text(rest)),
            _ => return false,
        }
        true
    }
}

fn text(escaped: &str) -> String {
    String::from_utf8(unescape(escaped)).expect("text")
}

/// `\r \n \t \0 \\ \xNN` and `{N*TEXT}` for repetition.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        match character {
            '\\' => rest = escape(rest, &mut out),
            '{' if rest.starts_with(|digit: char| digit.is_ascii_digit()) => {
                let (repeated, after) = rest.split_once('}').expect("closing brace");
                let (count, what) = repeated.split_once('*').expect("count*text");
                out.extend(unescape(what).repeat(count.parse().expect("a count")));
                rest = after;
            }
            other => out.extend(other.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    out
}

fn escape<'t>(rest: &'t str, out: &mut Vec<u8>) -> &'t str {
    let (kind, after) = rest.split_at(1);
    match kind {
        "r" => out.push(b'\r'),
        "n" => out.push(b'\n'),
        "t" => out.push(b'\t'),
        "0" => out.push(0),
        "\\" => out.push(b'\\'),
        "x" => {
            out.push(u8::from_str_radix(&after[..2], 16).expect("two digits"));
            return &after[2..];
        }
        other => panic!("unknown escape {other:?}"),
    }
    after
}
