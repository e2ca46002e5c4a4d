//! A small question of this proxy's own to a backend, and the whole answer.

use crate::http::content::Content;
use crate::http::response::{Response, SCAN_RULES};
use crate::http::scan::{Found, Scan};
use crate::io::buffer::Buffer;
use crate::io::stream::Stream;

/// Longest answer that is read.
const LONGEST: usize = 64 * 1024;

/// What a backend said.
pub(crate) struct Said {
    /// The status.
    pub(crate) status: u16,
    /// The content.
    pub(crate) text: Vec<u8>,
    /// Whether the connection may carry another request.
    pub(crate) reusable: bool,
}

/// One request over a connection; nothing when it is not answered properly.
pub(crate) async fn ask(stream: &mut Stream, question: &[u8]) -> Option<Said> {
    let (mut reader, mut writer) = stream.split();
    writer.write_all([question, &[], &[]]).await.ok()?;
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
        if content.is_done() || text.len() > LONGEST {
            break;
        }
        if reader.fill(&mut buffer).await.ok()? == 0 {
            content.may_end_now().then_some(())?;
            break;
        }
    }
    let reusable = keeps && content.is_done() && buffer.is_empty();
    Some(Said { status, text, reusable })
}
