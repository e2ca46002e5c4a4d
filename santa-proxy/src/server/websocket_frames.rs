//! Where WebSocket frames begin and end in a stream of bytes (RFC 6455), so that a
//! frame of our own can be put between two. Contents are not looked at.

/// Longest header: two bytes, eight of length, four of mask.
const LONGEST_HEADER: usize = 14;
const CLOSE: u8 = 8;

/// How far into the frames of one direction its bytes have come.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    header: [u8; LONGEST_HEADER],
    /// Bytes of the header that are there.
    have: usize,
    /// Bytes of the present frame's content that are still to come.
    left: u64,
    closed: bool,
}

impl Frames {
    /// Takes note of bytes that have passed.
    pub(crate) fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let skipped = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            self.header[self.have] = first;
            self.have += 1;
            bytes = rest;
            if self.have == self.header_length() {
                self.left = self.content_length();
                self.closed |= self.header[0] & 0x0f == CLOSE;
                self.have = 0;
            }
        }
    }

    /// Whether the last byte was the last of a frame.
    pub(crate) fn at_boundary(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    /// Whether a close frame has begun to pass: nothing may follow it.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// How long the header is, as far as it is known.
    fn header_length(&self) -> usize {
        if self.have < 2 {
            return 2;
        }
        let extended = match self.header[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.header[1] & 0x80 == 0 { 0 } else { 4 };
        2 + extended + mask
    }

    fn content_length(&self) -> u64 {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        match self.header[1] & 0x7f {
            126 => number(&self.header[2..4]),
            127 => number(&self.header[2..10]),
            short => u64::from(short),
        }
    }
}

/// A close frame as a server sends it. A control frame holds 125 bytes at most.
pub(crate) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    let reason = &reason.as_bytes()[..reason.len().min(123)];
    let length = u8::try_from(reason.len() + 2).unwrap_or(2);
    let mut frame = vec![0x80 | CLOSE, length];
    frame.extend_from_slice(&code.to_be_bytes());
    frame.extend_from_slice(reason);
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(opcode: u8, length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x80 | opcode];
        match length {
            0..=125 => frame.push(mask | length as u8),
            126..=0xffff => {
                frame.push(mask | 126);
                frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        if masked {
            frame.extend_from_slice(&[1, 2, 3, 4]);
        }
        // Content that looks like headers.
        frame.extend(std::iter::repeat_n(0x88, length));
        frame
    }

    proptest! {
        #[test]
        fn boundaries_are_found_however_the_bytes_are_cut(
            shapes in prop::collection::vec((1u8..8, prop::sample::select(vec![0, 1, 125, 126, 300, 65_535, 65_536]), any::<bool>()), 1..6),
            cut in 1usize..400,
        ) {
            let all: Vec<Vec<u8>> = shapes.iter().map(|&(opcode, length, masked)| frame(opcode, length, masked)).collect();
            let mut ends = std::collections::HashSet::from([0]);
            let mut at = 0;
            for one in &all {
                at += one.len();
                ends.insert(at);
            }
            let bytes = all.concat();
            let mut frames = Frames::default();
            let mut passed = 0;
            for piece in bytes.chunks(cut) {
                frames.pass(piece);
                passed += piece.len();
                prop_assert_eq!(frames.at_boundary(), ends.contains(&passed));
            }
            prop_assert!(!frames.is_closed());
            frames.pass(&close_frame(1012, "restart"));
            prop_assert!(frames.is_closed() && frames.at_boundary());
        }

        #[test]
        fn no_bytes_stop_it(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut frames = Frames::default();
            frames.pass(&bytes);
            frames.pass(&[0x88; 40]);
        }
    }

    #[test]
    fn a_close_frame_says_code_and_reason() {
        assert_eq!(close_frame(1012, "bye"), [0x88, 5, 0x03, 0xf4, b'b', b'y', b'e']);
        assert_eq!(close_frame(1001, &"x".repeat(500)).len(), 127);
    }
}
