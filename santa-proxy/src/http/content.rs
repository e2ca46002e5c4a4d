//! Incremental reading of a message's content, whichever way it is delimited.
//! Works on a buffer in place; knows nothing of where the bytes come from.

use super::chunked::{ChunkError, Chunked, Decoded};
use super::framing::{RequestBody, ResponseBody};

/// Content that is still to be read.
#[derive(Debug, Clone)]
pub enum Content {
    /// This many bytes are left.
    Length(u64),
    /// Within the chunked coding.
    Chunked(Box<Chunked>),
    /// Everything until the connection ends.
    UntilClose,
}

impl Content {
    /// The content of a request.
    #[must_use]
    pub fn of_request(body: RequestBody) -> Self {
        match body {
            RequestBody::None => Self::Length(0),
            RequestBody::Length(length) => Self::Length(length),
            RequestBody::Chunked => Self::Chunked(Box::default()),
        }
    }

    /// The content of a response.
    #[must_use]
    pub fn of_response(body: ResponseBody) -> Self {
        match body {
            ResponseBody::None => Self::Length(0),
            ResponseBody::Length(length) => Self::Length(length),
            ResponseBody::Chunked => Self::Chunked(Box::default()),
            ResponseBody::UntilClose => Self::UntilClose,
        }
    }

    /// Takes what belongs to the content from `buffer` and moves it to the front.
    ///
    /// # Errors
    /// When the chunked coding is broken.
    pub fn decode(&mut self, buffer: &mut [u8]) -> Result<Decoded, ChunkError> {
        match self {
            Self::Length(left) => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                *left -= take as u64;
                Ok(Decoded { consumed: take, produced: take })
            }
            Self::Chunked(decoder) => decoder.decode(buffer),
            Self::UntilClose => Ok(Decoded { consumed: buffer.len(), produced: buffer.len() }),
        }
    }

    /// Whether everything has been taken.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(decoder) => decoder.is_done(),
            Self::UntilClose => false,
        }
    }

    /// Bytes that are certainly still to come: the rest, or that of a chunk.
    #[must_use]
    pub fn announced(&self) -> u64 {
        match self {
            Self::Length(left) => *left,
            Self::Chunked(decoder) => decoder.left_of_chunk(),
            Self::UntilClose => 0,
        }
    }

    /// Whether the end of the connection is an orderly end here.
    #[must_use]
    pub fn may_end_now(&self) -> bool {
        matches!(self, Self::UntilClose) || self.is_done()
    }

    /// The trailer field lines, once done.
    #[must_use]
    pub fn trailer(&self) -> &[u8] {
        match self {
            Self::Chunked(decoder) => decoder.trailer(),
            _ => &[],
        }
    }
}
