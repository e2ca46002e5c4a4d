//! One stream, served like any connection's request: the head becomes one of HTTP/1.1,
//! and everything else goes through [`StreamIo`] at the pace of its receiver.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;

use super::stream_io::{Failure, StreamIo};
use crate::http::http2;
use crate::io::buffer::{Buffer, recycle_vec, take_vec};
use crate::io::stream::Stream;
use crate::server::client_connection::ClientConnection;
use crate::server::connection_guard::ConnectionGuard;
use crate::server::dispatch;
use crate::server::peer::Peer;
use crate::server::request_loop;
use crate::server::worker::Worker;

/// Serves a stream to its end.
pub(super) async fn serve(
    worker: Rc<Worker>,
    peer: Peer,
    guard: ConnectionGuard,
    request: http::Request<RecvStream>,
    respond: SendResponse<Bytes>,
) -> Result<(), Failure> {
    let (request, content) = request.into_parts();
    let mut head = take_vec();
    let read = http2::request_head(&mut head, &request, !content.is_end_stream());
    let chunked = matches!(read, Ok(true));
    let to_head = request.method == http::Method::HEAD;
    drop(request);
    let stream_io = Rc::new(RefCell::new(StreamIo::new(content, respond, chunked, to_head)));
    let stream = Stream::InProcess(Rc::clone(&stream_io) as _);
    let mut buffer = Buffer::default();
    buffer.append(&head);
    recycle_vec(head);
    let mut connection = ClientConnection::of_stream(worker, stream, buffer, peer, guard);
    let serving = async move {
        match read {
            Ok(_) => request_loop::run(&mut connection).await,
            Err(reject) => {
                let ClientConnection { worker, peer, buffer, .. } = &connection;
                let response = dispatch::refuse(worker, peer, buffer.filled(), reject);
                // The stream ends with the response, whatever a connection would do.
                let _: bool = request_loop::respond(&mut connection, response).await;
            }
        }
    };
    let mut serving = pin!(serving);
    poll_fn(|context| match serving.as_mut().poll(context) {
        Poll::Pending => stream_io.borrow_mut().poll_canceled(context),
        ready => ready,
    })
    .await;
    stream_io.borrow_mut().finish()
}
