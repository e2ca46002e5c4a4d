//! santa-proxy: the public face of SantaServer. Serves the console from memory,
//! passes `/api` on to the backend's Unix sockets, and is strict about HTTP.
//!
//! The layers, each knowing only those above it in this list:
//! - [`http`]: HTTP/1.1 as plain functions over bytes, and HTTP/2 heads in terms of it
//! - [`route`]: who answers a path
//! - `assets`, `answer`: what the console and this proxy itself answer
//! - `io`: sockets, buffers, deadlines
//! - `log`, `metrics`: what is told about it
//! - `preface`, `tls`, `addresses`: PROXY protocol, certificates, what each client has open
//! - `upstream`: connections to backends, and which of them serve
//! - `question`: what this proxy asks a backend itself
//! - `server`: workers, connections, HTTP/2 streams, forwarding, tunnels
//! - [`lifecycle`]: start, signals, drain; `inherit`, `reload`, `watch`, `admin`,
//!   `supervisor`, `backend_numbers`, `resident`, [`cli`] beside it

mod addresses;
mod admin;
mod answer;
mod assets;
mod backend_numbers;
pub mod cli;
mod generation;
pub mod http;
mod inherit;
mod io;
pub mod lifecycle;
mod log;
mod metrics;
mod notify;
mod preface;
mod question;
mod reload;
mod resident;
pub mod route;
mod server;
mod supervisor;
mod tls;
mod upstream;
mod watch;
