//! The requests of one client connection, one after the other: read a head, decide what
//! to do about it, do it, until one side closes.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use super::body_clock::BodyClock;
use super::client_connection::ClientConnection;
use super::connection_table::Activity;
use super::dispatch::{self, Dispatch};
use super::proxy::{self, Outcome};
use super::write_response::PreparedResponse;
use super::{body, readiness, tunnel};
use crate::http::content::Content;
use crate::http::reject::Reject;
use crate::http::request::{check_start_line, scan_reject};
use crate::http::scan::{Found, HeadSpan, Scan};
use crate::io::deadline::{Expired, Phase};

/// Up to this much unread content of a request is skipped to keep the connection.
const MAX_SKIPPED: u64 = 64 * 1024;
/// How long a client may take to read the last response while it is still sending.
const LINGER: Duration = Duration::from_secs(2);
/// How much of what it still sends is read meanwhile, in bodies of the maximum size: the
/// response may be that this one is too large.
const LINGERED_BODIES: u64 = 4;

/// What came instead of, or as, the next head.
enum Next {
    Head(HeadSpan),
    Refuse(Reject),
    End,
}

/// Serves requests until one side closes.
pub(super) async fn run(connection: &mut ClientConnection) {
    loop {
        let keep = match next_head(connection).await {
            Next::End => return,
            Next::Refuse(reject) => {
                connection.guard.set(Activity::Busy);
                let ClientConnection { worker, peer, buffer, .. } = connection;
                let response = dispatch::refuse(worker, peer, buffer.filled(), reject);
                respond(connection, response).await
            }
            Next::Head(span) => serve_request(connection, &span).await,
        };
        if !keep {
            return;
        }
        connection.guard.set(Activity::Idle);
    }
}

async fn serve_request(connection: &mut ClientConnection, span: &HeadSpan) -> bool {
    connection.guard.set(Activity::Busy);
    connection.had_request = true;
    let ClientConnection { worker, stream, buffer, peer, .. } = connection;
    let dispatch = dispatch::decide(worker, buffer.filled(), span, peer, || stream.local_address());
    buffer.consume(span.end);
    buffer.release();
    match dispatch {
        Dispatch::Respond(response) => respond(connection, response).await,
        Dispatch::CheckReadiness(request) => {
            let response = Box::pin(readiness::respond(&connection.worker, request)).await;
            respond(connection, response).await
        }
        Dispatch::Proxy(request) => match Box::pin(proxy::proxy(connection, request)).await {
            Outcome::Keep => true,
            Outcome::Close => false,
            Outcome::Linger => {
                linger(connection).await;
                false
            }
            Outcome::Respond(response) => respond(connection, *response).await,
            Outcome::Tunnel(tunnel) => {
                connection.guard.set(Activity::Tunnel);
                tunnel::run(connection, tunnel).await;
                false
            }
        },
    }
}

/// Waits for the next complete head.
async fn next_head(connection: &mut ClientConnection) -> Next {
    let snapshot = connection.worker.snapshot();
    let (limits, timeouts) = (&snapshot.shared.head, &snapshot.shared.timeouts);
    let rules = limits.scan_rules();
    let mut scan = Scan::default();
    let mut in_head = false;
    loop {
        if !connection.buffer.is_empty() {
            match scan.advance(connection.buffer.filled(), &rules) {
                Ok(Found::Head(span)) => return Next::Head(span),
                Err(error) => return Next::Refuse(scan_reject(error)),
                Ok(Found::More(Some(line))) => {
                    if let Err(reject) = check_start_line(connection.buffer.filled(), line, limits)
                    {
                        return Next::Refuse(reject);
                    }
                }
                Ok(Found::More(None)) => {}
            }
        }
        let draining = connection.worker.is_draining();
        if connection.buffer.is_empty() {
            let timeout = match (draining, connection.had_request) {
                (true, _) => timeouts.linger,
                (false, true) => timeouts.idle,
                // A client with a request sends it at once.
                (false, false) => timeouts.idle.min(timeouts.head),
            };
            connection.deadline.set(Phase::Idle, timeout);
        } else if !in_head {
            in_head = true;
            connection.guard.set(Activity::Head);
            connection.deadline.set(Phase::Head, timeouts.head);
        }
        match wait_for_bytes(connection, draining, timeouts.linger).await {
            Err(Expired(Phase::Head)) => {
                return Next::Refuse(Reject::new(408, "request head took too long"));
            }
            // Bytes that have arrived but that the runtime has not reported yet.
            Err(Expired(Phase::Idle)) if !connection.stream.is_idle() => {}
            Ok(Some(Ok(0))) if in_head => {
                return Next::Refuse(Reject::bad("request head is incomplete"));
            }
            Err(_) | Ok(None | Some(Ok(0) | Err(_))) => return Next::End,
            Ok(Some(Ok(_))) => {}
        }
    }
}

