//! The metrics of the backend's instances for the common `/metrics` page. Each instance is
//! scraped at its own address, which becomes a label of its metrics.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use santa_config::Address;

use crate::upstream::connect;
use crate::upstream::query::{QueryResponse, query};

/// Sent on a connection of its own, so that no request waits for it.
const REQUEST: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// How long an instance may take; all are scraped at the same time.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How the backend's metrics begin. The console's development server responds to any path.
const PREFIX: &str = "# HELP santa_backend_";

/// The metrics of all instances as Prometheus text, with a comment for each that failed.
pub(super) async fn collect(addresses: impl IntoIterator<Item = Address>) -> String {
    let scrapes: Vec<_> = addresses
        .into_iter()
        .map(|address| (address.to_string(), tokio::task::spawn_local(instance(address))))
        .collect();
    let mut families = Families::default();
    let mut failed = String::new();
    for (address, scrape) in scrapes {
        match scrape.await.ok().flatten() {
            Some(text) => families.add(&address, &text),
            // Writing to a string cannot fail.
            None => _ = writeln!(failed, "# {address} did not return its metrics"),
        }
    }
    families.text() + &failed
}

async fn instance(address: Address) -> Option<String> {
    let scraping = async {
        let mut stream = connect::attempt(&address).await.ok()?;
        query(&mut stream, REQUEST).await
    };
    match tokio::time::timeout(TIMEOUT, scraping).await.ok()?? {
        QueryResponse { status: 200, text, .. } => {
            String::from_utf8(text).ok().filter(|text| text.starts_with(PREFIX))
        }
        _ => None,
    }
}

/// Metrics by name: the lines that describe one, and its samples of all instances. The
/// format requires those of one name together.
#[derive(Default)]
struct Families(BTreeMap<String, Family>);

#[derive(Default)]
struct Family {
    head: Vec<String>,
    samples: Vec<String>,
}

impl Families {
    fn add(&mut self, address: &str, text: &str) {
        let mut name = String::new();
        for line in text.lines() {
            if let Some(described) = line.strip_prefix("# ") {
                let word = described.split(' ').nth(1).unwrap_or_default();
                word.clone_into(&mut name);
                let head = &mut self.0.entry(name.clone()).or_default().head;
                if !head.iter().any(|known| known == line) {
                    head.push(line.to_owned());
                }
            } else if let Some(sample) = labeled(line, address) {
                self.0.entry(name.clone()).or_default().samples.push(sample);
            }
        }
    }

    fn text(&self) -> String {
        let lines = self.0.values().flat_map(|family| family.head.iter().chain(&family.samples));
        lines.fold(String::new(), |text, line| text + line + "\n")
    }
}

/// A sample with the address among its labels.
fn labeled(sample: &str, address: &str) -> Option<String> {
    let (of, value) = sample.rsplit_once(' ')?;
    Some(match of.split_once('{') {
        Some((name, labels)) => format!("{name}{{address=\"{address}\",{labels} {value}"),
        None => format!("{of}{{address=\"{address}\"}} {value}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_all_instances_are_grouped_by_name() {
        let of = |number: u8| {
            format!(
                "# HELP santa_backend_b Bytes.\n# TYPE santa_backend_b gauge\n\
                 santa_backend_b{{cache=\"a b\"}} {number}\n\
                 # HELP santa_backend_a All.\n# TYPE santa_backend_a gauge\nsanta_backend_a 7\n"
            )
        };
        let mut families = Families::default();
        families.add("unix:/0", &of(1));
        families.add("unix:/1", &of(2));
        assert_eq!(
            families.text(),
            "# HELP santa_backend_a All.\n# TYPE santa_backend_a gauge\n\
             santa_backend_a{address=\"unix:/0\"} 7\nsanta_backend_a{address=\"unix:/1\"} 7\n\
             # HELP santa_backend_b Bytes.\n# TYPE santa_backend_b gauge\n\
             santa_backend_b{address=\"unix:/0\",cache=\"a b\"} 1\n\
             santa_backend_b{address=\"unix:/1\",cache=\"a b\"} 2\n"
        );
        assert_eq!(Families::default().text(), "");
    }
}
