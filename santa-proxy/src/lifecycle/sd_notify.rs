//! Notifies santa-supervise that this process accepts requests (`READY=1`,
//! sd_notify(3)), so that in a rolling restart the process before it can stop.

use std::io;
use std::os::unix::net::UnixDatagram;

/// The variable that names the notification socket.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Sends the notification; does nothing where no socket is named.
///
/// # Errors
/// When the socket cannot be reached.
pub(super) fn ready() -> io::Result<()> {
    let Some(path) = std::env::var_os(SOCKET) else { return Ok(()) };
    UnixDatagram::unbound()?.send_to(b"READY=1\n", path)?;
    Ok(())
}