/// Waits for bytes; returns nothing when the connection has to make room. Between two
/// requests, the start of a drain shortens the wait to `linger`, unless it was `draining`
/// already.
async fn wait_for_bytes(
    connection: &mut ClientConnection,
    mut draining: bool,
    linger: Duration,
) -> Result<Option<io::Result<usize>>, Expired> {
    let ClientConnection { worker, stream, buffer, deadline, guard, .. } = connection;
    let idle = buffer.is_empty();
    let (mut reader, _) = stream.split();
    let arrival = poll_fn(|context| {
        let polled = reader.poll_fill(context, buffer);
        if polled.is_pending() {
            if guard.should_close() {
                return Poll::Ready(None);
            }
            guard.register(context);
            if idle && !draining && worker.is_draining() {
                draining = true;
                deadline.set(Phase::Idle, linger);
            }
        }
        polled.map(Some)
    });
    deadline.limit(arrival).await
}

/// Sends a response of this proxy's own; returns whether the connection stays open.
pub(super) async fn respond(connection: &mut ClientConnection, response: PreparedResponse) -> bool {
    let (_, mut writer) = connection.stream.split();
    let Ok((keep, content)) = response.write(&mut writer, &connection.deadline).await else {
        connection.stream.abort_on_close();
        return false;
    };
    if keep && skip(connection, content).await {
        return true;
    }
    linger(connection).await;
    false
}

/// Reads and drops the content of a request that this proxy responded to itself.
async fn skip(connection: &mut ClientConnection, mut content: Content) -> bool {
    if content.is_done() {
        return true;
    }
    let snapshot = connection.worker.snapshot();
    let mut clock = BodyClock::new(&snapshot.shared.limits, &snapshot.shared.timeouts, 0);
    let mut skipped = 0;
    loop {
        let Ok(done) = content.decode(connection.buffer.filled_mut()) else { return false };
        connection.buffer.consume(done.consumed);
        skipped += done.consumed as u64;
        if content.is_done() {
            return true;
        }
        if skipped > MAX_SKIPPED {
            return false;
        }
        let ClientConnection { stream, buffer, deadline, .. } = connection;
        let (mut reader, _) = stream.split();
        if body::wait_for_more(&mut reader, buffer, deadline, &mut clock).await.is_err() {
            return false;
        }
    }
}

/// Ends our direction and reads on for a moment: closing with unread bytes would make
/// the kernel discard the response on its way (RFC 9112 §9.6), and many clients look for
/// it only when they have sent everything.
async fn linger(connection: &mut ClientConnection) {
    let limit = connection.worker.snapshot().shared.limits.body_size.0;
    let most = limit.saturating_mul(LINGERED_BODIES);
    let (mut reader, mut writer) = connection.stream.split();
    connection.deadline.set(Phase::Idle, LINGER);
    let buffer = &mut connection.buffer;
    let lingering = async {
        writer.shutdown().await?;
        let mut read = 0;
        while read < most {
            buffer.consume(buffer.filled().len());
            match reader.fill(buffer).await? {
                0 => break,
                count => read += count as u64,
            }
        }
        io::Result::Ok(())
    };
    // However it ends, the connection is closed next.
    let _ = connection.deadline.limit(lingering).await;
}
