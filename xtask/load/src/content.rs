//! The content of a response as it arrives, in pieces of any size: of a known length,
//! or in chunks (RFC 9112, section 7.1). Pure.

use anyhow::{Context, Result, bail, ensure};

/// How much of a response's content is still to come.
#[derive(Debug)]
pub(crate) enum Content {
    /// This many bytes.
    Length(u64),
    /// What chunks say.
    Chunks(Chunk),
}

/// Where in the chunked coding the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// In the size of a chunk, whose digits make this so far.
    Size(Option<u64>),
    /// After it, in an extension, up to the end of the line.
    Extension(u64),
    /// At the line feed after a size.
    SizeEnd(u64),
    /// In its data, of which this many bytes are to come.
    Data(u64),
    /// At the carriage return after its data.
    Return,
    /// At the line feed after that.
    Feed,
    /// In a line of the trailer section; an empty one is its last.
    Trailer { empty: bool },
    /// At the line feed of such a line.
    TrailerEnd { last: bool },
    /// After the end.
    Done,
}

impl Content {
    /// Takes the next bytes, shows what is content in them to `see`, and gives
    /// whether this was all.
    ///
    /// # Errors
    /// When more came than belongs to it, or the coding is broken.
    pub(crate) fn take(&mut self, bytes: &[u8], see: &mut impl FnMut(&[u8])) -> Result<bool> {
        let mut rest = bytes;
        match self {
            Self::Length(left) => {
                let after = left.checked_sub(bytes.len() as u64);
                *left = after.context("more came than the response announced")?;
                see(bytes);
                Ok(*left == 0)
            }
            Self::Chunks(chunk) => {
                while let Some((&first, others)) = rest.split_first() {
                    if let Chunk::Data(left) = chunk {
                        let length = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                        see(&rest[..length]);
                        rest = &rest[length..];
                        *left -= length as u64;
                        if *left == 0 {
                            *chunk = Chunk::Return;
                        }
                    } else {
                        *chunk = chunk.step(first)?;
                        rest = others;
                    }
                }
                Ok(*chunk == Chunk::Done)
            }
        }
    }
}

impl Chunk {
    /// Where it goes on after a byte that is not data.
    fn step(self, byte: u8) -> Result<Self> {
        Ok(match (self, byte) {
            (Self::Size(size), _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                let size = size.unwrap_or(0);
                ensure!(size >> 60 == 0, "a chunk is too long");
                Self::Size(Some(size << 4 | u64::from(digit)))
            }
            (Self::Size(Some(size)), b';') => Self::Extension(size),
            (Self::Size(Some(size)) | Self::Extension(size), b'\r') => Self::SizeEnd(size),
            (Self::Extension(size), _) => Self::Extension(size),
            (Self::SizeEnd(0), b'\n') => Self::Trailer { empty: true },
            (Self::SizeEnd(size), b'\n') => Self::Data(size),
            (Self::Return, b'\r') => Self::Feed,
            (Self::Feed, b'\n') => Self::Size(None),
            (Self::Trailer { empty }, b'\r') => Self::TrailerEnd { last: empty },
            (Self::Trailer { .. }, _) => Self::Trailer { empty: false },
            (Self::TrailerEnd { last: true }, b'\n') => Self::Done,
            (Self::TrailerEnd { last: false }, b'\n') => Self::Trailer { empty: true },
            (Self::Done, _) => bail!("more came than the last chunk announced"),
            _ => bail!("the chunked coding of the response is broken"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODED: &[u8] = b"5;a=b\r\nhello\r\n00A\r\n, chunked!\r\n0\r\nA: b\r\nC: d\r\n\r\n";

    fn take(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool)> {
        let (mut content, mut seen) = (Content::Chunks(Chunk::Size(None)), Vec::new());
        let mut done = false;
        for piece in pieces {
            done = content.take(piece, &mut |part| seen.extend_from_slice(part))?;
        }
        Ok((seen, done))
    }

    #[test]
    fn chunks_are_the_same_wherever_they_are_cut() {
        for cut in 0..=CODED.len() {
            let (front, back) = CODED.split_at(cut);
            let (seen, done) = take(&[front, back]).expect("well-formed");
            assert_eq!((seen.as_slice(), done), (&b"hello, chunked!"[..], true), "{cut}");
            let done = take(&[front]).expect("well-formed").1;
            assert_eq!(done, cut == CODED.len(), "{cut}");
        }
    }

    #[test]
    fn a_broken_coding_and_bytes_behind_the_end_are_errors() {
        let longer = [CODED, b"x"].concat();
        let wrong: [&[u8]; 7] = [
            b"\r\n",
            b"g\r\n",
            b"1\rx",
            b"1\r\naX",
            b"1\r\na\rX",
            b"10000000000000000\r\n",
            &longer,
        ];
        for bytes in wrong {
            assert!(take(&[bytes]).is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_known_length_ends_where_it_says() {
        let mut content = Content::Length(5);
        assert!(!content.take(b"hel", &mut |_| {}).expect("in it"));
        assert!(content.take(b"lo", &mut |_| {}).expect("its end"));
        assert!(content.take(b"!", &mut |_| {}).is_err());
    }
}
