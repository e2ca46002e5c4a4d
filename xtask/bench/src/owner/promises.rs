//! The numbers that were promised to the owner, each beside what was measured in this
//! run, with its factor. Pure.

use serde_json::{Value, json};

/// Each promise is to be beaten by this factor.
const GOAL: f64 = 2.0;

/// A median of one arrangement.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    /// The case.
    pub(crate) case: String,
    /// The metric's name.
    pub(crate) metric: &'static str,
    /// Ours.
    pub(crate) ours: f64,
    /// The earlier arrangement's, if it has one.
    pub(crate) earlier: Option<f64>,
}

/// How a promise is compared.
#[derive(Debug, Clone, Copy)]
enum Against {
    /// At most this much.
    Limit(f64),
    /// At most this share of the earlier arrangement's.
    Share(f64),
}

/// One promised number.
struct Promise {
    text: &'static str,
    /// How the case begins that it is about.
    case: &'static str,
    metric: &'static str,
    /// What one unit of the metric is in the promise's.
    scale: f64,
    unit: &'static str,
    against: Against,
}

const fn promise(
    text: &'static str,
    (case, metric): (&'static str, &'static str),
    (scale, unit): (f64, &'static str),
    against: Against,
) -> Promise {
    Promise { text, case, metric, scale, unit, against }
}

const MIXED: &str = "mixed";
const API: &str = "1,000 clients, once a second each";

const PROMISES: [Promise; 6] = [
    promise("ready in less than 30 s", (MIXED, "ready"), (1.0, "s"), Against::Limit(30.0)),
    promise("API within 200 ms, p99", (API, "p99"), (1e-3, "ms"), Against::Limit(200.0)),
    promise("memory below 512 MB", (MIXED, "PSS"), (1.048_576, "MB"), Against::Limit(512.0)),
    promise(
        "memory 25 % under the earlier",
        (MIXED, "PSS"),
        (1.048_576, "MB"),
        Against::Share(0.75),
    ),
    promise("CPU below 50 % at normal load", (MIXED, "CPU"), (1.0, "%"), Against::Limit(50.0)),
    promise(
        "API latency 20 % under the earlier, p50",
        (API, "p50"),
        (1e-3, "ms"),
        Against::Share(0.8),
    ),
];

/// What became of one promise.
#[derive(Debug, PartialEq)]
struct Kept {
    value: f64,
    limit: f64,
}

impl Kept {
    fn factor(&self) -> f64 {
        self.limit / self.value
    }

    fn word(&self) -> &'static str {
        match self.factor() {
            factor if factor >= GOAL => "beaten twice or more",
            factor if factor >= 1.0 => "kept, not beaten twice",
            _ => "**not kept**",
        }
    }
}

impl Promise {
    fn kept(&self, found: &[Finding]) -> Option<Kept> {
        let fits = |one: &&Finding| one.case.starts_with(self.case) && one.metric == self.metric;
        let one = found.iter().find(fits)?;
        let limit = match self.against {
            Against::Limit(limit) => limit,
            Against::Share(share) => one.earlier? * self.scale * share,
        };
        Some(Kept { value: one.ours * self.scale, limit })
    }
}

/// A row for each promise.
pub(super) fn markdown(found: &[Finding]) -> String {
    let mut text =
        "| promised | measured | allowed | factor | |\n|---|--:|--:|--:|---|\n".to_owned();
    for promise in &PROMISES {
        let (name, unit) = (promise.text, promise.unit);
        text += &match promise.kept(found) {
            None => format!("| {name} | – | – | – | not measured in this run |\n"),
            Some(kept) => format!(
                "| {name} | {:.2} {unit} | {:.2} {unit} | {:.1} | {} |\n",
                kept.value,
                kept.limit,
                kept.factor(),
                kept.word()
            ),
        };
    }
    text + "\nAll requests of a case were answered, or it has no figures: 1,000 concurrent clients in `owner-api`, 500 \
            WebSockets in `owner-ws` and `owner-mixed`.\n"
}

/// The same for programs.
pub(super) fn data(found: &[Finding]) -> Value {
    let row = |promise: &Promise| {
        let kept = promise.kept(found);
        json!({
            "promise": promise.text, "unit": promise.unit,
            "measured": kept.as_ref().map(|kept| kept.value),
            "allowed": kept.as_ref().map(|kept| kept.limit),
            "factor": kept.as_ref().map(Kept::factor),
        })
    };
    PROMISES.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(metric: &'static str, ours: f64, earlier: Option<f64>) -> Finding {
        Finding { case: "mixed: everything".to_owned(), metric, ours, earlier }
    }

    #[test]
    fn a_promise_says_by_which_factor_it_is_beaten() {
        let text = markdown(&[finding("ready", 1.5, Some(3.0)), finding("CPU", 40.0, None)]);
        assert!(
            text.contains("| ready in less than 30 s | 1.50 s | 30.00 s | 20.0 | beaten twice"),
            "{text}"
        );
        assert!(
            text.contains("| CPU below 50 % at normal load | 40.00 % | 50.00 % | 1.2 | kept, not"),
            "{text}"
        );
        assert!(text.contains("| API within 200 ms, p99 | – |"), "{text}");
    }

    #[test]
    fn what_is_relative_is_compared_with_the_earlier_arrangement() {
        let text = markdown(&[finding("PSS", 100.0, Some(120.0))]);
        assert!(
            text.contains("25 % under the earlier | 104.86 MB | 94.37 MB | 0.9 | **not kept**"),
            "{text}"
        );
        let alone = markdown(&[finding("PSS", 100.0, None)]);
        assert!(alone.contains("| memory 25 % under the earlier | – |"), "{alone}");
        assert_eq!(data(&[])[0]["factor"], Value::Null);
    }
}
