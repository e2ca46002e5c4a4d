//! Drives the real binary over sockets, with an instrumented backend on a Unix
//! socket. Each file is a promise; `support` starts things and speaks raw HTTP.

mod admin;
mod command_line;
mod corpus;
mod development;
mod life;
mod limits;
mod logging;
mod support;
mod upstreams;
mod websocket;
