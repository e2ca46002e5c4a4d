//! The numbers of the backend's instances, for the one page that tells of all parts. Each is
//! asked at its own address, and its numbers get that address as a label.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use santa_config::Address;

use crate::question::{Said, ask};
use crate::upstream::connect;

/// The question. It has a connection of its own, so that no request waits for it.
const QUESTION: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// Longest an instance may take; all are asked at the same time.
const PATIENCE: Duration = Duration::from_secs(1);
/// How what a backend tells of itself begins. A development server answers any path.
const BEGINNING: &str = "# HELP santa_backend_";

/// What all instances tell, as Prometheus text; a comment for each that tells nothing.
pub(crate) async fn numbers(addresses: impl IntoIterator<Item = Address>) -> String {
    let asked: Vec<_> = addresses
        .into_iter()
        .map(|address| (address.to_string(), tokio::task::spawn_local(instance(address))))
        .collect();
    let mut families = Families::default();
    let mut silent = String::new();
    for (address, answer) in asked {
        match answer.await.ok().flatten() {
            Some(text) => families.add(&address, &text),
            // Writing to a string cannot fail.
            None => _ = writeln!(silent, "# {address} does not tell its numbers"),
        }
    }
    families.text() + &silent
}

async fn instance(address: Address) -> Option<String> {
    let asking = async {
        let mut stream = connect::attempt(&address).await.ok()?;
        ask(&mut stream, QUESTION).await
    };
    match tokio::time::timeout(PATIENCE, asking).await.ok()?? {
        Said { status: 200, text, .. } => {
            String::from_utf8(text).ok().filter(|text| text.starts_with(BEGINNING))
        }
        _ => None,
    }
}

/// Metrics by name: what describes one, and its samples of all instances. The format wants
/// those of one name together.
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
            } else if let Some(sample) = labelled(line, address) {
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
fn labelled(sample: &str, address: &str) -> Option<String> {
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
    fn the_numbers_of_all_instances_stand_together_by_name() {
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
