//! Serving: one `Worker` for each thread, one task for each connection. Read
//! `connection` first: wait for a head, `plan` what to do about it, do it.

mod accept;
mod arrive;
mod connection;
mod exchange;
mod forward;
mod gate;
mod http2;
mod peer;
mod plan;
mod ready;
mod record;
mod relay;
mod seats;
mod send;
mod shed;
mod tunnel;
pub(crate) mod worker;
