//! Serving: one `Worker` for each thread, one task for each connection. Read
//! `connection` first: wait for a head, `plan` what to do about it, do it.

mod accept;
mod arrive;
mod body;
mod body_clock;
mod connection;
mod exchange;
mod fair_queue;
mod forward;
mod frames;
mod http2;
mod limiter;
mod peer;
mod plan;
mod presence;
mod queue;
mod ready;
mod record;
mod relay;
mod seats;
mod send;
mod send_clock;
mod share;
mod shed;
mod streams;
mod tunnel;
pub(crate) mod worker;
