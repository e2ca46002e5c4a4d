//! What can be set for santa-proxy.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::section::{section, words};
use crate::values::{Cidr, Size};

section! {
    /// santa-proxy.
    pub struct Proxy {
        /// Name of the `[socket.NAME]` that is the public listener.
        socket: String,
        /// Name of the `[socket.NAME]` on which the backend answers.
        upstream: String,
        /// Worker threads; 0 means one for each core.
        workers: u32 = 0,
        /// Networks of proxies in front of this one whose `X-Forwarded-*` and
        /// `X-Request-Id` headers are believed.
        trusted_proxies: Vec<Cidr>,
        /// Whether connections from `trusted_proxies` begin with a PROXY protocol
        /// header (version 2) that names the client. Others never do.
        proxy_protocol: bool = false,
        /// How often this file, the console's files and the certificates are
        /// looked at for changes; what has changed and come to rest is read
        /// again. `0s` leaves that to a reload (SIGHUP).
        watch: Duration = "5s",
        /// Where the console comes from.
        console: Console,
        /// TLS, on a listener of its own.
        tls: ProxyTls,
        /// How much a client may send.
        limits: ProxyLimits,
        /// How long each phase may take.
        timeouts: ProxyTimeouts,
        /// The access log.
        access: Access,
    }
}

section! {
    /// Where the console comes from.
    pub struct Console {
        /// Address of a development server (Vite) that answers instead of the
        /// files under `paths.www`; empty in the container.
        upstream: Option<SocketAddr>,
    }
}

section! {
    /// TLS, on a listener of its own. Files that change are read again within
    /// seconds; open connections stay.
    pub struct ProxyTls {
        /// Name of the `[socket.NAME]` that speaks TLS; empty switches it off.
        socket: Option<String>,
        /// The certificate chain, the server's own first (PEM).
        certificate: Option<PathBuf>,
        /// Its private key (PEM).
        key: Option<PathBuf>,
        /// Authorities whose client certificates are accepted (PEM). A client's
        /// certificate reaches the backend as `Client-Cert` (RFC 9440).
        client_authorities: Option<PathBuf>,
        /// Whether a client must have a certificate.
        client_certificate: ClientCertificate = "optional",
        /// Whether HTTP/2 is offered there beside HTTP/1.1.
        http2: bool = true,
        /// How long browsers shall insist on TLS (`Strict-Transport-Security`);
        /// `0s` does not say.
        hsts: Duration = "365d",
    }
}

words! {
    /// Whether a client must have a certificate.
    pub enum ClientCertificate {
        /// With or without one.
        Optional = "optional",
        /// Not without one.
        Required = "required",
    }
}

section! {
    /// How much a client may send.
    pub struct ProxyLimits {
        /// Longest request head (request line and fields).
        head_size: Size = "16KiB",
        /// Longest request target.
        target_size: Size = "8KiB",
        /// Most fields in a request head.
        header_count: u32 = 100,
        /// Longest request body.
        body_size: Size = "16MiB",
        /// Slowest that a request body may arrive, in bytes a second on average;
        /// `timeouts.body_grace` comes on top. A slower one is answered 408, and
        /// a client that takes an answer more slowly is cut off. `0B` is any rate.
        body_rate: Size = "1KiB",
        /// How much of a request body is read before the backend gets any of
        /// the request. A longer one is passed on from there as it arrives;
        /// such requests have at most half of `upstream_requests`.
        body_buffer: Size = "64KiB",
        /// Most memory for bodies that are on their way and for requests that
        /// wait. Every worker has an equal share of it, and no client address
        /// (IPv6: /64 network) holds more of that than is left for others;
        /// a request above it is answered 503. What a client may send ahead
        /// over HTTP/2 (128 KiB of a body) counts as held until the body is
        /// complete.
        body_memory: Size = "64MiB",
        /// Most bytes of console files; all of them are kept in memory.
        console_size: Size = "256MiB",
        /// Most connections at a time; above it another makes room: first the
        /// one whose request head has been incomplete for longest, then the one
        /// that became idle last, then the one whose request body has been
        /// incomplete for longest. When there is none, the next connection is
        /// answered 503.
        connections: u32 = 16384,
        /// Most of them from one address (IPv6: one /64 network), trusted
        /// proxies excepted; 0 means as many as there are. Macs behind one
        /// router share an address.
        connections_per_address: u32 = 4096,
        /// Most requests at a time on one HTTP/2 connection.
        streams: u32 = 100,
        /// Most requests a second from one address (IPv6: one /64 network; behind
        /// `trusted_proxies`, the client's), on average over two seconds; what is
        /// above is answered 429, probes of `/health` excepted. 0 means any
        /// number. The default has room for 30,000 Macs behind one router that
        /// sync every minute; a load test from one address needs 0.
        requests_per_address: u32 = 3000,
        /// Most requests that wait for the backend's answer at a time; the
        /// next ones queue, console and sync and the clients of each in turn.
        /// Every worker has an equal share of them and of the queue. No client
        /// address (IPv6: /64 network) has more of a worker's share than is left
        /// for others: one alone gets half, two a third each.
        upstream_requests: u32 = 512,
        /// Most requests in that queue, shared in the same way; the next one is
        /// answered 503.
        queue: u32 = 4096,
    }
}

section! {
    /// How long each phase may take.
    pub struct ProxyTimeouts {
        /// From the first byte of a request head to its end; also from the
        /// start of a connection to its first byte, for the TLS handshake and
        /// for the PROXY protocol header.
        head: Duration = "10s",
        /// Between two reads of a request body or two writes of a response.
        body: Duration = "30s",
        /// How long a body may be slower than `limits.body_rate`.
        body_grace: Duration = "10s",
        /// The whole of a request body, without the time that the backend takes.
        body_total: Duration = "5m",
        /// A connection kept open between requests.
        idle: Duration = "75s",
        /// Reaching the backend, including the time it takes to come back after
        /// a restart.
        connect: Duration = "10s",
        /// In the queue for the backend (`limits.upstream_requests`).
        queue: Duration = "10s",
        /// From the end of the request to the first byte of the backend's answer.
        response: Duration = "60s",
        /// The whole of `/health/ready`.
        ready: Duration = "2s",
        /// An upgraded connection (WebSocket) on which nothing moves.
        tunnel_idle: Duration = "10m",
        /// Finishing what is under way at a stop.
        drain: Duration = "5s",
        /// How long a stop leaves connections without a request open, so that
        /// one already on its way is still answered; never longer than `drain`.
        linger: Duration = "300ms",
    }
}

section! {
    /// The access log: one JSON line a request on standard output.
    pub struct Access {
        /// Whether to write it.
        log: bool = true,
        /// Paths whose requests are left out, such as `/health/ready`, which load balancers
        /// ask every few seconds. Exact, decoded, without query. `/health` is never logged.
        skip: Vec<String>,
    }
}
