//! Raw requests with the response that is required and what the backend must
//! have received. The cases are in the `.txt` files beside this one:
//!
//! ```text
//! === name
//! > a line that is sent with CRLF      (\r \n \t \0 \xNN are understood)
//! >> bytes that are sent as they are
//! end                                  then our direction is ended
//! < 200 404 close                      statuses of the responses; then: closed
//! has NAME: value                      field of the last response
//! lacks NAME
//! body: text                           content of the last response
//! | a line of the backend's response     (with CRLF; `||` without)
//! backend then close                   what the backend does after it
//! backend gets 0                       number of requests that reached it
//! backend begins                       some of the request reached it
//! backend sees: text                   within the last head it got
//! backend misses: text
//! backend body: text
//! ```
//!
//! A case without `close` must leave the connection fit for another request.
//! `{etag}` and `{modified}` stand for the validators of `/file.txt`.

mod parse;

use parse::{Case, cases};

use crate::support::backend::{Act, Backend, ok};
use crate::support::client::{Client, Response};
use crate::support::eventually;
use crate::support::proxy::{Proxy, Setup};

struct World {
    proxy: Proxy,
    backend: Backend,
    etag: String,
    modified: String,
}

impl World {
    fn start() -> Self {
        let setup = Setup::new()
            .set("PROXY__LIMITS__BODY_SIZE", "1KiB")
            .set("PROXY__LIMITS__BODY_BUFFER", "256B")
            .set("PROXY__LIMITS__HEAD_SIZE", "2KiB")
            .set("PROXY__LIMITS__TARGET_SIZE", "512B")
            .set("PROXY__LIMITS__HEADER_COUNT", "40");
        let backend = Backend::start(&setup.socket());
        let proxy = setup.start();
        let file = Client::connect(proxy.address).get("/file.txt");
        let field = |name| file.field(name).expect("a validator").to_owned();
        let (etag, modified) = (field("etag"), field("last-modified"));
        Self { proxy, backend, etag, modified }
    }

    fn fill_in(&self, bytes: &[u8]) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(bytes) else { return bytes.to_vec() };
        text.replace("{etag}", &self.etag).replace("{modified}", &self.modified).into_bytes()
    }

    fn run(&self, case: &Case) -> Result<(), String> {
        self.backend.take_bytes();
        self.backend.always(act(case));
        let mut client = Client::connect(self.proxy.address);
        let bytes = self.fill_in(&case.request);
        client.send(&bytes);
        if case.ends {
            client.end();
        }
        let to_head = bytes.starts_with(b"HEAD ");
        let mut last = Response::default();
        for (place, status) in case.statuses.iter().enumerate() {
            last = client.response(to_head && place == 0);
            same(&format!("status {place}"), &last.status, status)?;
        }
        if case.closes {
            same("bytes behind the last response", &client.rest(), &Vec::new())?;
        } else if !case.statuses.is_empty() {
            same("status of a following request", &client.get("/health").status, &200)?;
        }
        self.check_response(case, &last)?;
        self.check_backend(case)
    }

    fn check_response(&self, case: &Case, response: &Response) -> Result<(), String> {
        for (name, value) in &case.has {
            let value = String::from_utf8(self.fill_in(value.as_bytes())).expect("text");
            same(&format!("field {name}"), &response.field(name), &Some(value.as_str()))?;
        }
        for name in &case.lacks {
            same(&format!("field {name}"), &response.field(name), &None)?;
        }
        match &case.body {
            Some(body) => same("content", &response.text(), body),
            None => Ok(()),
        }
    }

    fn check_backend(&self, case: &Case) -> Result<(), String> {
        if case.backend_begins {
            eventually("the request begins at the backend", || self.backend.has_bytes());
        }
        let received = self.backend.received();
        if let Some(count) = case.backend_gets {
            same("requests at the backend", &received.len(), &count)?;
            if count == 0 {
                same("bytes at the backend", &self.backend.take_bytes(), &Vec::new())?;
            }
        }
        let last = received.last();
        let head = last.map_or("", |last| last.head.as_str());
        for text in &case.backend_sees {
            let found = text.split("\\r\\n").all(|line| head.contains(line));
            found
                .then_some(())
                .ok_or_else(|| format!("the backend should see {text:?} in {head:?}"))?;
        }
        for text in &case.backend_misses {
            let found = head.to_ascii_lowercase().contains(&text.to_ascii_lowercase());
            (!found).then_some(()).ok_or_else(|| format!("{text:?} is in {head:?}"))?;
        }
        match &case.backend_body {
            Some(body) => {
                let got = last.map(|last| String::from_utf8_lossy(&last.body).into_owned());
                same("content at the backend", &got.as_deref(), &Some(body.as_str()))
            }
            None => Ok(()),
        }
    }
}

fn act(case: &Case) -> Act {
    let response = if case.response.is_empty() { ok("ok") } else { case.response.clone() };
    match case.backend_then.as_str() {
        "close" if case.response.is_empty() => Act::Close,
        "close" => Act::RespondAndClose(response),
        "echo" => Act::Echo,
        _ => Act::Respond(response),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: &T, wanted: &T) -> Result<(), String> {
    (got == wanted).then_some(()).ok_or_else(|| format!("{what}: {got:?} instead of {wanted:?}"))
}

fn check(name: &str, text: &str) {
    let world = World::start();
    let mut wrong = Vec::new();
    let cases = cases(text);
    for case in &cases {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run(case)));
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(why)) => wrong.push(format!("{}: {why}", case.name)),
            Err(_) => wrong.push(format!("{}: no proper response (see above)", case.name)),
        }
    }
    assert!(wrong.is_empty(), "{name}: {} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn syntax_is_taken_or_refused_never_repaired() {
    check("syntax", include_str!("syntax.txt"));
}

#[test]
fn nothing_is_smuggled() {
    check("framing", include_str!("framing.txt"));
}

#[test]
fn paths_mean_one_place() {
    check("paths", include_str!("paths.txt"));
}

#[test]
fn console_files_follow_the_caching_and_range_rules() {
    check("console", include_str!("console.txt"));
}

#[test]
fn fields_pass_or_end_here() {
    check("fields", include_str!("fields.txt"));
}

#[test]
fn faulty_backends_do_no_harm() {
    check("faults", include_str!("faults.txt"));
}

#[test]
fn chunks_are_read_one_way_or_refused() {
    check("chunks", include_str!("chunks.txt"));
}

#[test]
fn delimiters_that_two_readers_could_read_differently_are_refused() {
    check("smuggling", include_str!("smuggling.txt"));
}

#[test]
fn methods_targets_hosts_and_versions_keep_their_grammar() {
    check("hosts", include_str!("hosts.txt"));
}

#[test]
fn ranges_are_cut_ignored_or_refused() {
    check("ranges", include_str!("ranges.txt"));
}

#[test]
fn preconditions_are_weighed_in_order() {
    check("conditions", include_str!("conditions.txt"));
}

#[test]
fn codings_follow_the_clients_weights() {
    check("codings", include_str!("codings.txt"));
}

#[test]
fn a_hop_keeps_its_own_fields() {
    check("hops", include_str!("hops.txt"));
}

#[test]
fn responses_are_passed_on_or_502() {
    check("responses", include_str!("responses.txt"));
}

#[test]
fn rules_hold_where_they_meet() {
    check("gaps", include_str!("gaps.txt"));
}

#[test]
fn rules_hold_at_their_edges() {
    check("edges", include_str!("edges.txt"));
}
