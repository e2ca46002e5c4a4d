//! Drives the real binary over sockets, with an instrumented backend on a Unix
//! socket. Each file is a promise; `support` starts things and speaks raw HTTP.

mod admin;
mod balancer;
mod clients;
mod command_line;
mod corpus;
mod departures;
mod development;
mod draining;
mod http2;
mod http2_bodies;
mod http2_requests;
mod instances;
mod ipv6;
#[cfg(target_os = "linux")]
mod leaks;
mod life;
mod limits;
mod logging;
mod messages;
mod silence;
mod slow_bodies;
mod support;
mod tls;
mod upstreams;
mod websocket;
