//! santa-supervise: PID 1 of the SantaServer container. It binds the listening
//! sockets, starts the services of the configuration in order, restarts them,
//! passes their output on and stops them in order.
//!
//! Read [`machine`] for the decisions (pure), [`event_loop`] for how they are
//! carried out, [`os`] for the system calls.

pub mod backoff;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod event_loop;
mod files;
pub mod fill;
mod json_text;
pub mod lines;
pub mod log_writer;
pub mod machine;
pub mod order;
pub mod os;
pub mod plan;
pub mod pressure;
pub mod protocol;
pub mod rate;
pub mod readiness;
pub mod record;
pub mod reload;
pub mod sockets;
pub mod spawning;
pub mod stderr;
