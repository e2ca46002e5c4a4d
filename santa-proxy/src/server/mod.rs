//! Serving clients: one `Worker` per thread, one task per connection. Read
//! `request_loop` first: read a head, `dispatch` says what to do about it, do it.

mod accept;
mod access_log;
mod body;
mod body_clock;
mod client_connection;
mod connection_guard;
mod connection_table;
mod disconnect;
mod dispatch;
mod fair_queue;
mod fair_share;
mod fault;
mod handshake;
mod http2;
mod limiter;
mod log_throttle;
mod peer;
mod progress;
mod proxy;
mod proxy_request;
mod queue;
mod readiness;
mod rejector;
mod request_loop;
pub(crate) mod run;
mod send_clock;
mod serve_connection;
mod streams;
mod tunnel;
mod upstream_exchange;
mod upstream_response;
mod websocket_frames;
pub(crate) mod worker;
mod write_response;
