//! The report of a run: Markdown for people, a plot, JSON for programs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use xtask::repo;

use super::machine::Machine;
use super::plot;
use super::scenario::Outcome;
use super::table::Case;

/// One scenario's outcome.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) outcome: Outcome,
}

impl Section {
    pub(crate) fn cases(&self) -> &[Case] {
        match &self.outcome {
            Outcome::Cases(cases) => cases,
            Outcome::Text { .. } => &[],
        }
    }
}

/// A run's outcome.
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) load_after: String,
    pub(crate) sections: Vec<Section>,
    pub(crate) notes: Vec<String>,
}

impl Report {
    /// Writes everything into `folder`, and the figures to `json` as well; gives
    /// the Markdown.
    pub(crate) fn write(&self, folder: &Path, json: Option<&Path>) -> Result<String> {
        fs::create_dir_all(folder).context("cannot create dist/bench")?;
        let markdown = self.markdown();
        let figures = format!("{:#}\n", self.json());
        put(&folder.join("report.md"), &markdown)?;
        put(&folder.join("report.json"), &figures)?;
        let cases: Vec<&Case> = self.sections.iter().flat_map(Section::cases).collect();
        put(&folder.join("report.svg"), &plot::svg(&cases))?;
        if let Some(path) = json {
            put(path, &figures)?;
        }
        Ok(markdown)
    }

    fn markdown(&self) -> String {
        let mut out = format!(
            "# Benchmarks\n\n{}; after: {}\n\nMedians; in brackets relative to the first row.\n",
            self.machine.line(),
            self.load_after
        );
        for section in &self.sections {
            out.push_str(&format!("\n## {}\n\n{}\n", section.name, section.about));
            for case in section.cases() {
                out.push_str(&format!("\n{}", case.markdown()));
            }
            if let Outcome::Text { markdown, .. } = &section.outcome {
                out.push_str(&format!("\n{markdown}"));
            }
        }
        if !self.notes.is_empty() {
            out.push('\n');
        }
        for note in &self.notes {
            out.push_str(&format!("- {note}\n"));
        }
        out
    }

    fn json(&self) -> Value {
        let section = |section: &Section| {
            let found: Value = match &section.outcome {
                Outcome::Cases(cases) => cases.iter().map(Case::json).collect(),
                Outcome::Text { data, .. } => data.clone(),
            };
            json!({ "scenario": section.name, "cases": found })
        };
        json!({
            "machine": self.machine.json(),
            "load_after": self.load_after,
            "scenarios": self.sections.iter().map(section).collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }
}

fn put(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", repo::shown(path)))
}
