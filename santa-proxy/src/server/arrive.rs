//! From an accepted socket to a connection on which requests can be read: who
//! it is by the PROXY protocol, and the TLS handshake.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;

use super::peer::Peer;
use super::worker::Worker;
use crate::addresses::Place;
use crate::io::deadline::{Deadline, Expired};
use crate::io::stream::Stream;
use crate::log::sink::Level;
use crate::preface::{FIXED, Preface};

/// A connection that was accepted.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// The connection.
    pub(crate) stream: TcpStream,
    /// Where it comes from.
    pub(crate) peer: SocketAddr,
    /// Whether it begins with a TLS handshake.
    pub(crate) secure: bool,
    /// Its place among those of its address, where they are counted.
    pub(crate) place: Option<Place>,
}

/// A connection on which requests can be read.
pub(crate) struct Arrived {
    /// The connection.
    pub(crate) stream: Stream,
    /// Who is at the other end.
    pub(crate) peer: Peer,
    /// Its place among those of its address, held as long as it lives.
    pub(crate) place: Option<Place>,
}

/// Why no request can be read on a connection.
#[derive(Debug)]
pub(crate) enum Ungreeted {
    /// It took too long.
    Late,
    /// No proper PROXY protocol header.
    Preface(io::Error),
    /// Its address has all the connections that it may have.
    NoPlace,
    /// A reload has switched TLS off.
    NoTls,
    /// The handshake failed.
    Tls(io::Error),
}

impl From<Expired> for Ungreeted {
    fn from(_: Expired) -> Self {
        Self::Late
    }
}

impl Ungreeted {
    /// Says so in the log; scans of the internet make that a matter of routine.
    pub(crate) fn tell(&self, worker: &Worker, remote: IpAddr) {
        let (message, error) = match self {
            Self::Late => ("a connection took too long to begin", String::new()),
            Self::Preface(error) => ("no proper PROXY protocol header", error.to_string()),
            Self::NoPlace => ("too many connections from one address", String::new()),
            Self::NoTls => ("TLS is switched off", String::new()),
            Self::Tls(error) => ("a TLS handshake failed", error.to_string()),
        };
        let remote = remote.to_canonical().to_string();
        worker.notice(Level::Info, message, &[("remote", &remote), ("error", &error)]);
    }
}

impl Arrival {
    /// Whether something has to be read before the first request.
    pub(crate) fn is_plain(&self, worker: &Worker) -> bool {
        !self.secure && !self.has_preface(worker)
    }

    /// Balancers announce every connection when they are asked to.
    fn has_preface(&self, worker: &Worker) -> bool {
        let local = worker.local();
        local.shared.proxy_protocol && local.shared.trusts(self.peer.ip().to_canonical())
    }

    /// The connection as it is.
    pub(crate) fn plain(self) -> Arrived {
        let peer = Peer::plain(self.peer.ip());
        Arrived { stream: Stream::Tcp(self.stream), peer, place: self.place }
    }

    /// Reads what comes before the first request.
    ///
    /// # Errors
    /// What is not as it should be, or takes too long.
    pub(crate) async fn greet(
        mut self,
        worker: &Worker,
        deadline: &Deadline,
    ) -> Result<Arrived, Ungreeted> {
        let mut address = self.peer.ip();
        if self.has_preface(worker) {
            let named = deadline.limit(read_preface(&self.stream)).await?;
            if let Some(client) = named.map_err(Ungreeted::Preface)? {
                address = client;
                self.place = place(worker, client).ok_or(Ungreeted::NoPlace)?;
            }
        }
        let peer = Peer::plain(address);
        if !self.secure {
            return Ok(Arrived { stream: Stream::Tcp(self.stream), peer, place: self.place });
        }
        let local = worker.local();
        let tls = local.shared.tls.as_ref().ok_or(Ungreeted::NoTls)?;
        let accepting = tls.acceptor.accept(self.stream);
        let session = deadline.limit(accepting).await?.map_err(Ungreeted::Tls)?;
        let peer = peer.secured(&session);
        Ok(Arrived {
            stream: Stream::Tls(Box::new(RefCell::new(session))),
            peer,
            place: self.place,
        })
    }
}

/// The place of one more connection of `address`, which may not need one;
/// nothing when it has all it may have.
pub(crate) fn place(worker: &Worker, address: IpAddr) -> Option<Option<Place>> {
    let local = worker.local();
    let most = local.shared.limits.connections_per_address;
    if most == 0 || local.shared.trusts(address) {
        return Some(None);
    }
    worker.addresses.open(address, most).map(Some)
}

/// The client that the balancer names, if any. Reads not one byte more.
async fn read_preface(stream: &TcpStream) -> io::Result<Option<IpAddr>> {
    let mut fixed = [0; FIXED];
    read_exact(stream, &mut fixed).await?;
    let preface = Preface::parse(&fixed).map_err(|_| io::ErrorKind::InvalidData)?;
    let mut rest = vec![0; preface.rest];
    read_exact(stream, &mut rest).await?;
    Ok(preface.source(&rest))
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
