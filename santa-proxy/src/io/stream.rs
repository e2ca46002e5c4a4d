//! A connected socket, TCP or Unix, and its two directions. Everything that
//! waits does so through `poll_*`, so that no buffer is held while idle.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream, tcp, unix};

use super::buffer::Buffer;

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Over the network.
    Tcp(TcpStream),
    /// Within the machine.
    Unix(UnixStream),
}

/// The receiving direction.
#[derive(Debug)]
pub(crate) enum Reader<'s> {
    Tcp(tcp::ReadHalf<'s>),
    Unix(unix::ReadHalf<'s>),
}

/// The sending direction.
#[derive(Debug)]
pub(crate) enum Writer<'s> {
    Tcp(tcp::WriteHalf<'s>),
    Unix(unix::WriteHalf<'s>),
}

impl Stream {
    /// Both directions, to be used side by side.
    pub(crate) fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        match self {
            Self::Tcp(stream) => {
                let (reader, writer) = stream.split();
                (Reader::Tcp(reader), Writer::Tcp(writer))
            }
            Self::Unix(stream) => {
                let (reader, writer) = stream.split();
                (Reader::Unix(reader), Writer::Unix(writer))
            }
        }
    }

    /// Whether an idle connection still stands: nothing to read, not even an end.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut byte = [0u8; 1];
        let flags = rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT;
        let peeked = match self {
            Self::Tcp(stream) => rustix::net::recv(stream, &mut byte[..], flags),
            Self::Unix(stream) => rustix::net::recv(stream, &mut byte[..], flags),
        };
        matches!(peeked, Err(rustix::io::Errno::AGAIN))
    }

    /// Our own address, for messages and as a host of last resort.
    pub(crate) fn local_address(&self) -> String {
        match self {
            Self::Tcp(stream) => {
                stream.local_addr().map_or_else(|_| String::new(), |a| a.to_string())
            }
            Self::Unix(_) => "localhost".to_owned(),
        }
    }

    /// Makes closing tell the peer that the stream broke off (RST).
    pub(crate) fn abort_on_close(&self) {
        if let Self::Tcp(stream) = self {
            // Failing means that the peer is gone already.
            let _ = stream.set_zero_linger();
        }
    }
}

impl Reader<'_> {
    /// Reads once into the buffer, which takes memory only when bytes are there.
    pub(crate) fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut Buffer,
    ) -> Poll<io::Result<usize>> {
        let mut space = ReadBuf::new(buffer.space());
        let polled = match self {
            Self::Tcp(reader) => Pin::new(reader).poll_read(context, &mut space),
            Self::Unix(reader) => Pin::new(reader).poll_read(context, &mut space),
        };
        let count = space.filled().len();
        match polled {
            Poll::Ready(result) => {
                buffer.fill(count);
                Poll::Ready(result.map(|()| count))
            }
            Poll::Pending => {
                buffer.release();
                Poll::Pending
            }
        }
    }

    /// Waits for bytes; 0 means that the peer has ended its direction.
    pub(crate) async fn fill(&mut self, buffer: &mut Buffer) -> io::Result<usize> {
        poll_fn(|context| self.poll_fill(context, buffer)).await
    }
}

impl Writer<'_> {
    /// Writes once.
    pub(crate) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(writer) => Pin::new(writer).poll_write_vectored(context, parts),
            Self::Unix(writer) => Pin::new(writer).poll_write_vectored(context, parts),
        }
    }

    /// Writes all of `parts`, one after the other.
    pub(crate) async fn write_all(&mut self, parts: [&[u8]; 3]) -> io::Result<()> {
        self.write_with(parts, || {}).await
    }

    /// The same, calling `progress` whenever some bytes have left.
    pub(crate) async fn write_with(
        &mut self,
        parts: [&[u8]; 3],
        progress: impl Fn(),
    ) -> io::Result<()> {
        let mut written = 0;
        let total: usize = parts.iter().map(|part| part.len()).sum();
        poll_fn(|context| {
            while written < total {
                let slices = unwritten(parts, written);
                let count = ready!(self.poll_write(context, &slices))?;
                if count == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                written += count;
                if written < total {
                    progress();
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Ends this direction; the other stays open.
    pub(crate) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(writer) => Pin::new(writer).poll_shutdown(context),
            Self::Unix(writer) => Pin::new(writer).poll_shutdown(context),
        }
    }

    /// Ends this direction; the other stays open.
    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        poll_fn(|context| self.poll_shutdown(context)).await
    }
}

/// What is left of `parts` after `written` bytes.
fn unwritten(parts: [&[u8]; 3], mut written: usize) -> [IoSlice<'_>; 3] {
    parts.map(|part| {
        let skip = written.min(part.len());
        written -= skip;
        IoSlice::new(&part[skip..])
    })
}
