//! santa-supervise: PID 1 of the SantaServer container. It binds the listening
//! sockets, starts the services of the house plan in order, restarts them,
//! passes their output on and stops them in order.
//!
//! Read [`machine`] for the decisions (pure), [`event_loop`] for how they are
//! carried out, [`os`] for the system calls.

pub mod backoff;
pub mod machine;
pub mod order;
pub mod signals;
