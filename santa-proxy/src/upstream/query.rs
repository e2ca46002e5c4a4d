//! A request of this proxy's own to a backend, and its whole response.

use crate::http::content::Content;
use crate::http::response::{Response, SCAN_RULES};
use crate::http::scan::{Found, Scan};
use crate::io::buffer::Buffer;
use crate::io::stream::Stream;

/// The largest response that is read.
const MAX_RESPONSE: usize = 64 * 1024;

/// The response of a backend.
pub(crate) struct QueryResponse {
    /// The status.
    pub(crate) status: u16,
    /// The content.
    pub(crate) text: Vec<u8>,
    /// Whether the connection may carry another request.
    pub(crate) reusable: bool,
}

/// One request over a connection; nothing when the response is invalid.
pub(crate) async fn query(stream: &mut Stream, request: &[u8]) -> Option<QueryResponse> {
    let (mut reader, mut writer) = stream.split();
    writer.write_all([request, &[], &[]]).await.ok()?;
    let mut buffer = Buffer::default();
    let mut scan = Scan::default();
    let (status, mut content, keeps) = loop {
        reader.fill(&mut buffer).await.ok().filter(|count| *count > 0)?;
        if let Found::Head(span) = scan.advance(buffer.filled(), &SCAN_RULES).ok()? {
            let response = Response::parse(buffer.filled(), &span, false).ok()?;
            let content = Content::of_response(response.body);
            let head = (response.status, content, response.keeps_alive());
            buffer.consume(span.end);
            break head;
        }
    };
    let mut text = Vec::new();
    loop {
        let done = content.decode(buffer.filled_mut()).ok()?;
        text.extend_from_slice(&buffer.filled()[..done.produced]);
        buffer.consume(done.consumed);
        if content.is_done() || text.len() > MAX_RESPONSE {
            break;
        }
        if reader.fill(&mut buffer).await.ok()? == 0 {
            content.may_end_now().then_some(())?;
            break;
        }
    }
    let reusable = keeps && content.is_done() && buffer.is_empty();
    Some(QueryResponse { status, text, reusable })
}
