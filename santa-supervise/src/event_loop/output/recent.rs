//! The last output of each service, kept for `logs` and `explain`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::clock::Millis;
use crate::record::{Chunk, Style};

/// How much recent output is kept for each service, in bytes.
const REMEMBERED: usize = 128 * 1024;

/// The longest answer with recent lines, in bytes.
const LONGEST_ANSWER: usize = 2 * 1024 * 1024;

/// Recent output by label.
#[derive(Debug, Default)]
pub(super) struct Recent(BTreeMap<Arc<str>, Chunks>);

/// The last output of one service.
#[derive(Debug, Default)]
struct Chunks {
    chunks: VecDeque<Arc<Chunk>>,
    bytes: usize,
}

impl Chunks {
    fn add(&mut self, chunk: Arc<Chunk>) {
        self.bytes += chunk.weight();
        self.chunks.push_back(chunk);
        while self.bytes > REMEMBERED && self.chunks.len() > 1 {
            self.bytes -= self.chunks.pop_front().map_or(0, |chunk| chunk.weight());
        }
    }
}

impl Recent {
    pub(super) fn add(&mut self, chunk: Arc<Chunk>) {
        self.0.entry(Arc::clone(&chunk.service)).or_default().add(chunk);
    }

    /// Chunks of the services that `wanted` names, oldest first.
    fn of(&self, wanted: impl Fn(&str) -> bool) -> Vec<Arc<Chunk>> {
        let services = self.0.iter().filter(|(service, _)| wanted(service));
        let mut chunks: Vec<_> =
            services.flat_map(|(_, recent)| recent.chunks.iter().cloned()).collect();
        chunks.sort_by_key(|chunk| chunk.at);
        chunks
    }

    /// The last `lines` records of the services that `wanted` names, as far as they
    /// fit into one answer. Only what is given is formatted: a service may have
    /// written many short lines.
    pub(super) fn last_records(&self, lines: usize, wanted: impl Fn(&str) -> bool) -> Vec<u8> {
        let (mut left, mut room) = (lines, LONGEST_ANSWER);
        let mut found = Vec::new();
        for chunk in self.of(wanted).iter().rev() {
            if left == 0 {
                break;
            }
            let count = chunk.lines().count();
            let mut text = Vec::new();
            chunk.last(left).write(Style::Json, &mut text);
            if text.len() > room {
                let over = &text[text.len() - room..];
                let whole = memchr::memchr(b'\n', over).map_or(&[][..], |end| &over[end + 1..]);
                found.push(whole.to_vec());
                break;
            }
            (left, room) = (left.saturating_sub(count), room - text.len());
            found.push(text);
        }
        found.reverse();
        found.concat()
    }

    /// The last `count` lines that `label` wrote since `began`, each cut after
    /// `longest` bytes.
    pub(super) fn last_lines(
        &self,
        label: &str,
        began: Millis,
        count: usize,
        longest: usize,
    ) -> Vec<String> {
        let chunks = self.of(|service| service == label);
        let mut lines: Vec<String> = chunks
            .iter()
            .rev()
            .take_while(|chunk| chunk.at >= began)
            .flat_map(|chunk| chunk.lines().collect::<Vec<_>>().into_iter().rev())
            .take(count)
            .map(|line| String::from_utf8_lossy(&line[..line.len().min(longest)]).into_owned())
            .collect();
        lines.reverse();
        lines
    }
}
