//! What was measured, as the JSON that `cargo xtask bench` reads.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest latency recorded, in nanoseconds; longer ones count as this.
const LONGEST: u64 = 120_000_000_000;

/// Outcome of `santa-load http`.
#[derive(Debug, Serialize)]
pub(crate) struct Http {
    /// Responses that came completely.
    pub(crate) responses: u64,
    /// Those of them with a status other than 2xx and 3xx.
    pub(crate) refused: u64,
    /// Requests that got no complete response.
    pub(crate) errors: u64,
    /// What the first of them failed with.
    pub(crate) first_error: Option<String>,
    /// Content bytes received.
    pub(crate) bytes: u64,
    /// Seconds it took.
    pub(crate) seconds: f64,
    /// Latencies.
    pub(crate) latency: Latency,
}

impl Http {
    /// What was counted in this time.
    pub(crate) fn new(tally: &Tally, took: Duration) -> Self {
        Self {
            responses: tally.responses(),
            refused: tally.refused,
            errors: tally.errors,
            first_error: tally.first_error.clone(),
            bytes: tally.bytes,
            seconds: took.as_secs_f64(),
            latency: tally.latency(),
        }
    }
}

/// Outcome of `santa-load ws`.
#[derive(Debug, Serialize)]
pub(crate) struct WebSocket {
    /// Messages that came back.
    pub(crate) responses: u64,
    /// Connections that failed.
    pub(crate) errors: u64,
    /// What the first of them failed with.
    pub(crate) first_error: Option<String>,
    /// Seconds it took, without opening the connections.
    pub(crate) seconds: f64,
    /// Latencies.
    pub(crate) latency: Latency,
}

/// Outcome of `santa-load fleet`.
#[derive(Debug, Serialize)]
pub(crate) struct Fleet {
    /// Syncs that came to their end.
    pub(crate) syncs: u64,
    /// Responses that came completely.
    pub(crate) responses: u64,
    /// Those of them with a status other than 200.
    pub(crate) refused: u64,
    /// Syncs or uploads that failed.
    pub(crate) errors: u64,
    /// What the first of them failed with.
    pub(crate) first_error: Option<String>,
    /// Events that were accepted.
    pub(crate) events: u64,
    /// Rules that were received.
    pub(crate) rules: u64,
    /// Seconds it took.
    pub(crate) seconds: f64,
    /// Latencies of all stages.
    pub(crate) latency: Latency,
    /// What the Macs waited for all responses of a sync together.
    pub(crate) sync: Latency,
    /// Latencies by stage.
    pub(crate) stages: BTreeMap<String, Latency>,
}

/// Outcome of `santa-load consoles`.
#[derive(Debug, Serialize)]
pub(crate) struct Consoles {
    /// Seconds since all pages were open.
    pub(crate) seconds: f64,
    /// Messages of all pages.
    pub(crate) messages: u64,
    /// Those that said that others were lost.
    pub(crate) lagged: u64,
    /// What pages read again because of news.
    pub(crate) reads: u64,
    /// Bytes a second of the page that heard most.
    pub(crate) largest: f64,
    /// Bytes a second of a page on average.
    pub(crate) mean: f64,
}

/// What `santa-load hold`, `consoles` and `slow` say once everything is open.
#[derive(Debug, Serialize)]
pub(crate) struct Held {
    /// Open connections.
    pub(crate) held: u64,
}

/// Percentiles of a latency, in microseconds.
#[derive(Debug, Default, Serialize, PartialEq)]
pub(crate) struct Latency {
    /// Half were as fast.
    pub(crate) p50_us: f64,
    /// Nine of ten were as fast.
    pub(crate) p90_us: f64,
    /// 95 of 100 were as fast.
    pub(crate) p95_us: f64,
    /// 99 of 100 were as fast.
    pub(crate) p99_us: f64,
    /// The slowest.
    pub(crate) max_us: f64,
}

/// Counts of one run, shared by its connections.
#[derive(Debug)]
pub(crate) struct Tally {
    latencies: Histogram<u64>,
    /// Responses with a status other than 2xx and 3xx.
    pub(crate) refused: u64,
    /// Content bytes received.
    pub(crate) bytes: u64,
    /// Failures.
    pub(crate) errors: u64,
    /// What the first of them failed with.
    pub(crate) first_error: Option<String>,
}

impl Tally {
    /// Nothing yet.
    pub(crate) fn new() -> Result<Self> {
        let latencies = Histogram::new_with_bounds(1_000, LONGEST, 3)
            .context("cannot make a histogram of latencies")?;
        Ok(Self { latencies, refused: 0, bytes: 0, errors: 0, first_error: None })
    }

    /// One response.
    pub(crate) fn response(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(LONGEST);
        self.latencies.saturating_record(nanoseconds);
    }

    /// One failure.
    pub(crate) fn error(&mut self, error: &anyhow::Error) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| format!("{error:#}"));
    }

    /// Responses so far.
    pub(crate) fn responses(&self) -> u64 {
        self.latencies.len()
    }

    /// Percentiles so far.
    pub(crate) fn latency(&self) -> Latency {
        if self.latencies.is_empty() {
            return Latency::default();
        }
        let at = |quantile: f64| micros(self.latencies.value_at_quantile(quantile));
        Latency {
            p50_us: at(0.5),
            p90_us: at(0.9),
            p95_us: at(0.95),
            p99_us: at(0.99),
            max_us: micros(self.latencies.max()),
        }
    }
}

fn micros(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1e6
}

/// Prints one line of JSON.
pub(crate) fn print(value: &impl Serialize) -> Result<()> {
    let line = serde_json::to_string(value).context("cannot write the result as JSON")?;
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}").and_then(|()| output.flush()).context("cannot write the result")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut tally = Tally::new().expect("tally");
        assert_eq!(tally.latency(), Latency::default());
        for milliseconds in 1..=100 {
            tally.response(Duration::from_millis(milliseconds));
        }
        let latency = tally.latency();
        assert_eq!(tally.responses(), 100);
        for (found, meant) in [(latency.p50_us, 50e3), (latency.p99_us, 99e3)] {
            assert!((found / meant - 1.0).abs() < 0.002, "{found} instead of {meant}");
        }
    }
}
