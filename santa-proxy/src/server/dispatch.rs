//! What to do about a request: everything that can be decided from its head, in one pass,
//! before anything is sent.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

use super::access_log::AccessLogEntry;
use super::fair_queue::Lane;
use super::peer::Peer;
use super::proxy_request::{ProxyRequest, ReadinessRequest};
use super::worker::{Worker, WorkerSnapshot};
use crate::http::bytes::{decimal, is_token};
use crate::http::content::Content;
use crate::http::field::Name;
use crate::http::forwarded::{self, Sender};
use crate::http::framing::RequestBody;
use crate::http::path;
use crate::http::reject::Reject;
use crate::http::request::{Request, is_known_method};
use crate::http::rewrite::{self, UpstreamHeaders};
use crate::http::scan::HeadSpan;
use crate::http::version::Version;
use crate::io::buffer::take_vec;
use crate::local_response::LocalResponse;
use crate::log::sink::Level;
use crate::route::Route;
use crate::server::write_response::{PreparedResponse, ResponseParams};
use crate::upstream::pool::Backend;

/// The longest request identifier accepted from a trusted proxy.
const MAX_REQUEST_ID: usize = 128;

/// How many seconds' worth of requests a client may send at once.
const BURST: u32 = 2;

/// What to do.
pub(crate) enum Dispatch {
    /// Send a response of this proxy itself.
    Respond(PreparedResponse),
    /// Pass it on to a backend.
    Proxy(Box<ProxyRequest>),
    /// Ask the backend whether it is ready.
    CheckReadiness(ReadinessRequest),
}

/// The response to a head that cannot be parsed; the connection is closed. `head` is what
/// there is of it: a response to HEAD never has content.
pub(crate) fn refuse(
    worker: &Rc<Worker>,
    peer: &Peer,
    head: &[u8],
    reject: Reject,
) -> PreparedResponse {
    let request_id = worker.request_id();
    let mut entry = AccessLogEntry::refused(worker, peer.address, &request_id);
    entry.refusal = Some(reject.reason);
    let params = ResponseParams {
        request_id,
        version: Version::Http11,
        keep: false,
        to_head: head.starts_with(b"HEAD "),
        to_api: false,
        secure: peer.secure,
    };
    PreparedResponse::new(
        worker,
        &worker.snapshot(),
        LocalResponse::error(reject, false),
        params,
        entry,
    )
}

/// Decides what to do about the request whose head is in `buffer`.
pub(crate) fn decide(
    worker: &Rc<Worker>,
    buffer: &[u8],
    span: &HeadSpan,
    peer: &Peer,
    local_address: impl FnOnce() -> String,
) -> Dispatch {
    let snapshot = worker.snapshot();
    let request = match Request::parse(buffer, span, &snapshot.shared.head) {
        Ok(request) => request,
        Err(reject) => {
            return Dispatch::Respond(refuse(worker, peer, &buffer[span.start..], reject));
        }
    };
    let at_hand = &buffer[span.end..];
    let decoded = path::decode(request.target.path);
    let path = decoded.as_deref();
    let context = RequestContext::new(worker, &snapshot, &request, path.ok(), peer, at_hand);
    if let Some(response) = context.rate_limited() {
        return context.respond(response, None);
    }
    if let Some(response) = context.pathless_response() {
        return context.respond(response, None);
    }
    let path = match path {
        Ok(path) => path,
        Err(reject) => return context.reject(*reject),
    };
    if let RequestBody::Length(length) = request.body
        && length > snapshot.shared.limits.body_size.0
    {
        return context.reject(Reject::new(413, "content too long"));
    }
    context.dispatch(path, local_address)
}

/// A request and what the decision depends on.
struct RequestContext<'a, 'b> {
    worker: &'a Rc<Worker>,
    snapshot: &'a Rc<WorkerSnapshot>,
    request: &'a Request<'b>,
    /// Decoded; nothing when it is malformed.
    path: Option<&'a str>,
    /// Which part responds: for limits, errors, the log and the metrics.
    route: Route,
    peer: &'a Peer,
    /// What has arrived after the head.
    at_hand: &'b [u8],
    sender: Sender,
    /// The client's address behind trusted proxies: for limits, the log and the backend.
    client: IpAddr,
    request_id: String,
}

