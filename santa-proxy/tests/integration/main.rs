//! Drives the real binary over sockets, with an instrumented backend on a Unix
//! socket. Each file covers one property; `support` starts things and speaks raw HTTP.

mod admin;
mod balancer;
mod clients;
mod command_line;
mod corpus;
mod development;
mod disconnects;
mod draining;
mod http2;
mod http2_bodies;
mod http2_requests;
mod idle_clients;
mod instances;
mod ipv6;
#[cfg(target_os = "linux")]
mod leaks;
mod lifecycle;
mod limits;
mod logging;
mod messages;
mod slow_bodies;
mod support;
mod tls;
mod upstreams;
mod websocket;
