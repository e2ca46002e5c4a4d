//! The two forms of `/metrics`: the Prometheus text that all parts write, and OpenMetrics
//! made of it. Pure.

use crate::http::bytes::{list, trim};
use crate::http::coding::quality_value;

/// What a family of counters has at the end of its samples' names, and OpenMetrics not at
/// the end of its own.
const COUNTED: &str = "_total";

/// How a scraper wants the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus text 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0, which also has exemplars.
    OpenMetrics,
}

impl Format {
    /// Chooses by the lines of `Accept`: OpenMetrics only for those who prefer it.
    pub(crate) fn accepted<'v>(values: impl Iterator<Item = &'v [u8]>) -> Self {
        let (mut open, mut plain) = (0, 0);
        for range in values.flat_map(list) {
            let mut parts = range.split(|byte| *byte == b';').map(trim);
            let name = parts.next().unwrap_or_default();
            let (mut weight, mut version) = (1000, &b"1.0.0"[..]);
            for part in parts {
                match part {
                    [b'q' | b'Q', b'=', value @ ..] => weight = quality_value(value).unwrap_or(0),
                    _ => version = part.strip_prefix(b"version=").unwrap_or(version),
                }
            }
            if name.eq_ignore_ascii_case(b"application/openmetrics-text") && version == b"1.0.0" {
                open = weight.max(open);
            } else if name.eq_ignore_ascii_case(b"text/plain") {
                plain = weight.max(plain);
            }
        }
        if open > 0 && open >= plain { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The value of `Content-Type`.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The text in this form.
    pub(crate) fn of_prometheus(self, text: String) -> String {
        match self {
            Self::Prometheus => text,
            Self::OpenMetrics => open_metrics(&text),
        }
    }
}

/// OpenMetrics names families of counters without `_total`, knows no other comments than
/// those about families, and says where the text ends.
fn open_metrics(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        match line.strip_prefix("# ").and_then(|comment| comment.split_once(' ')) {
            Some((word @ ("HELP" | "TYPE"), rest)) => {
                let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                let name = name.strip_suffix(COUNTED).unwrap_or(name);
                out.extend(["# ", word, " ", name, " ", rest, "\n"]);
            }
            _ if line.starts_with('#') || line.is_empty() => {}
            _ => out.extend([line, "\n"]),
        }
    }
    out.push_str("# EOF\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scraper_gets_the_form_that_it_prefers() {
        use Format::{OpenMetrics, Prometheus};
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, expected) in [
            (prometheus, OpenMetrics),
            ("application/openmetrics-text; version=1.0.0", OpenMetrics),
            ("Application/OpenMetrics-Text", OpenMetrics),
            ("application/openmetrics-text;version=0.0.1,text/plain;q=0.5", Prometheus),
            ("application/openmetrics-text;q=0", Prometheus),
            ("application/openmetrics-text;q=0.4, text/plain", Prometheus),
            ("text/plain", Prometheus),
            ("*/*", Prometheus),
            ("", Prometheus),
        ] {
            assert_eq!(Format::accepted([accept.as_bytes()].into_iter()), expected, "{accept}");
        }
        assert_eq!(Format::accepted([].into_iter()), Prometheus);
    }

    #[test]
    fn counters_lose_their_suffix_in_the_head_only() {
        let text = "# HELP a_total All.\n# TYPE a_total counter\na_total{x=\"#\"} 1\n# a comment\n\
            # HELP b Some.\n# TYPE b gauge\nb 2\n";
        assert_eq!(
            Format::OpenMetrics.of_prometheus(text.to_owned()),
            "# HELP a All.\n# TYPE a counter\na_total{x=\"#\"} 1\n# HELP b Some.\n# TYPE b gauge\nb 2\n# EOF\n"
        );
        assert_eq!(Format::Prometheus.of_prometheus(text.to_owned()), text);
    }
}
