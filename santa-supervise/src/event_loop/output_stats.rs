//! How much each service writes: counted for `top` and metrics, and held to its
//! `log.rate`. What is over that is dropped, counted and told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::machine::Time;
use crate::plan::Blueprint;
use crate::rate::Bucket;

use super::EventLoop;

/// How long lines over the rate are counted before that is told.
const REPORT_AFTER: Duration = Duration::from_secs(1);

/// The output of all services, counted by label.
#[derive(Debug, Default)]
pub(super) struct OutputStats(BTreeMap<Arc<str>, ServiceOutput>);

/// What one service has written, and may still.
#[derive(Debug, Default)]
pub(super) struct ServiceOutput {
    bytes: u64,
    /// None for as much as it likes.
    bucket: Option<Bucket>,
    /// Lines over its rate.
    over: u64,
    /// Of those, how many nobody was told of, and since when.
    unreported: Option<(u64, Instant)>,
}

impl ServiceOutput {
    /// Counts a piece of output; gives what of it may pass.
    pub(super) fn admit(&mut self, mut text: Vec<u8>, now: Time) -> Vec<u8> {
        self.bytes += text.len() as u64;
        let Some(bucket) = &mut self.bucket else { return text };
        // A piece of a long line counts like a line.
        let lines = memchr::memchr_iter(b'\n', &text).count().max(1);
        let lines = u32::try_from(lines).unwrap_or(u32::MAX);
        let passing = bucket.take(lines, now);
        if passing < lines {
            let over = u64::from(lines - passing);
            self.over += over;
            self.unreported.get_or_insert((0, Instant::now())).0 += over;
            let end = match passing {
                0 => 0,
                _ => memchr::memchr_iter(b'\n', &text)
                    .nth(passing as usize - 1)
                    .map_or(0, |at| at + 1),
            };
            text.truncate(end);
        }
        text
    }
}

impl OutputStats {
    pub(super) fn of(&mut self, service: &Arc<str>) -> &mut ServiceOutput {
        self.0.entry(Arc::clone(service)).or_default()
    }

    /// How much a service has written, in bytes.
    pub(super) fn bytes_of(&self, service: &str) -> u64 {
        self.0.get(service).map_or(0, |stats| stats.bytes)
    }

    /// When somebody has to be told of lines over a rate.
    pub(super) fn next_report(&self) -> Option<Instant> {
        let since = self.0.values().filter_map(|stats| stats.unreported);
        since.map(|(_, since)| since + REPORT_AFTER).min()
    }
}

impl EventLoop {
    /// Lets a service write at the rate of its blueprint from now on.
    pub(super) fn limit_output(&mut self, blueprint: &Blueprint) {
        let log = &blueprint.service.log;
        let now = self.now();
        let stats = self.output.output_stats.of(&Arc::from(blueprint.spec.label()));
        stats.bucket = log.rate.map(|rate| Bucket::new(rate, log.burst, now));
    }

    /// Tells of lines that were dropped because a service writes too many.
    pub(super) fn report_dropped_lines(&mut self, now: Instant) {
        let due = |stats: &ServiceOutput| {
            stats
                .unreported
                .filter(|(_, since)| *since + REPORT_AFTER <= now)
                .map(|(lines, _)| lines)
        };
        let output_stats = self.output.output_stats.0.iter();
        let over: Vec<(Arc<str>, u64)> = output_stats
            .filter_map(|(service, stats)| Some((Arc::clone(service), due(stats)?)))
            .collect();
        for (service, lines) in over {
            if let Some(stats) = self.output.output_stats.0.get_mut(&service) {
                stats.unreported = None;
            }
            let message =
                format!("dropped {lines} lines of {service}: it writes more than its log.rate");
            let details = json!({ "event": "dropped", "name": &*service, "lines": lines });
            self.event("warning", &message, details);
        }
    }

    /// Lines of a service that were dropped for either reason.
    pub(super) fn dropped_lines_of(&self, service: &str) -> u64 {
        let over = self.output.output_stats.0.get(service).map_or(0, |stats| stats.over);
        over + self.output.log.dropped_of(service)
    }
}
