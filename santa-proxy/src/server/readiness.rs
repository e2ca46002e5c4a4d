//! `/health/ready`: asks the backend within a deadline of its own and answers
//! in a fixed form, whatever the backend says besides.

use std::rc::Rc;

use super::dispatch::ReadinessRequest;
use super::worker::Worker;
use super::write_response::PreparedResponse;
use crate::local_response::LocalResponse;
use crate::upstream::pool::Reuse;
use crate::upstream::query::query;

/// The question.
const QUESTION: &[u8] =
    b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n";
/// The checks that the backend makes, in the order of the answer.
const CHECKS: [&str; 3] = ["backend", "database", "migrations"];

/// Asks the backend and makes the answer.
pub(crate) async fn respond(worker: &Rc<Worker>, pending: ReadinessRequest) -> PreparedResponse {
    let ReadinessRequest { params, content, entry, snapshot } = pending;
    let limit = snapshot.shared.timeouts.ready;
    let asking = async {
        let mut lease =
            snapshot.api.lease(Reuse::Certain, None, limit, &worker.metrics).await.ok()?;
        let said = query(&mut lease.stream, QUESTION).await?;
        if said.reusable {
            lease.keep();
            worker.schedule_sweep();
        }
        Some((said.status, said.text))
    };
    let said = tokio::time::timeout(limit, asking).await.ok().flatten();
    let (status, text) = verdict(
        said.as_ref().map(|(status, text)| (*status, text.as_slice())),
        worker.is_draining(),
    );
    let response = LocalResponse::document(status, "application/json", text);
    let mut prepared = PreparedResponse::new(worker, &snapshot, response, params, entry);
    prepared.content = content;
    prepared
}

/// Status and text of our answer to what the backend said, if it said anything.
fn verdict(said: Option<(u16, &[u8])>, draining: bool) -> (u16, String) {
    let checks = match said {
        Some((200 | 503, text)) => CHECKS.map(|name| word(text, name).unwrap_or("unknown")),
        _ => ["failed", "unknown", "unknown"],
    };
    let backend_ready = matches!(said, Some((200, _)));
    let ready = backend_ready && !draining && checks.iter().all(|check| *check == "ok");
    let (status, name) = if ready { (200, "ready") } else { (503, "unavailable") };
    let proxy = if draining { "stopping" } else { "ok" };
    let [backend, database, migrations] = checks;
    let text = format!(
        "{{\"status\":\"{name}\",\"checks\":{{\"proxy\":\"{proxy}\",\"backend\":\"{backend}\",\
         \"database\":\"{database}\",\"migrations\":\"{migrations}\"}}}}"
    );
    (status, text)
}

/// The lower-case word that a JSON text gives for `name`.
fn word<'t>(text: &'t [u8], name: &str) -> Option<&'t str> {
    let text = std::str::from_utf8(text).ok()?;
    let (_, rest) = text.split_once(&format!("\"{name}\""))?;
    let value = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let (word, _) = value.split_once('"')?;
    let plain = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    plain.then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[u8] =
        br#"{"status":"ready","checks":{"backend":"ok", "database" : "ok","migrations":"ok"},"version":"1.2"}"#;

    #[test]
    fn the_answer_has_one_form_and_tells_no_more() {
        let ready = r#"{"status":"ready","checks":{"proxy":"ok","backend":"ok","database":"ok","migrations":"ok"}}"#;
        assert_eq!(verdict(Some((200, GOOD)), false), (200, ready.to_owned()));
        let down = r#"{"status":"unavailable","checks":{"proxy":"ok","backend":"failed","database":"unknown","migrations":"unknown"}}"#;
        assert_eq!(verdict(None, false), (503, down.to_owned()));
        assert_eq!(verdict(Some((500, GOOD)), false), (503, down.to_owned()));
    }

    #[test]
    fn any_doubt_is_unavailable() {
        let pending = br#"{"checks":{"backend":"ok","database":"ok","migrations":"pending"}}"#;
        for said in
            [Some((200, &pending[..])), Some((503, GOOD)), Some((200, b"ok")), Some((200, b"\xff"))]
        {
            assert_eq!(verdict(said, false).0, 503, "{said:?}");
        }
        assert_eq!(verdict(Some((200, GOOD)), true).0, 503);
    }
}
