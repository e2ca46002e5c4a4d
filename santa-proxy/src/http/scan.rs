//! Finds the end of a message head in bytes that arrive in pieces, and refuses
//! line ends that are not CRLF as soon as they are seen. Knows nothing of what
//! the lines say; see `request` and `response` for that.

use std::ops::Range;

/// Progress through a head that is still arriving.
///
/// Each byte is looked at once, however small the pieces are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scan {
    scanned: usize,
    line: usize,
    start: usize,
    start_line_end: Option<usize>,
}

/// What is known so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The head is not complete; the start line, without its CRLF, may be.
    More(Option<Range<usize>>),
    /// The head is complete.
    Head(HeadSpan),
}

/// Where a complete head lies in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadSpan {
    /// First byte of the start line.
    pub start: usize,
    /// End of the start line, before its CRLF.
    pub line_end: usize,
    /// After the empty line.
    pub end: usize,
}

/// Why these bytes cannot become a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanError {
    /// A line ends in LF without CR.
    BareLineFeed,
    /// An empty line where the start line should be.
    NoStartLine,
    /// The start line does not begin with a token.
    Start,
    /// Longer than allowed while still in the start line.
    LongStartLine,
    /// Longer than allowed.
    LongHead,
}

/// What a head may look like.
#[derive(Debug, Clone, Copy)]
pub struct ScanRules {
    /// Longest start line in bytes.
    pub start_line: usize,
    /// Longest head in bytes.
    pub head: usize,
    /// Whether one empty line may come first (RFC 9112 §2.2, requests only).
    pub leading_empty_line: bool,
}

impl Scan {
    /// Looks at what has arrived since the last call; `buffer` starts with the
    /// first byte of the message every time.
    ///
    /// # Errors
    /// As soon as no continuation could make a head of these bytes.
    pub fn advance(&mut self, buffer: &[u8], rules: &ScanRules) -> Result<Found, ScanError> {
        if rules.leading_empty_line && self.start == 0 {
            match buffer {
                b"\r" => return Ok(Found::More(None)),
                [b'\r', b'\n', ..] => {
                    *self = Self { scanned: 2, line: 2, start: 2, start_line_end: None };
                }
                _ => {}
            }
        }
        if self.scanned == self.start {
            first_byte(buffer.get(self.start))?;
        }
        while let Some(offset) = memchr::memchr(b'\n', &buffer[self.scanned..]) {
            let feed = self.scanned + offset;
            self.within(feed, rules)?;
            if feed == self.line || buffer[feed - 1] != b'\r' {
                return Err(ScanError::BareLineFeed);
            }
            self.scanned = feed + 1;
            match self.start_line_end {
                None => self.start_line_end = Some(feed - 1),
                Some(line_end) if feed - 1 == self.line => {
                    return Ok(Found::Head(HeadSpan {
                        start: self.start,
                        line_end,
                        end: feed + 1,
                    }));
                }
                Some(_) => {}
            }
            self.line = feed + 1;
        }
        self.scanned = buffer.len();
        self.within(buffer.len(), rules)?;
        Ok(Found::More(self.start_line_end.map(|end| self.start..end)))
    }

    /// Holds the limits when the first `len` bytes have not completed the head.
    fn within(&self, len: usize, rules: &ScanRules) -> Result<(), ScanError> {
        let len = len.saturating_sub(self.start);
        match self.start_line_end {
            // The last byte may be the CR that ends the line.
            None if len.saturating_sub(1) > rules.start_line || len >= rules.head => {
                Err(ScanError::LongStartLine)
            }
            Some(_) if len >= rules.head => Err(ScanError::LongHead),
            _ => Ok(()),
        }
    }
}

fn first_byte(byte: Option<&u8>) -> Result<(), ScanError> {
    match byte {
        None => Ok(()),
        Some(b'\n') => Err(ScanError::BareLineFeed),
        Some(b'\r') => Err(ScanError::NoStartLine),
        Some(byte) if super::bytes::is_token_byte(*byte) => Ok(()),
        Some(_) => Err(ScanError::Start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULES: ScanRules = ScanRules { start_line: 40, head: 100, leading_empty_line: true };

    fn whole(bytes: &[u8]) -> Result<Found, ScanError> {
        Scan::default().advance(bytes, &RULES)
    }

    fn in_pieces(bytes: &[u8], cuts: &[usize]) -> Result<Found, ScanError> {
        let mut scan = Scan::default();
        for cut in cuts {
            match scan.advance(&bytes[..*cut], &RULES) {
                Ok(Found::More(_)) => {}
                decided => return decided,
            }
        }
        scan.advance(bytes, &RULES)
    }

    #[test]
    fn heads_end_at_the_empty_line() {
        let head = Found::Head(HeadSpan { start: 0, line_end: 14, end: 27 });
        assert_eq!(whole(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nrest"), Ok(head));
        let head = Found::Head(HeadSpan { start: 2, line_end: 16, end: 29 });
        assert_eq!(whole(b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"), Ok(head));
        assert_eq!(whole(b"GET / HTTP/1.1\r\nHost: x\r\n"), Ok(Found::More(Some(0..14))));
    }

    #[test]
    fn line_ends_other_than_crlf_are_refused_at_once() {
        assert_eq!(whole(b"GET / HTTP/1.1\n"), Err(ScanError::BareLineFeed));
        assert_eq!(whole(b"GET / HTTP/1.1\r\nA: b\n"), Err(ScanError::BareLineFeed));
        assert_eq!(whole(b"\nGET"), Err(ScanError::BareLineFeed));
        assert_eq!(whole(b"\r\n\r\nGET"), Err(ScanError::NoStartLine));
        assert_eq!(whole(b"\x16\x03\x01"), Err(ScanError::Start));
        assert_eq!(whole(b" GET"), Err(ScanError::Start));
    }

    #[test]
    fn length_limits_hold_before_the_end_arrives() {
        assert_eq!(whole(&[b'A'; 42]), Err(ScanError::LongStartLine));
        let mut head = b"GET / HTTP/1.1\r\nA: ".to_vec();
        head.resize(100, b'x');
        assert_eq!(whole(&head), Err(ScanError::LongHead));
    }

    fn head_like() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(&b"\r\n"[..]),
            Just(&b"\n"[..]),
            Just(&b"\r"[..]),
            Just(&b"GET / HTTP/1.1"[..]),
            Just(&b"A: b"[..]),
            Just(&b"\0"[..]),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn pieces_give_the_same_result_as_the_whole(bytes in head_like(), cut in 0usize..64) {
            let cut = cut.min(bytes.len());
            prop_assert_eq!(in_pieces(&bytes, &[cut]), whole(&bytes));
            let every: Vec<usize> = (0..bytes.len()).collect();
            prop_assert_eq!(in_pieces(&bytes, &every), whole(&bytes));
        }
    }
}
