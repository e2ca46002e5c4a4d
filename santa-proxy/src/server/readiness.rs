//! `/health/ready`: queries the backend with a timeout of its own and responds in a fixed
//! form, regardless of the rest of the backend's response.

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::proxy_request::ReadinessRequest;
use super::worker::Worker;
use super::write_response::PreparedResponse;
use crate::local_response::LocalResponse;
use crate::upstream::pool::Reuse;
use crate::upstream::query::query;

const REQUEST: &[u8] =
    b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n";

/// The part used of the backend's reply.
#[derive(Debug, Deserialize)]
struct BackendReply {
    checks: BackendChecks,
}

/// The checks that the backend makes.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize)]
#[serde(default)]
struct BackendChecks {
    backend: Check,
    database: Check,
    migrations: Check,
}

/// The result of a check. No other text of the backend reaches the response.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase", from = "String")]
enum Check {
    Ok,
    Pending,
    Failed,
    /// This proxy is draining.
    Stopping,
    #[default]
    Unknown,
}

impl From<String> for Check {
    fn from(text: String) -> Self {
        match text.as_str() {
            "ok" => Self::Ok,
            "pending" => Self::Pending,
            "failed" => Self::Failed,
            _ => Self::Unknown,
        }
    }
}

/// The response.
#[derive(Debug, Serialize)]
struct Readiness {
    status: &'static str,
    checks: Checks,
}

/// All checks, in the order of the response.
#[derive(Debug, Serialize)]
struct Checks {
    proxy: Check,
    #[serde(flatten)]
    backend: BackendChecks,
}

/// Queries the backend and prepares the response.
pub(crate) async fn respond(worker: &Rc<Worker>, request: ReadinessRequest) -> PreparedResponse {
    let ReadinessRequest { params, content, entry, snapshot } = request;
    let limit = snapshot.shared.timeouts.ready;
    let querying = async {
        let mut lease =
            snapshot.api.lease(Reuse::Certain, None, limit, &worker.metrics).await.ok()?;
        let reply = query(&mut lease.stream, REQUEST).await?;
        if reply.reusable {
            lease.keep();
            worker.schedule_sweep();
        }
        Some((reply.status, reply.text))
    };
    let reply = tokio::time::timeout(limit, querying).await.ok().flatten();
    let reply = reply.as_ref().map(|(status, text)| (*status, text.as_slice()));
    let (status, text) = readiness(reply, worker.is_draining());
    let response = LocalResponse::document(status, "application/json", text);
    let mut prepared = PreparedResponse::new(worker, &snapshot, response, params, entry);
    prepared.content = content;
    prepared
}

/// Status and text of the response to the backend's reply, if there was one.
fn readiness(reply: Option<(u16, &[u8])>, draining: bool) -> (u16, String) {
    let backend = match reply {
        Some((200 | 503, text)) => serde_json::from_slice(text)
            .map_or_else(|_| BackendChecks::default(), |reply: BackendReply| reply.checks),
        _ => BackendChecks { backend: Check::Failed, ..BackendChecks::default() },
    };
    let BackendChecks { backend: own, database, migrations } = backend;
    let all_ok = [own, database, migrations].iter().all(|check| *check == Check::Ok);
    let ready = matches!(reply, Some((200, _))) && all_ok && !draining;
    let (status, name) = if ready { (200, "ready") } else { (503, "unavailable") };
    let proxy = if draining { Check::Stopping } else { Check::Ok };
    let readiness = Readiness { status: name, checks: Checks { proxy, backend } };
    // Such values can always be written as JSON.
    (status, serde_json::to_string(&readiness).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[u8] =
        br#"{"status":"ready","checks":{"backend":"ok", "database" : "ok","migrations":"ok"},"version":"1.2"}"#;

    #[test]
    fn the_response_has_one_form_and_tells_no_more() {
        let ready = r#"{"status":"ready","checks":{"proxy":"ok","backend":"ok","database":"ok","migrations":"ok"}}"#;
        assert_eq!(readiness(Some((200, GOOD)), false), (200, ready.to_owned()));
        let down = r#"{"status":"unavailable","checks":{"proxy":"ok","backend":"failed","database":"unknown","migrations":"unknown"}}"#;
        assert_eq!(readiness(None, false), (503, down.to_owned()));
        assert_eq!(readiness(Some((500, GOOD)), false), (503, down.to_owned()));
    }

    #[test]
    fn no_other_text_of_the_backend_is_passed_on() {
        for text in [
            &br#"{"checks":{"backend":"secret","database":"ok","migrations":"ok"}}"#[..],
            br#"{"checks":{"backend":7,"database":"ok","migrations":"ok"}}"#,
            br#"{"checks":{"backend":"stopping","database":"ok","migrations":"ok"}}"#,
            br#"{"checks":{"database":"ok","migrations":"ok","more":"secret"}}"#,
            br#"{"backend":"ok","database":"ok","migrations":"ok"}"#,
        ] {
            let (status, response) = readiness(Some((200, text)), false);
            assert_eq!(status, 503, "{response}");
            assert!(response.contains(r#""backend":"unknown""#), "{response}");
            assert!(!response.contains("secret"), "{response}");
        }
    }

    #[test]
    fn any_doubt_is_unavailable() {
        let pending = br#"{"checks":{"backend":"ok","database":"ok","migrations":"pending"}}"#;
        for reply in
            [Some((200, &pending[..])), Some((503, GOOD)), Some((200, b"ok")), Some((200, b"\xff"))]
        {
            assert_eq!(readiness(reply, false).0, 503, "{reply:?}");
        }
        assert_eq!(readiness(Some((200, GOOD)), true).0, 503);
    }
}
