//! What can be set for santa-proxy.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::section::{section, string_enum};
use crate::values::{Cidr, Size};

section! {
    /// santa-proxy.
    pub struct Proxy {
        /// Name of the `[socket.NAME]` that is the public listener.
        socket: String,
        /// Name of the `[socket.NAME]` of the backend.
        upstream: String,
        /// Worker threads; 0 means one per core.
        workers: u32 = 0,
        /// Networks of proxies in front of this one whose `X-Forwarded-*` and
        /// `X-Request-Id` headers are trusted.
        trusted_proxies: Vec<Cidr>,
        /// Whether connections from `trusted_proxies` begin with a PROXY protocol
        /// header (version 2) that names the client. Others never do.
        proxy_protocol: bool = false,
        /// How often this file, the console's files and the certificates are
        /// checked for changes. They are reloaded once they have stopped
        /// changing. `0s` turns this off; SIGHUP always reloads.
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
        /// Address of a development server (Vite) that serves the console
        /// instead of the files in `paths.www`; empty in the container.
        upstream: Option<SocketAddr>,
    }
}

section! {
    /// TLS, on a listener of its own. Changed files are reloaded (see `watch`)
    /// without closing open connections.
    pub struct ProxyTls {
        /// Name of the `[socket.NAME]` that accepts TLS; empty turns TLS off.
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
        /// Whether HTTP/2 is offered besides HTTP/1.1.
        http2: bool = true,
        /// How long browsers must use TLS (`Strict-Transport-Security`); `0s`
        /// omits the header.
        hsts: Duration = "365d",
    }
}

string_enum! {
    /// Whether a client must have a certificate.
    pub enum ClientCertificate {
        /// With or without one.
        Optional = "optional",
        /// Only with one.
        Required = "required",
    }
}

section! {
    /// How much a client may send.
    pub struct ProxyLimits {
        /// Maximum size of a request head (request line and fields).
        head_size: Size = "16KiB",
        /// Maximum length of a request target.
        target_size: Size = "8KiB",
        /// Maximum number of fields in a request head.
        header_count: u32 = 100,
        /// Maximum size of a request body.
        body_size: Size = "16MiB",
        /// Minimum average rate of a request body and of a response, in bytes per
        /// second, after `timeouts.body_grace`. A slower request gets 408; the
        /// connection of a client that receives more slowly is closed. `0B`
        /// turns this off.
        body_rate: Size = "1KiB",
        /// How much of a request body is read before the backend gets the request.
        /// The rest of a larger body is passed on as it arrives; such requests
        /// use at most half of `upstream_requests`.
        body_buffer: Size = "64KiB",
        /// Maximum memory for request bodies and queued requests. Each worker has
        /// an equal share, and no client address (IPv6: /64 network) uses more of
        /// it than is left for others; further requests get 503. The part of a
        /// body that an HTTP/2 client may send in advance (128 KiB) counts until
        /// the body is complete.
        body_memory: Size = "64MiB",
        /// Maximum total size of the console's files, which are kept in memory.
        console_size: Size = "256MiB",
        /// Maximum number of open connections. To accept a further one, another
        /// is closed: first the one whose request head has been incomplete for
        /// longest, then the one that became idle last, then the one whose
        /// request body has been incomplete for longest. If there is none, the
        /// new connection gets 503.
        connections: u32 = 16384,
        /// Maximum number of open connections per address (IPv6: /64 network),
        /// trusted proxies excepted; 0 turns this off. Macs behind one router
        /// share an address.
        connections_per_address: u32 = 4096,
        /// Maximum number of concurrent requests on one HTTP/2 connection.
        streams: u32 = 100,
        /// Maximum number of requests per second and address (IPv6: /64 network;
        /// behind `trusted_proxies`, the client's), averaged over two seconds.
        /// Further ones get 429, except for health checks. 0 turns this off.
        /// The default allows 30,000 Macs behind one router to sync every
        /// minute; a load test from one address needs 0.
        requests_per_address: u32 = 3000,
        /// Maximum number of concurrent requests to the backend. Further ones wait
        /// in a queue in which console and sync, and the clients of each, take
        /// turns. Each worker has an equal share of the requests and the queue,
        /// and no client address (IPv6: /64 network) uses more of it than is left
        /// for others: one alone gets half, two a third each.
        upstream_requests: u32 = 512,
        /// Maximum number of requests in that queue, shared in the same way;
        /// further ones get 503.
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
        /// How long a body or response may be slower than `limits.body_rate`.
        body_grace: Duration = "10s",
        /// A whole request body, without the time that the backend takes.
        body_total: Duration = "5m",
        /// A connection kept open between requests.
        idle: Duration = "75s",
        /// Connecting to the backend, including the time of a restart.
        connect: Duration = "10s",
        /// Waiting in the queue for the backend (`limits.upstream_requests`).
        queue: Duration = "10s",
        /// From the end of the request to the backend's response, and between two
        /// reads of the response.
        response: Duration = "60s",
        /// A whole request for `/health/ready`.
        ready: Duration = "2s",
        /// An idle WebSocket or a response of unknown length without new data.
        tunnel_idle: Duration = "10m",
        /// Finishing open requests at a stop.
        drain: Duration = "5s",
        /// How long idle connections stay open at a stop, so that a request already
        /// on its way still gets its response; at most `drain`.
        linger: Duration = "300ms",
    }
}

section! {
    /// The access log: one JSON line per request on standard output.
    pub struct Access {
        /// Whether to write it.
        log: bool = true,
        /// Paths whose requests are not logged, such as `/health/ready` behind a load
        /// balancer. Exact, decoded, without query. `/health` is never logged.
        skip: Vec<String>,
    }
}
