//! The chunked transfer coding (RFC 9112 §7.1) as a state machine over bytes
//! that arrive in any pieces. Decodes in place and refuses every deviation;
//! extensions are skipped, the trailer section is kept for the caller.

use super::bytes::{hex_digit, is_field_value, is_token_byte, push_hex, trim};
use super::field::{Fields, MOST_FIELDS};

/// Longest chunk-size line, extensions included.
const LONGEST_LINE: usize = 1024;
/// Longest trailer section.
const LONGEST_TRAILER: usize = 8192;

/// What went wrong; the connection cannot be used further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkError(pub &'static str);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first digit of a size.
    Size,
    /// After at least one digit.
    SizeDigits,
    /// In a chunk extension.
    Extension,
    /// After the CR of a size line.
    SizeFeed,
    /// In the data.
    Data,
    /// After the data.
    DataReturn,
    /// After the CR that follows the data.
    DataFeed,
    /// In the trailer section.
    Trailer,
    /// After the end.
    Done,
}

/// Decoder for one message's content.
#[derive(Debug, Clone)]
pub struct Chunked {
    state: State,
    left: u64,
    line: usize,
    extension: Vec<u8>,
    trailer: Vec<u8>,
}

impl Default for Chunked {
    fn default() -> Self {
        Self { state: State::Size, left: 0, line: 0, extension: Vec::new(), trailer: Vec::new() }
    }
}

/// How much of the buffer was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes taken from the front of the buffer.
    pub consumed: usize,
    /// Bytes of content, now at the front of the buffer.
    pub produced: usize,
}

impl Chunked {
    /// Whether the end of the content has been reached.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The field lines of the trailer section with their line ends, once done.
    #[must_use]
    pub fn trailer(&self) -> &[u8] {
        self.trailer.strip_suffix(b"\r\n").unwrap_or_default()
    }

    /// Bytes of the current chunk that are still to come.
    #[must_use]
    pub fn left_of_chunk(&self) -> u64 {
        self.left
    }

    /// Takes from `buffer` what belongs to the content and moves the data to
    /// its front.
    ///
    /// # Errors
    /// When the bytes are not the chunked coding.
    pub fn decode(&mut self, buffer: &mut [u8]) -> Result<Decoded, ChunkError> {
        let mut done = Decoded::default();
        while done.consumed < buffer.len() && self.state != State::Done {
            if self.state == State::Data {
                self.take_data(buffer, &mut done);
            } else {
                let byte = buffer[done.consumed];
                done.consumed += 1;
                self.state = self.step(byte)?;
            }
        }
        Ok(done)
    }

    fn take_data(&mut self, buffer: &mut [u8], done: &mut Decoded) {
        let available = buffer.len() - done.consumed;
        let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(available);
        buffer.copy_within(done.consumed..done.consumed + take, done.produced);
        done.consumed += take;
        done.produced += take;
        self.left -= take as u64;
        if self.left == 0 {
            self.state = State::DataReturn;
        }
    }

    fn step(&mut self, byte: u8) -> Result<State, ChunkError> {
        match self.state {
            State::Size | State::SizeDigits => self.size_byte(byte),
            State::Extension => self.extension_byte(byte),
            State::SizeFeed if byte == b'\n' => Ok(self.size_line_end()),
            State::DataReturn if byte == b'\r' => Ok(State::DataFeed),
            State::DataFeed if byte == b'\n' => Ok(State::Size),
            State::Trailer => self.trailer_byte(byte),
            State::SizeFeed => Err(ChunkError("carriage return inside a chunk-size line")),
            _ => Err(ChunkError("chunk data is longer than its size")),
        }
    }

    fn size_byte(&mut self, byte: u8) -> Result<State, ChunkError> {
        if let Some(digit) = hex_digit(byte) {
            if self.left >> 60 != 0 {
                return Err(ChunkError("chunk size is too large"));
            }
            self.left = self.left << 4 | u64::from(digit);
            return self.count_line(State::SizeDigits);
        }
        match byte {
            b'\r' if self.state == State::SizeDigits => Ok(State::SizeFeed),
            b';' | b' ' | b'\t' if self.state == State::SizeDigits => {
                self.extension.push(byte);
                self.count_line(State::Extension)
            }
            _ => Err(ChunkError("chunk size is not a hexadecimal number")),
        }
    }

    fn extension_byte(&mut self, byte: u8) -> Result<State, ChunkError> {
        if byte != b'\r' {
            self.extension.push(byte);
            return self.count_line(State::Extension);
        }
        if !is_extension(&self.extension) {
            return Err(ChunkError("malformed chunk extension"));
        }
        self.extension.clear();
        Ok(State::SizeFeed)
    }

    fn count_line(&mut self, next: State) -> Result<State, ChunkError> {
        self.line += 1;
        if self.line > LONGEST_LINE {
            return Err(ChunkError("chunk-size line is too long"));
        }
        Ok(next)
    }

    fn size_line_end(&mut self) -> State {
        self.line = 0;
        if self.left == 0 { State::Trailer } else { State::Data }
    }

    fn trailer_byte(&mut self, byte: u8) -> Result<State, ChunkError> {
        if self.trailer.last() == Some(&b'\r') && byte != b'\n' {
            return Err(ChunkError("carriage return inside the trailer section"));
        }
        self.trailer.push(byte);
        if byte != b'\n' {
            return if self.trailer.len() > LONGEST_TRAILER {
                Err(ChunkError("trailer section is too long"))
            } else {
                Ok(State::Trailer)
            };
        }
        if !self.trailer.ends_with(b"\r\n") {
            return Err(ChunkError("line feed without carriage return in the trailer section"));
        }
        if self.trailer != b"\r\n" && !self.trailer.ends_with(b"\r\n\r\n") {
            return Ok(State::Trailer);
        }
        Fields::parse(&self.trailer, MOST_FIELDS)
            .map(|_| State::Done)
            .map_err(|_| ChunkError("malformed trailer section"))
    }
}

