//! A connected socket, TCP or Unix, and its two directions. Everything that
//! waits does so through `poll_*`, so that no buffer is held while idle.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream, tcp, unix};
use tokio_rustls::server::TlsStream;

use super::buffer::{Buffer, recycle_vec, take_vec};

/// Up to this many bytes, copying the parts together costs less than having the kernel
/// gather them.
const JOINED: usize = 4096;

/// A TLS session over the network.
pub(crate) type Secure = TlsStream<TcpStream>;

/// Something that is read and written like a socket.
pub(crate) trait Endpoint: fmt::Debug {
    /// Reads once; 0 means that nothing more will come.
    fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut Buffer,
    ) -> Poll<io::Result<usize>>;

    /// Writes once.
    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;
}

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Over the network.
    Tcp(TcpStream),
    /// Over the network, encrypted. Both directions belong to one session;
    /// one task polls them in turn.
    Tls(Box<RefCell<Secure>>),
    /// Within the machine.
    Unix(UnixStream),
    /// Within this process: a part of a connection that carries several.
    InProcess(Rc<RefCell<dyn Endpoint>>),
}

/// The receiving direction.
#[derive(Debug)]
pub(crate) enum Reader<'s> {
    Tcp(tcp::ReadHalf<'s>),
    Tls(&'s RefCell<Secure>),
    Unix(unix::ReadHalf<'s>),
    InProcess(&'s RefCell<dyn Endpoint>),
}

/// The sending direction.
#[derive(Debug)]
pub(crate) enum Writer<'s> {
    Tcp(tcp::WriteHalf<'s>),
    Tls(&'s RefCell<Secure>),
    Unix(unix::WriteHalf<'s>),
    InProcess(&'s RefCell<dyn Endpoint>),
}

impl Stream {
    /// Both directions, to be used side by side.
    pub(crate) fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        match self {
            Self::Tcp(stream) => {
                let (reader, writer) = stream.split();
                (Reader::Tcp(reader), Writer::Tcp(writer))
            }
            Self::Tls(session) => (Reader::Tls(session), Writer::Tls(session)),
            Self::Unix(stream) => {
                let (reader, writer) = stream.split();
                (Reader::Unix(reader), Writer::Unix(writer))
            }
            Self::InProcess(end) => (Reader::InProcess(end), Writer::InProcess(end)),
        }
    }

    /// Whether an idle connection is still open: nothing to read, not even its end.
    pub(crate) fn is_idle(&self) -> bool {
        let mut byte = [0u8; 1];
        let flags = rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT;
        let peeked = match self {
            Self::Tcp(stream) => rustix::net::recv(stream, &mut byte[..], flags),
            Self::Tls(session) => {
                rustix::net::recv(session.borrow().get_ref().0, &mut byte[..], flags)
            }
            Self::Unix(stream) => rustix::net::recv(stream, &mut byte[..], flags),
            // Never kept from one request to the next.
            Self::InProcess(_) => return true,
        };
        matches!(peeked, Err(rustix::io::Errno::AGAIN))
    }

    /// The same as far as the runtime knows, which takes no system call. It may not know yet
    /// of what happened a moment ago.
    pub(crate) fn seems_idle(&self) -> bool {
        // Only asked when there was an event; else it would block.
        let peek = || if self.is_idle() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) };
        let peeked = match self {
            Self::Tcp(stream) => stream.try_io(Interest::READABLE, peek),
            Self::Unix(stream) => stream.try_io(Interest::READABLE, peek),
            Self::Tls(_) | Self::InProcess(_) => peek(),
        };
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// The local address, for messages and as the host of last resort.
    pub(crate) fn local_address(&self) -> String {
        let address = match self {
            Self::Tcp(stream) => stream.local_addr(),
            Self::Tls(session) => session.borrow().get_ref().0.local_addr(),
            Self::Unix(_) | Self::InProcess(_) => return "localhost".to_owned(),
        };
        let text = |address: SocketAddr| {
            SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
        };
        address.map_or_else(|_| String::new(), text)
    }

    /// Makes closing reset the connection (RST), so that the peer sees an incomplete stream.
    pub(crate) fn abort_on_close(&self) {
        // Failing means that the peer is gone already.
        let _ = match self {
            Self::Tcp(stream) => stream.set_zero_linger(),
            Self::Tls(session) => session.borrow().get_ref().0.set_zero_linger(),
            Self::Unix(_) | Self::InProcess(_) => Ok(()),
        };
    }

    /// Sends the end of a TLS session, as far as that needs no waiting.
    pub(crate) fn send_close_notify(&mut self) {
        if let Self::Tls(session) = self {
            let mut context = Context::from_waker(Waker::noop());
            // A peer that receives nothing now sees the closed socket.
            let _ = Pin::new(session.get_mut()).poll_shutdown(&mut context);
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
        let polled = match self {
            Self::Tcp(reader) => read_once(reader, context, buffer),
            Self::Tls(session) => read_once(&mut *session.borrow_mut(), context, buffer),
            Self::Unix(reader) => read_once(reader, context, buffer),
            Self::InProcess(end) => end.borrow_mut().poll_fill(context, buffer),
        };
        if polled.is_pending() {
            buffer.shrink();
        }
        polled
    }

    /// Waits until the peer sends something or closes its direction (0), and reads it only
    /// where peeking is not possible.
    pub(crate) fn poll_peer_activity(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut Buffer,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(reader) => {
                let mut byte = [0];
                reader.poll_peek(context, &mut ReadBuf::new(&mut byte))
            }
            // The connection that carries it knows of its end.
            Self::InProcess(_) => Poll::Pending,
            Self::Tls(_) | Self::Unix(_) => match ready!(self.poll_fill(context, buffer)) {
                // The network's end without the session's own.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(0)),
                heard => Poll::Ready(heard),
            },
        }
    }

    /// Sends a few bytes in the other direction at once; returns whether all were sent.
    pub(crate) fn try_write_all(&mut self, bytes: &[u8]) -> bool {
        match self {
            Self::Tcp(reader) => {
                reader.as_ref().try_write(bytes).is_ok_and(|count| count == bytes.len())
            }
            Self::Tls(session) => {
                let mut context = Context::from_waker(Waker::noop());
                let mut session = session.borrow_mut();
                let written = Pin::new(&mut *session).poll_write(&mut context, bytes);
                matches!(written, Poll::Ready(Ok(count)) if count == bytes.len())
                    && matches!(
                        Pin::new(&mut *session).poll_flush(&mut context),
                        Poll::Ready(Ok(()))
                    )
            }
            Self::Unix(_) | Self::InProcess(_) => false,
        }
    }

    /// Whether the socket has an error, such as a reset by the peer.
    pub(crate) fn has_failed(&self) -> bool {
        let error = match self {
            Self::Tcp(reader) => reader.as_ref().take_error(),
            Self::Tls(session) => session.borrow().get_ref().0.take_error(),
            Self::Unix(_) | Self::InProcess(_) => return false,
        };
        !matches!(error, Ok(None))
    }

    /// Waits for bytes; 0 means that the peer has closed its direction.
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
            Self::Tcp(writer) if alone(parts) => Pin::new(writer).poll_write(context, &parts[0]),
            Self::Unix(writer) if alone(parts) => Pin::new(writer).poll_write(context, &parts[0]),
            Self::Tcp(writer) => Pin::new(writer).poll_write_vectored(context, parts),
            Self::Tls(session) => {
                Pin::new(&mut *session.borrow_mut()).poll_write_vectored(context, parts)
            }
            Self::Unix(writer) => Pin::new(writer).poll_write_vectored(context, parts),
            Self::InProcess(end) => end.borrow_mut().poll_write(context, parts),
        }
    }

    /// Sends what a TLS session still buffers; sockets buffer nothing.
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tls(session) => Pin::new(&mut *session.borrow_mut()).poll_flush(context),
            Self::Tcp(_) | Self::Unix(_) | Self::InProcess(_) => Poll::Ready(Ok(())),
        }
    }

    /// Writes all of `parts`, one after the other.
    pub(crate) async fn write_all(&mut self, parts: [&[u8]; 3]) -> io::Result<()> {
        self.write_with(parts, |_| {}).await
    }

    /// The same, calling `progress` with the count of bytes that have left, unless
    /// all of them do so at once.
    pub(crate) async fn write_with(
        &mut self,
        parts: [&[u8]; 3],
        progress: impl Fn(usize),
    ) -> io::Result<()> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        if total > JOINED || parts[0].len() == total {
            return self.write_parts(parts, total, progress).await;
        }
        let mut joined = take_vec();
        parts.iter().for_each(|part| joined.extend_from_slice(part));
        let written = self.write_parts([&joined, &[], &[]], total, progress).await;
        recycle_vec(joined);
        written
    }

    async fn write_parts(
        &mut self,
        parts: [&[u8]; 3],
        total: usize,
        progress: impl Fn(usize),
    ) -> io::Result<()> {
        let mut written = 0;
        let mut at_once = true;
        poll_fn(|context| {
            while written < total {
                let slices = unwritten(parts, written);
                let polled = self.poll_write(context, &slices);
                at_once &= polled.is_ready();
                let count = ready!(polled)?;
                if count == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                written += count;
                at_once &= written == total;
                if !at_once {
                    progress(count);
                }
            }
            self.poll_flush(context)
        })
        .await
    }

    /// Closes this direction; the other stays open.
    pub(crate) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(writer) => Pin::new(writer).poll_shutdown(context),
            Self::Tls(session) => Pin::new(&mut *session.borrow_mut()).poll_shutdown(context),
            Self::Unix(writer) => Pin::new(writer).poll_shutdown(context),
            // The end is part of what is written.
            Self::InProcess(_) => Poll::Ready(Ok(())),
        }
    }

    /// Closes this direction; the other stays open.
    pub(crate) async fn shutdown(&mut self) -> io::Result<()> {
        poll_fn(|context| self.poll_shutdown(context)).await
    }
}

fn read_once(
    reader: &mut (impl AsyncRead + Unpin),
    context: &mut Context<'_>,
    buffer: &mut Buffer,
) -> Poll<io::Result<usize>> {
    let mut space = ReadBuf::new(buffer.space());
    let polled = Pin::new(reader).poll_read(context, &mut space);
    let count = space.filled().len();
    polled.map_ok(|()| {
        buffer.fill(count);
        count
    })
}

/// Whether only the first part holds anything.
fn alone(parts: &[IoSlice<'_>]) -> bool {
    parts.iter().skip(1).all(|part| part.is_empty())
}

/// What is left of `parts` after `written` bytes.
fn unwritten(parts: [&[u8]; 3], mut written: usize) -> [IoSlice<'_>; 3] {
    parts.map(|part| {
        let skip = written.min(part.len());
        written -= skip;
        IoSlice::new(&part[skip..])
    })
}
