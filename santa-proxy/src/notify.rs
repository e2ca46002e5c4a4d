//! Tells santa-supervise that requests are taken (`READY=1`, sd_notify(3)), so
//! that in a rolling restart the process before this one may leave.

use std::io;
use std::os::unix::net::UnixDatagram;

/// The variable that names the socket for notices.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Says that this process serves; nothing happens where nobody wants to know.
///
/// # Errors
/// The socket cannot be reached.
pub(crate) fn ready() -> io::Result<()> {
    let Some(path) = std::env::var_os(SOCKET) else { return Ok(()) };
    UnixDatagram::unbound()?.send_to(b"READY=1\n", path)?;
    Ok(())
}