/// Appends content to a message, in the chunked coding or as it is; `last` ends the coding.
pub fn push_content(out: &mut Vec<u8>, payload: &[u8], chunked: bool, last: bool) {
    if !chunked {
        out.extend_from_slice(payload);
        return;
    }
    if !payload.is_empty() {
        push_hex(out, payload.len() as u64);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
    }
    if last {
        out.extend_from_slice(b"0\r\n\r\n");
    }
}

/// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`
fn is_extension(text: &[u8]) -> bool {
    let mut rest = trim(text);
    if rest.is_empty() {
        // Space after the size with no extension after it is not in the grammar.
        return false;
    }
    while let [b';', after @ ..] = rest {
        let Some(after) = extension_name(trim(after)) else { return false };
        rest = trim(after);
        if let [b'=', after @ ..] = rest {
            let Some(after) = extension_value(trim(after)) else { return false };
            rest = trim(after);
        }
    }
    rest.is_empty()
}

fn extension_name(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().position(|byte| !is_token_byte(*byte)).unwrap_or(text.len());
    (end > 0).then(|| &text[end..])
}

fn extension_value(text: &[u8]) -> Option<&[u8]> {
    let [b'"', quoted @ ..] = text else { return extension_name(text) };
    let mut escaped = false;
    for (at, byte) in quoted.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return is_field_value(&quoted[..at]).then(|| &quoted[at + 1..]),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Content, what is left after it, trailer.
    type Outcome = Result<(Vec<u8>, Vec<u8>, Vec<u8>), ChunkError>;

    /// Decodes `bytes` in pieces of `size`.
    fn decode(bytes: &[u8], size: usize) -> Outcome {
        let mut decoder = Chunked::default();
        let mut content = Vec::new();
        let mut used = 0;
        for piece in bytes.chunks(size.max(1)) {
            let mut piece = piece.to_vec();
            let done = decoder.decode(&mut piece)?;
            content.extend_from_slice(&piece[..done.produced]);
            used += done.consumed;
            if decoder.is_done() {
                return Ok((content, bytes[used..].to_vec(), decoder.trailer().to_vec()));
            }
        }
        Err(ChunkError("incomplete"))
    }

    #[test]
    fn content_ends_where_the_coding_says() {
        let cases: &[(&str, &str, &str, &str)] = &[
            ("0\r\n\r\n", "", "", ""),
            ("5\r\nhello\r\n0\r\n\r\nNEXT", "hello", "NEXT", ""),
            ("00005\r\nhello\r\n000\r\n\r\n", "hello", "", ""),
            ("A\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n", "0123456789x", "", ""),
            ("5;a=b;c=\"d;\\\"\"\r\nhello\r\n0;x\r\n\r\n", "hello", "", ""),
            ("5 ; a = b\r\nhello\r\n0\r\n\r\n", "hello", "", ""),
            ("1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n", "x", "", "A: b\r\nC: d\r\n"),
        ];
        for (bytes, content, rest, trailer) in cases {
            let expected = Ok((
                content.as_bytes().to_vec(),
                rest.as_bytes().to_vec(),
                trailer.as_bytes().to_vec(),
            ));
            assert_eq!(decode(bytes.as_bytes(), usize::MAX), expected, "{bytes:?}");
            assert_eq!(decode(bytes.as_bytes(), 1), expected, "{bytes:?} byte by byte");
        }
    }

    #[test]
    fn deviations_are_refused() {
        let bad = [
            "\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "5\r\nhelloX\r\n0\r\n\r\n",
            "-1\r\nx",
            "+1\r\nx",
            "0x1\r\nx",
            " 1\r\nx",
            "1 \r\nx\r\n0\r\n\r\n",
            "g\r\n",
            "1\rx",
            "10000000000000000\r\n",
            "fffffffffffffffff\r\n",
            "1;\r\nx\r\n0\r\n\r\n",
            "1;a\nb\r\nx",
            "1;a=\r\nx",
            "1;a=\"b\r\nx\r\n0\r\n\r\n",
            "1;a\0\r\nx",
            "1,1\r\nx",
            "0\r\nA : b\r\n\r\n",
            "0\r\n folded\r\n\r\n",
            "0\r\nA: b\n\r\n",
            "0\r\nbad\r\n\r\n",
            "1;a\rb\r\nx\r\n0\r\n\r\n",
        ];
        for bytes in bad {
            let result = decode(bytes.as_bytes(), usize::MAX);
            assert!(matches!(result, Err(ChunkError(why)) if why != "incomplete"), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_give_the_same_result_as_the_whole(
            bytes in "([0-9a-f]{1,2}|\r\n|\n|;|a|=|\"|:| ){0,24}",
            size in 1usize..16,
        ) {
            let whole = decode(bytes.as_bytes(), usize::MAX);
            prop_assert_eq!(decode(bytes.as_bytes(), size), whole);
        }

        #[test]
        fn what_is_encoded_comes_back(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..8), size in 1usize..50) {
            let mut bytes = Vec::new();
            for chunk in &chunks {
                bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
            let (content, rest, _) = decode(&bytes, size).expect("valid");
            prop_assert_eq!(content, chunks.concat());
            prop_assert!(rest.is_empty());
        }
    }
}
