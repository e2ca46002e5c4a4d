//! santa-proxy: the HTTP front of SantaServer. Serves the console from memory,
//! proxies `/api` to the backend's Unix sockets, and is strict about HTTP.
//!
//! The layers, the lowest first; `cargo xtask ci layers` keeps them:
//! - [`http`]: HTTP/1.1 as plain functions over bytes, and HTTP/2 heads in terms of it;
//!   [`route`]: which part responds to a path; `proxy_protocol`, `client_limits`: the
//!   PROXY protocol, and limits per client address
//! - `io`: sockets, buffers, deadlines
//! - `log`, `metrics`, `exposition`; `local_response`, `assets`: responses of this proxy itself and the
//!   console; `tls`, `listeners`: certificates and public listeners; `upstream`:
//!   connections to backends, and which instances there are; `snapshot`,
//!   `control_state`: settings and content, and what the main thread passes to the workers
//! - `server`: workers, connections, HTTP/2 streams, proxying, tunnels
//! - [`lifecycle`]: start, signals, reload, drain, the admin listener; [`cli`]

mod assets;
pub mod cli;
mod client_limits;
mod control_state;
mod exposition;
pub mod http;
mod io;
pub mod lifecycle;
mod listeners;
mod local_response;
mod log;
mod metrics;
mod proxy_protocol;
pub mod route;
mod server;
mod snapshot;
mod tls;
mod upstream;
