//! Figures and what is made of them: medians, and ratios of medians. Pure.

use serde_json::{Map, Value, json};

/// A quantity that is measured; less is better unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Metric {
    /// Its name in tables; the key in JSON.
    pub(crate) name: &'static str,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// Whether ratios of it say something.
    pub(crate) compared: bool,
}

/// CPU time of all threads and processes of a subject for one request or message.
pub(crate) const CPU: Metric = Metric { name: "CPU/request", unit: "µs", compared: true };
/// CPU time of the backend behind a subject for one request.
pub(crate) const BACKEND: Metric =
    Metric { name: "backend CPU/request", unit: "µs", compared: true };
/// Responses a second.
pub(crate) const RATE: Metric = Metric { name: "rate", unit: "1/s", compared: false };
/// Latency that half of the responses kept.
pub(crate) const P50: Metric = Metric { name: "p50", unit: "µs", compared: false };
/// Latency that 95 of 100 responses kept.
pub(crate) const P95: Metric = Metric { name: "p95", unit: "µs", compared: false };
/// Latency that 99 of 100 responses kept.
pub(crate) const P99: Metric = Metric { name: "p99", unit: "µs", compared: true };
/// Proportional memory (PSS) of all processes.
pub(crate) const MEMORY: Metric = Metric { name: "PSS", unit: "MiB", compared: true };
/// Resident memory of all processes, shared pages counted each time.
pub(crate) const RESIDENT: Metric = Metric { name: "RSS", unit: "MiB", compared: true };
/// Memory that each idle connection adds.
pub(crate) const EACH: Metric = Metric { name: "memory/connection", unit: "KiB", compared: true };

/// What one measurement gave.
pub(crate) type Sample = Vec<(Metric, f64)>;

/// Everything about one load.
#[derive(Debug)]
pub(crate) struct Case {
    /// What the load was.
    pub(crate) name: String,
    /// Who took part; the first is what the others are compared with.
    pub(crate) rows: Vec<Row>,
}

/// One subject under one load.
#[derive(Debug)]
pub(crate) struct Row {
    /// The subject.
    pub(crate) name: String,
    /// Why it has no figures.
    pub(crate) failure: Option<String>,
    columns: Vec<(Metric, Vec<f64>)>,
}

impl Case {
    /// Nothing measured yet.
    pub(crate) fn new(name: &str, subjects: impl Iterator<Item = String>) -> Self {
        let rows = subjects.map(Row::new).collect();
        Self { name: name.to_owned(), rows }
    }

    /// Adds what a subject's measurement gave.
    pub(crate) fn add(&mut self, subject: usize, sample: Sample) {
        let row = &mut self.rows[subject];
        for (metric, value) in sample {
            match row.columns.iter_mut().find(|(known, _)| *known == metric) {
                Some((_, values)) => values.push(value),
                None => row.columns.push((metric, vec![value])),
            }
        }
    }

    /// Takes a subject's figures away: what it did was not what is measured.
    pub(crate) fn fail(&mut self, subject: usize, why: String) {
        let row = &mut self.rows[subject];
        *row = Row { failure: Some(why), ..Row::new(std::mem::take(&mut row.name)) };
    }

    /// Every failure, with the case and the subject named.
    pub(crate) fn failures(&self) -> impl Iterator<Item = String> {
        let described = |row: &Row| {
            let why = row.failure.as_ref()?;
            Some(format!("{}: {} has no figures: {why}", self.name, row.name))
        };
        self.rows.iter().filter_map(described)
    }

