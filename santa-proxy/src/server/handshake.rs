//! From an accepted socket to a connection on which requests can be read: the client's
//! address by the PROXY protocol, and the TLS handshake.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;

use super::peer::Peer;
use super::worker::Worker;
use crate::client_limits::ConnectionSlot;
use crate::io::deadline::{Deadline, Expired};
use crate::io::stream::Stream;
use crate::log::sink::Level;
use crate::proxy_protocol::{FIXED, Header};

/// A connection that was accepted.
#[derive(Debug)]
pub(crate) struct Accepted {
    /// The connection.
    pub(crate) stream: TcpStream,
    /// Where it comes from.
    pub(crate) peer: SocketAddr,
    /// Whether it begins with a TLS handshake.
    pub(crate) secure: bool,
    /// Counts it among the connections of its address, where those are limited.
    pub(crate) slot: Option<ConnectionSlot>,
}

/// A connection on which requests can be read.
pub(crate) struct Established {
    /// The connection.
    pub(crate) stream: Stream,
    /// Who is at the other end.
    pub(crate) peer: Peer,
    /// Counts it among the connections of its address, as long as it lives.
    pub(crate) slot: Option<ConnectionSlot>,
}

/// Why no request can be read on a connection.
#[derive(Debug)]
pub(crate) enum HandshakeError {
    /// It took too long.
    TimedOut,
    /// The PROXY protocol header is missing or malformed.
    Header(io::Error),
    /// Its address has as many connections as it may have.
    TooMany,
    /// A reload has turned TLS off.
    NoTls,
    /// The TLS handshake failed.
    Tls(io::Error),
}

impl From<Expired> for HandshakeError {
    fn from(_: Expired) -> Self {
        Self::TimedOut
    }
}

impl HandshakeError {
    /// Logs it as information: internet scans cause it all the time.
    pub(crate) fn log(&self, worker: &Worker, remote: IpAddr) {
        let (message, error) = match self {
            Self::TimedOut => ("connection closed: handshake timed out", String::new()),
            Self::Header(error) => {
                ("connection closed: missing or malformed PROXY protocol header", error.to_string())
            }
            Self::TooMany => ("connection closed: too many from one address", String::new()),
            Self::NoTls => ("connection closed: TLS is turned off", String::new()),
            Self::Tls(error) => ("connection closed: TLS handshake failed", error.to_string()),
        };
        let remote = remote.to_canonical().to_string();
        worker.log_throttled(Level::Info, message, &[("remote", &remote), ("error", &error)]);
    }
}

impl Accepted {
    /// Whether something has to be read before the first request.
    pub(crate) fn needs_handshake(&self, worker: &Worker) -> bool {
        self.secure || self.has_header(worker)
    }

    /// With the PROXY protocol turned on, every connection of a trusted proxy has a header.
    fn has_header(&self, worker: &Worker) -> bool {
        let snapshot = worker.snapshot();
        snapshot.shared.proxy_protocol && snapshot.shared.trusts(self.peer.ip().to_canonical())
    }

    /// The connection as it is.
    pub(crate) fn plain(self) -> Established {
        let peer = Peer::plain(self.peer.ip());
        Established { stream: Stream::Tcp(self.stream), peer, slot: self.slot }
    }

    /// Reads what comes before the first request.
    ///
    /// # Errors
    /// What is wrong with it, or that it takes too long.
    pub(crate) async fn handshake(
        mut self,
        worker: &Worker,
        deadline: &Deadline,
    ) -> Result<Established, HandshakeError> {
        let mut address = self.peer.ip();
        if self.has_header(worker) {
            let source = deadline.limit(read_header(&self.stream)).await?;
            if let Some(client) = source.map_err(HandshakeError::Header)? {
                address = client;
                self.slot = connection_slot(worker, client).ok_or(HandshakeError::TooMany)?;
            }
        }
        let peer = Peer::plain(address);
        if !self.secure {
            return Ok(Established { stream: Stream::Tcp(self.stream), peer, slot: self.slot });
        }
        let snapshot = worker.snapshot();
        let tls = snapshot.shared.tls.as_ref().ok_or(HandshakeError::NoTls)?;
        let accepting = tls.acceptor.accept(self.stream);
        let session = deadline.limit(accepting).await?.map_err(HandshakeError::Tls)?;
        let peer = peer.secured(&session);
        Ok(Established {
            stream: Stream::Tls(Box::new(RefCell::new(session))),
            peer,
            slot: self.slot,
        })
    }
}

/// Counts one more connection of `address`, if connections of it are counted; nothing when
/// it has as many as it may have.
pub(crate) fn connection_slot(worker: &Worker, address: IpAddr) -> Option<Option<ConnectionSlot>> {
    let snapshot = worker.snapshot();
    let limit = snapshot.shared.limits.connections_per_address;
    if limit == 0 || snapshot.shared.trusts(address) {
        return Some(None);
    }
    worker.shared.client_limits.open(address, limit).map(Some)
}

/// The client that the balancer names, if any. Reads not one byte more.
async fn read_header(stream: &TcpStream) -> io::Result<Option<IpAddr>> {
    let mut fixed = [0; FIXED];
    read_exact(stream, &mut fixed).await?;
    let header = Header::parse(&fixed).map_err(|_| io::ErrorKind::InvalidData)?;
    let mut rest = vec![0; header.rest];
    read_exact(stream, &mut rest).await?;
    Ok(header.source(&rest))
}

async fn read_exact(stream: &TcpStream, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        stream.readable().await?;
        match stream.try_read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => buffer = &mut buffer[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
