//! One stream, served like any connection's request: the head is read into
//! HTTP/1.1, and everything else goes through [`Frames`] at the pace of its
//! receiver.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;

use super::frames::{Failure, Frames};
use crate::http::http2;
use crate::io::buffer::{Buffer, give_vec, take_vec};
use crate::io::stream::Stream;
use crate::server::connection::Connection;
use crate::server::peer::Peer;
use crate::server::plan;
use crate::server::seats::Seat;
use crate::server::worker::Worker;

/// Serves a stream to its end.
pub(super) async fn serve(
    worker: Rc<Worker>,
    peer: Peer,
    seat: Seat,
    request: http::Request<RecvStream>,
    respond: SendResponse<Bytes>,
) -> Result<(), Failure> {
    let (request, content) = request.into_parts();
    let mut head = take_vec();
    let read = http2::request_head(&mut head, &request, !content.is_end_stream());
    let chunked = matches!(read, Ok(true));
    let to_head = request.method == http::Method::HEAD;
    drop(request);
    let frames = Rc::new(RefCell::new(Frames::new(content, respond, chunked, to_head)));
    let stream = Stream::Within(Rc::clone(&frames) as _);
    let mut buffer = Buffer::default();
    buffer.append(&head);
    give_vec(head);
    let mut engine = Connection::of_stream(worker, stream, buffer, peer, seat);
    let serving = async move {
        match read {
            Ok(_) => engine.run().await,
            Err(reject) => {
                let head = engine.buffer.filled();
                let reply = plan::refuse(&engine.worker, engine.peer(), head, reject);
                // The stream ends with the answer, whatever a connection would do.
                let _: bool = engine.reply(reply).await;
            }
        }
    };
    let mut serving = pin!(serving);
    poll_fn(|context| match serving.as_mut().poll(context) {
        Poll::Pending => frames.borrow_mut().poll_cancelled(context),
        ready => ready,
    })
    .await;
    frames.borrow_mut().finish()
}
