//! How much each service writes: counted for `top` and metrics, and held to its
//! `log.rate`. What is over that is dropped, counted and reported.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::machine::Time;
use crate::plan::Blueprint;
use crate::rate::Bucket;

/// How long lines over the rate are counted before they are reported.
const REPORT_AFTER: Duration = Duration::from_secs(1);

/// The output of all services, counted by label.
#[derive(Debug, Default)]
pub(super) struct OutputStats(BTreeMap<Arc<str>, ServiceOutput>);

/// What one service has written, and may still.
#[derive(Debug, Default)]
struct ServiceOutput {
    bytes: u64,
    /// None without a limit.
    bucket: Option<Bucket>,
    /// Lines over its rate.
    over: u64,
    /// Of those, how many are not reported yet, and since when.
    unreported: Option<(u64, Instant)>,
}

impl ServiceOutput {
    fn admit(&mut self, mut text: Vec<u8>, now: Time) -> Vec<u8> {
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
    fn of(&mut self, service: &Arc<str>) -> &mut ServiceOutput {
        self.0.entry(Arc::clone(service)).or_default()
    }

    /// Counts a piece of output; returns what of it may pass.
    pub(super) fn admit(&mut self, service: &Arc<str>, text: Vec<u8>, now: Time) -> Vec<u8> {
        self.of(service).admit(text, now)
    }

    /// Lets a service write at the rate of its blueprint from now on.
    pub(super) fn limit(&mut self, blueprint: &Blueprint, now: Time) {
        let log = &blueprint.service.log;
        self.of(&Arc::from(blueprint.spec.label())).bucket =
            log.rate.map(|rate| Bucket::new(rate, log.burst, now));
    }

    /// How much a service has written, in bytes.
    pub(super) fn bytes_of(&self, service: &str) -> u64 {
        self.0.get(service).map_or(0, |stats| stats.bytes)
    }

    /// Lines of a service over its rate.
    pub(super) fn over_of(&self, service: &str) -> u64 {
        self.0.get(service).map_or(0, |stats| stats.over)
    }

    /// When lines over a rate have to be reported.
    pub(super) fn next_report(&self) -> Option<Instant> {
        let since = self.0.values().filter_map(|stats| stats.unreported);
        since.map(|(_, since)| since + REPORT_AFTER).min()
    }

    /// Services with lines over their rate that have to be reported now, and how many.
    pub(super) fn take_reports(&mut self, now: Instant) -> Vec<(Arc<str>, u64)> {
        let mut reports = Vec::new();
        for (service, stats) in &mut self.0 {
            let due = |(_, since): &mut (u64, Instant)| *since + REPORT_AFTER <= now;
            if let Some((lines, _)) = stats.unreported.take_if(due) {
                reports.push((Arc::clone(service), lines));
            }
        }
        reports
    }
}
