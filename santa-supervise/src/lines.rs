//! Pure: whole lines out of whatever pieces a pipe delivers. Memory is bounded
//! by the longest line; what is longer comes in marked pieces. Read
//! [`crate::record`] for what becomes of a line.

use memchr::memchr;

/// Some output of one stream, ready to be passed on.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    /// Whole lines, each with its newline; or one piece of a line too long.
    pub text: Vec<u8>,
    /// Whether the line goes on in the next piece.
    pub unfinished: bool,
}

/// What a stream has written since its last newline.
#[derive(Debug)]
pub struct Lines {
    begun: Vec<u8>,
    longest: usize,
}

impl Lines {
    /// Lines longer than `longest` bytes come in pieces of that length.
    #[must_use]
    pub fn new(longest: usize) -> Self {
        Self { begun: Vec::new(), longest: longest.max(1) }
    }

    /// Takes the next bytes; returns every line that they complete.
    pub fn push(&mut self, mut bytes: &[u8], mut give: impl FnMut(Piece)) {
        let mut whole = Vec::new();
        while let Some(end) = memchr(b'\n', bytes) {
            let line = &bytes[..end];
            bytes = &bytes[end + 1..];
            if self.begun.is_empty() && line.len() <= self.longest {
                whole.extend_from_slice(line);
            } else {
                self.begun.extend_from_slice(line);
                self.give_long(&mut whole, &mut give);
                whole.append(&mut self.begun);
            }
            whole.push(b'\n');
        }
        self.begun.extend_from_slice(bytes);
        self.give_long(&mut whole, &mut give);
        if !whole.is_empty() {
            give(Piece { text: whole, unfinished: false });
        }
    }

    /// Returns what was written without a newline, once the stream has ended.
    pub fn finish(&mut self) -> Option<Piece> {
        let mut text = std::mem::take(&mut self.begun);
        text.push(b'\n');
        (text.len() > 1).then_some(Piece { text, unfinished: false })
    }

    /// Cuts pieces off a line that is too long, after the lines before it.
    fn give_long(&mut self, whole: &mut Vec<u8>, give: &mut impl FnMut(Piece)) {
        while self.begun.len() > self.longest {
            if !whole.is_empty() {
                give(Piece { text: std::mem::take(whole), unfinished: false });
            }
            let rest = self.begun.split_off(self.longest);
            let text = std::mem::replace(&mut self.begun, rest);
            give(Piece { text, unfinished: true });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces(longest: usize, chunks: &[&[u8]]) -> Vec<(String, bool)> {
        let mut lines = Lines::new(longest);
        let mut found = Vec::new();
        for chunk in chunks {
            lines.push(chunk, |piece| found.push(piece));
        }
        found.extend(lines.finish());
        found
            .into_iter()
            .map(|piece| (String::from_utf8_lossy(&piece.text).into_owned(), piece.unfinished))
            .collect()
    }

    #[test]
    fn lines_are_whole_however_they_arrive() {
        assert_eq!(
            pieces(80, &[b"a\nb", b"c\n\nd"]),
            [("a\n".to_owned(), false), ("bc\n\n".to_owned(), false), ("d\n".to_owned(), false),]
        );
    }

    #[test]
    fn a_long_line_comes_in_marked_pieces_after_the_lines_before_it() {
        assert_eq!(
            pieces(4, &[b"x\nabcdefghij\ny\n"]),
            [
                ("x\n".to_owned(), false),
                ("abcd".to_owned(), true),
                ("efgh".to_owned(), true),
                ("ij\ny\n".to_owned(), false),
            ]
        );
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_or_held_beyond_the_longest_line(
            chunks in prop::collection::vec(prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'a'), any::<u8>()], 0..40), 0..20),
            longest in 1usize..20,
        ) {
            let mut lines = Lines::new(longest);
            let mut given = Vec::new();
            for chunk in &chunks {
                lines.push(chunk, |piece| given.extend(piece.text));
                prop_assert!(lines.begun.len() <= longest);
            }
            given.extend(lines.finish().map(|piece| piece.text).unwrap_or_default());
            let mut expected = chunks.concat();
            if !expected.is_empty() && !expected.ends_with(b"\n") {
                expected.push(b'\n');
            }
            prop_assert_eq!(given, expected);
        }
    }
}