    /// The metrics that were measured, in their order.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let mut metrics: Vec<Metric> = Vec::new();
        for (metric, _) in self.rows.iter().flat_map(|row| &row.columns) {
            if !metrics.contains(metric) {
                metrics.push(*metric);
            }
        }
        metrics
    }

    /// A subject's median relative to that of the first.
    pub(crate) fn ratio(&self, row: &Row, metric: Metric) -> Option<f64> {
        let base = self.rows.first()?.median(metric)?;
        (base > 0.0).then_some(row.median(metric)? / base)
    }

    /// Everything, for programs.
    pub(crate) fn json(&self) -> Value {
        let row = |row: &Row| {
            let mut figures = Map::new();
            for (metric, values) in &row.columns {
                let figure = json!({
                    "unit": metric.unit,
                    "median": row.median(*metric),
                    "ratio": self.ratio(row, *metric),
                    "samples": values,
                });
                figures.insert(metric.name.to_owned(), figure);
            }
            json!({ "subject": row.name, "figures": figures, "failure": row.failure })
        };
        json!({ "case": self.name, "subjects": self.rows.iter().map(row).collect::<Vec<_>>() })
    }

    /// A Markdown table: medians, and in brackets their ratio to the first row's.
    pub(crate) fn markdown(&self) -> String {
        let metrics = self.metrics();
        let mut out = format!("| {} |", self.name);
        let mut rule = "|---|".to_owned();
        for metric in &metrics {
            out.push_str(&format!(" {}, {} |", metric.name, metric.unit));
            rule.push_str("--:|");
        }
        out = format!("{out}\n{rule}\n");
        for (index, row) in self.rows.iter().enumerate() {
            out.push_str(&format!("| {} |", row.name));
            for metric in &metrics {
                let cell = row.median(*metric).map_or_else(|| "–".to_owned(), figure);
                let ratio = self.ratio(row, *metric).filter(|_| metric.compared && index > 0);
                let ratio = ratio.map_or_else(String::new, |ratio| format!(" ({ratio:.2})"));
                out.push_str(&format!(" {cell}{ratio} |"));
            }
            out.push('\n');
        }
        out
    }
}

impl Row {
    fn new(name: String) -> Self {
        Self { name, failure: None, columns: Vec::new() }
    }

    /// The median of what was measured.
    pub(crate) fn median(&self, metric: Metric) -> Option<f64> {
        let (_, values) = self.columns.iter().find(|(known, _)| *known == metric)?;
        median(values)
    }
}

/// The middle value, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        count if count % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// Three significant digits, whole above a thousand.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case() -> Case {
        let mut case = Case::new("1 KiB", ["nginx", "santa-proxy"].map(str::to_owned).into_iter());
        for (cpu, p99) in [(10.0, 300.0), (90.0, 310.0), (12.0, 290.0)] {
            case.add(0, vec![(CPU, cpu), (P99, p99)]);
            case.add(1, vec![(CPU, cpu / 2.0)]);
        }
        case
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn one_odd_round_does_not_move_a_median() {
        assert_eq!(median(&[10.0, 90.0, 12.0]), Some(12.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
        assert_eq!(median(&[]), None);
        let case = case();
        assert_eq!(case.ratio(&case.rows[1], CPU), Some(0.5));
        assert_eq!(case.ratio(&case.rows[1], P99), None);
    }

    #[test]
    fn tables_show_medians_and_ratios() {
        assert_eq!(
            case().markdown(),
            "| 1 KiB | CPU/request, µs | p99, µs |\n|---|--:|--:|\n\
             | nginx | 12.0 | 300 |\n| santa-proxy | 6.00 (0.50) | – |\n"
        );
    }

    #[test]
    fn who_fails_has_no_figures_but_a_reason() {
        let mut case = case();
        case.fail(1, "answered with 404".to_owned());
        assert!(case.markdown().ends_with("| santa-proxy | – | – |\n"), "{}", case.markdown());
        let described: Vec<String> = case.failures().collect();
        assert_eq!(described, ["1 KiB: santa-proxy has no figures: answered with 404"]);
        assert_eq!(case.json()["subjects"][1]["failure"], "answered with 404");
    }

    #[test]
    fn programs_get_every_sample() {
        let json = case().json();
        let figure = &json["subjects"][1]["figures"]["CPU/request"];
        assert_eq!(figure["samples"], serde_json::json!([5.0, 45.0, 6.0]));
        assert_eq!(figure["ratio"], 0.5);
    }
}
