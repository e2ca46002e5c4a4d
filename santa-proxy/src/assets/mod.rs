//! The console: its files with everything precomputed, and the pure decision which
//! response a request gets. Knows nothing of sockets; only `load` reads the directory.

mod backup;
mod compress;
mod content;
#[cfg(target_os = "linux")]
mod huge_pages;
mod load;
mod media;

use std::borrow::Cow;
use std::collections::HashMap;

use self::content::Content;
pub(crate) use self::content::Part;
use crate::http::bytes::list;
use crate::http::coding::{self, Coding};
use crate::http::conditional::{self, Outcome, Validators};
use crate::http::field::Name;
use crate::http::path;
use crate::http::range::{self, Range, Wanted};
use crate::http::reject::Reject;
use crate::http::request::Request;
use crate::local_response::{Body, LocalResponse};

/// One representation of a file.
#[derive(Debug)]
pub(crate) struct Variant {
    content: Content,
    etag: Box<str>,
    /// Field lines of 200 and 206.
    lines: Box<[u8]>,
    /// Field lines of 304.
    validators: Box<[u8]>,
}

/// One file with its representations, by `Coding`.
#[derive(Debug)]
pub(crate) struct Asset {
    variants: [Option<Variant>; 4],
    /// Seconds since 1970.
    modified: u64,
}

/// The whole console as it was on disk at one moment.
#[derive(Debug)]
pub(crate) struct Site {
    assets: Vec<Asset>,
    by_path: HashMap<Box<str>, usize>,
    /// The page that navigations get.
    fallback: Option<usize>,
}

/// The selected representation.
struct Selected<'s> {
    index: usize,
    coding: Coding,
    variant: &'s Variant,
    modified: u64,
}

impl Site {
    /// Number of files.
    pub(crate) fn len(&self) -> usize {
        self.assets.len()
    }

    /// The bytes that a response of this site refers to.
    pub(crate) fn content(
        &self,
        index: usize,
        coding: Coding,
        range: std::ops::Range<usize>,
    ) -> Part<'_> {
        self.assets
            .get(index)
            .and_then(|asset| asset.variants[coding as usize].as_ref())
            .map_or(Part::Memory(&[]), |variant| variant.content.part(range))
    }

    /// The response to a request for the console; `path` is decoded, `now` in
    /// seconds since 1970.
    pub(crate) fn response(
        &self,
        request: &Request<'_>,
        path: &str,
        now: u64,
    ) -> LocalResponse<'_> {
        let to_head = match request.method {
            "GET" => false,
            "HEAD" => true,
            _ => return LocalResponse::method_not_allowed("GET, HEAD"),
        };
        let response = match self.find(request, path) {
            None => LocalResponse::error(Reject::new(404, "no such page or file"), false),
            Some(index) => self.answer_asset(request, index, now, to_head),
        };
        if to_head { response.without_body() } else { response }
    }

    /// The file at `path`, or the fallback page when this is a navigation.
    fn find(&self, request: &Request<'_>, path: &str) -> Option<usize> {
        // Neither hidden files nor backups are ever taken in.
        let page = || {
            let navigates = !path::is_hidden(path)
                && !names_backup(path)
                && !media::looks_like_file(path)
                && !path.contains("//")
                && request.fields.all(Name::Accept).flat_map(list).any(accepts_html);
            self.fallback.filter(|_| navigates)
        };
        self.by_path.get(path).copied().or_else(page)
    }

    fn answer_asset(
        &self,
        request: &Request<'_>,
        index: usize,
        now: u64,
        to_head: bool,
    ) -> LocalResponse<'_> {
        let Some(selected) = self.select(request, index) else {
            let reject = Reject::new(406, "no acceptable content coding");
            let mut response = LocalResponse::error(reject, false);
            response.add_line("Vary", "Accept-Encoding");
            return response;
        };
        let validators = Validators { etag: &selected.variant.etag, modified: selected.modified };
        match conditional::evaluate(&request.fields, &validators) {
            Outcome::NotModified => not_modified(&selected),
            Outcome::Failed => LocalResponse::error(Reject::new(412, "precondition failed"), false),
            Outcome::Send => {
                let ranged =
                    !to_head && conditional::range_applies(&request.fields, &validators, now);
                let value = request.fields.single(Name::Range).filter(|_| ranged);
                match range::wanted(value, selected.variant.content.len() as u64) {
                    Wanted::Whole => whole(&selected),
                    Wanted::Unsatisfiable => unsatisfiable(&selected),
                    Wanted::Part(part) => partial(&selected, part),
                }
            }
        }
    }

    fn select(&self, request: &Request<'_>, index: usize) -> Option<Selected<'_>> {
        let asset = &self.assets[index];
        let available = |coding: Coding| asset.variants[coding as usize].is_some();
        let coding = coding::choose(request.fields.all(Name::AcceptEncoding), available)?;
        let variant = asset.variants[coding as usize].as_ref()?;
        Some(Selected { index, coding, variant, modified: asset.modified })
    }
}

/// Whether a path names a backup of a file, which is no page of the console either.
fn names_backup(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    backup::original(name).is_some_and(media::looks_like_file)
}

/// `text/html` in `Accept`, not refused by `q=0`.
fn accepts_html(element: &[u8]) -> bool {
    let mut parts = element.split(|byte| *byte == b';').map(crate::http::bytes::trim);
    let html = parts.next().is_some_and(|name| {
        name.eq_ignore_ascii_case(b"text/html")
            || name.eq_ignore_ascii_case(b"application/xhtml+xml")
    });
    html && !parts.any(|parameter| matches!(parameter, b"q=0" | b"q=0.0" | b"q=0.00" | b"q=0.000"))
}

fn not_modified<'s>(selected: &Selected<'s>) -> LocalResponse<'s> {
    LocalResponse {
        status: 304,
        lines: Cow::Borrowed(&selected.variant.validators),
        length: None,
        body: Body::None,
    }
}

fn whole<'s>(selected: &Selected<'s>) -> LocalResponse<'s> {
    let length = selected.variant.content.len();
    LocalResponse {
        status: 200,
        lines: Cow::Borrowed(&selected.variant.lines),
        length: Some(length as u64),
        body: Body::Asset { index: selected.index, coding: selected.coding, range: 0..length },
    }
}

fn unsatisfiable<'s>(selected: &Selected<'s>) -> LocalResponse<'s> {
    let mut response = LocalResponse::error(Reject::new(416, "range is outside the file"), false);
    response.add_line("Content-Range", &format!("bytes */{}", selected.variant.content.len()));
    response
}

fn partial<'s>(selected: &Selected<'s>, part: Range) -> LocalResponse<'s> {
    let range = indices(part);
    let mut response = LocalResponse {
        status: 206,
        lines: Cow::Borrowed(&selected.variant.lines),
        length: Some(part.len()),
        body: Body::Asset { index: selected.index, coding: selected.coding, range },
    };
    let content_range = content_range(part, selected.variant.content.len());
    response.add_line("Content-Range", &content_range);
    response
}

fn indices(part: Range) -> std::ops::Range<usize> {
    // Both ends lie within content that is in memory, so they fit.
    let index = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
    index(part.first)..index(part.last) + 1
}

fn content_range(part: Range, length: usize) -> String {
    format!("bytes {}-{}/{length}", part.first, part.last)
}

#[cfg(test)]
mod tests;