impl<'a, 'b> RequestContext<'a, 'b> {
    fn new(
        worker: &'a Rc<Worker>,
        snapshot: &'a Rc<WorkerSnapshot>,
        request: &'a Request<'b>,
        path: Option<&'a str>,
        peer: &'a Peer,
        at_hand: &'b [u8],
    ) -> Self {
        let address = peer.address;
        let trusted = snapshot.shared.trusts(address);
        let sender = Sender { peer: address, trusted, scheme: peer.scheme() };
        let client = forwarded::client(&request.fields, &sender, |a| snapshot.shared.trusts(a));
        let given = request
            .fields
            .single(Name::RequestId)
            .filter(|id| sender.trusted && id.len() <= MAX_REQUEST_ID && is_token(id));
        let request_id = match given {
            Some(id) => String::from_utf8_lossy(id).into_owned(),
            None => worker.request_id(),
        };
        let route = Route::of_decoded(path);
        Self { worker, snapshot, request, path, route, peer, at_hand, sender, client, request_id }
    }

    /// 429 for a client that sends too many requests.
    fn rate_limited(&self) -> Option<LocalResponse<'static>> {
        let rate = self.snapshot.shared.limits.requests_per_address;
        if rate == 0 || self.route.is_probe() {
            return None;
        }
        let now = Instant::now();
        let burst = rate.saturating_mul(BURST);
        let wait = self.worker.shared.client_limits.check(self.client, now, rate, burst).err()?;
        let client = self.client.to_string();
        self.worker.log_throttled(
            Level::Warning,
            "rate limited: too many requests from one address (429); if many clients share it, raise \
             proxy.limits.requests_per_address; if it is a proxy, add it to TRUSTED_PROXIES",
            &[("remote", &client)],
        );
        let reject = Reject::new(429, "too many requests from this address");
        let mut response = LocalResponse::error(reject, self.to_api());
        response.add_line("Retry-After", &wait.as_secs().max(1).to_string());
        Some(response)
    }

    /// Whether errors are problem details.
    fn to_api(&self) -> bool {
        self.route.is_api()
    }

    /// Responses that do not depend on the path.
    fn pathless_response(&self) -> Option<LocalResponse<'static>> {
        let request = self.request;
        if request.target.secure && self.sender.scheme != "https" && !self.sender.trusted {
            // RFC 9110 §7.4
            let reject = Reject::new(421, "https URI on a connection without TLS");
            return Some(LocalResponse::error(reject, self.to_api()));
        }
        if !is_known_method(request.method) {
            let reject = Reject::new(501, "method not implemented");
            return Some(LocalResponse::error(reject, self.to_api()));
        }
        let last_hop = || request.fields.single(Name::MaxForwards).and_then(decimal) == Some(0);
        match request.method {
            "TRACE" => Some(LocalResponse::method_not_allowed(
                "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
            )),
            "OPTIONS" if request.target.path == b"*" || last_hop() => {
                Some(LocalResponse::options())
            }
            _ => None,
        }
    }

    fn dispatch(self, path: &str, local_address: impl FnOnce() -> String) -> Dispatch {
        let to_head = self.request.method == "HEAD";
        let readable = to_head || self.request.method == "GET";
        match self.route {
            Route::Health | Route::Ready if !readable => {
                self.respond(LocalResponse::method_not_allowed("GET, HEAD"), None)
            }
            Route::Health => {
                let text = "healthy\n".to_owned();
                self.respond(LocalResponse::document(200, "text/plain; charset=utf-8", text), None)
            }
            Route::Ready => Dispatch::CheckReadiness(ReadinessRequest {
                content: Content::of_request(self.request.body),
                entry: self.entry(),
                snapshot: Rc::clone(self.snapshot),
                params: self.params(),
            }),
            Route::Nowhere => {
                self.respond(LocalResponse::error(Reject::new(404, "not found"), false), None)
            }
            Route::Api => {
                let backend = Rc::clone(&self.snapshot.api);
                self.forward(path, backend, local_address)
            }
            Route::Console => match (&self.snapshot.console, &self.snapshot.shared.site) {
                (Some(backend), _) => {
                    let backend = Rc::clone(backend);
                    self.forward(path, backend, local_address)
                }
                (None, Some(site)) => {
                    let (now, _) = self.worker.now();
                    let response = site.response(self.request, path, now);
                    self.respond(response, None)
                }
                (None, None) => self.respond(
                    LocalResponse::error(Reject::new(404, "the console is not served here"), false),
                    None,
                ),
            },
        }
    }

    fn forward(
        self,
        path: &str,
        backend: Rc<Backend>,
        local_address: impl FnOnce() -> String,
    ) -> Dispatch {
        let request = self.request;
        let fallback_host = if request.host.is_none() { local_address() } else { String::new() };
        let upgrade = request.is_websocket();
        let upstream_headers = UpstreamHeaders {
            sender: self.sender,
            client: self.client,
            request_id: &self.request_id,
            fallback_host: &fallback_host,
            upgrade,
            certificate: self.peer.certificate.as_deref(),
            multiplexed: self.peer.multiplexes,
        };
        let mut head = take_vec();
        rewrite::request_head(&mut head, request, &upstream_headers);
        Dispatch::Proxy(Box::new(ProxyRequest {
            backend,
            lane: (Lane::of(path), self.client),
            permit: None,
            head,
            content: Content::of_request(request.body),
            chunked: request.body == RequestBody::Chunked,
            taken: 0,
            idempotent: request.is_idempotent(),
            upgrade,
            trailers: rewrite::wants_trailers(&request.fields),
            expects: request.expects_continue && request.body != RequestBody::None,
            entry: self.entry(),
            snapshot: Rc::clone(self.snapshot),
            params: self.params(),
        }))
    }

    /// An error after which the connection is closed, because the request is suspicious or
    /// its content is not going to be read.
    fn reject(self, reject: Reject) -> Dispatch {
        let response = LocalResponse::error(reject, self.to_api());
        let mut entry = self.entry();
        entry.refusal = Some(reject.reason);
        self.respond_with(entry, response, Some(false))
    }

    /// A response of this proxy itself; `keep` overrides whether the connection stays open.
    fn respond(self, response: LocalResponse<'_>, keep: Option<bool>) -> Dispatch {
        let entry = self.entry();
        self.respond_with(entry, response, keep)
    }

    fn respond_with(
        self,
        entry: AccessLogEntry,
        response: LocalResponse<'_>,
        keep: Option<bool>,
    ) -> Dispatch {
        let (worker, snapshot, body) = (self.worker, self.snapshot, self.request.body);
        let (response, keep) = match self.content_error() {
            Some(reject) => (LocalResponse::error(reject, self.to_api()), Some(false)),
            None => (response, keep),
        };
        let mut params = self.params();
        params.keep = keep.unwrap_or(params.keep);
        let mut prepared = PreparedResponse::new(worker, snapshot, response, params, entry);
        prepared.content = Content::of_request(body);
        Dispatch::Respond(prepared)
    }

    /// The error in the content that has arrived, for responses that do not need it.
    fn content_error(&self) -> Option<Reject> {
        if self.request.body != RequestBody::Chunked {
            return None;
        }
        let mut content = Content::of_request(self.request.body);
        let decoded = content.decode(&mut self.at_hand.to_vec());
        decoded.err().map(|error| Reject::bad(error.0))
    }

    fn params(self) -> ResponseParams {
        // Content that the client sends only after 100 is never requested when this proxy
        // responds itself, so the connection cannot be used further.
        let forwarded = match self.route {
            Route::Api => true,
            Route::Console => self.snapshot.console.is_some(),
            _ => false,
        };
        let unsent =
            !forwarded && self.request.expects_continue && self.request.body != RequestBody::None;
        let to_api = self.to_api();
        ResponseParams {
            request_id: self.request_id,
            version: self.request.version,
            keep: self.request.keeps_alive() && !self.worker.is_draining() && !unsent,
            to_head: self.request.method == "HEAD",
            to_api,
            secure: self.peer.secure,
        }
    }

    fn entry(&self) -> AccessLogEntry {
        let protocol = self.peer.protocol(self.request.version);
        let target = (self.path, self.route);
        AccessLogEntry::of(
            self.worker,
            self.request,
            target,
            self.client,
            (&self.request_id, protocol),
        )
    }
}
