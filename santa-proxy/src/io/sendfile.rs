//! Sending from a file: by the kernel alone where it can, piece by piece
//! through a buffer where it cannot (TLS, other systems).

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::buffer::BLOCK;
use super::stream::Writer;

impl Writer<'_> {
    /// Writes `head` and then `range` of `file`, calling `progress` whenever
    /// some bytes have left.
    pub(crate) async fn write_file(
        &mut self,
        head: &[u8],
        file: &File,
        range: Range<u64>,
        progress: impl Fn(usize),
    ) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Writer::Tcp(half) = self {
            let stream: &tokio::net::TcpStream = half.as_ref();
            return linux::send(stream, head, file, range, progress).await;
        }
        self.write_pieces(head, file, range, progress).await
    }

    async fn write_pieces(
        &mut self,
        mut head: &[u8],
        file: &File,
        mut range: Range<u64>,
        progress: impl Fn(usize),
    ) -> io::Result<()> {
        let whole = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let mut piece = vec![0; whole.min(BLOCK)];
        loop {
            let left = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            let count = left.min(BLOCK);
            file.read_exact_at(&mut piece[..count], range.start)?;
            self.write_with([head, &piece[..count], &[]], &progress).await?;
            head = &[];
            range.start += count as u64;
            if range.is_empty() {
                return poll_fn(|context| self.poll_flush(context)).await;
            }
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::future::poll_fn;
    use std::io;
    use std::ops::Range;
    use std::task::{Poll, ready};

    use rustix::net::SendFlags;
    use tokio::io::Interest;
    use tokio::net::TcpStream;

    /// Most bytes in one call, so that other connections get their turn.
    const MOST: usize = 1024 * 1024;

    /// Sends all of it; the end of the head shares a packet with what follows.
    pub(super) async fn send(
        stream: &TcpStream,
        mut head: &[u8],
        file: &File,
        range: Range<u64>,
        progress: impl Fn(usize),
    ) -> io::Result<()> {
        let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
        while !head.is_empty() {
            let sent = writing(stream, || Ok(rustix::net::send(stream, head, flags)?)).await?;
            head = &head[sent..];
        }
        let mut offset = range.start;
        while offset < range.end {
            let count = usize::try_from(range.end - offset).unwrap_or(MOST).min(MOST);
            let sent = writing(stream, || {
                Ok(rustix::fs::sendfile(stream, file, Some(&mut offset), count)?)
            })
            .await?;
            if sent == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            progress(sent);
        }
        Ok(())
    }

    /// Repeats `call` until the socket takes something.
    async fn writing(
        stream: &TcpStream,
        mut call: impl FnMut() -> io::Result<usize>,
    ) -> io::Result<usize> {
        poll_fn(|context| {
            loop {
                ready!(stream.poll_write_ready(context))?;
                match stream.try_io(Interest::WRITABLE, &mut call) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => return Poll::Ready(done),
                }
            }
        })
        .await
    }
}
