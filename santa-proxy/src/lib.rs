//! santa-proxy: the public face of SantaServer.
pub mod http;
pub mod route;
