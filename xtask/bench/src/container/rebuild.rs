//! From a saved line to the image in the engine, as whoever changes the backend or
//! the console waits for it. The line is removed afterward.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use xshell::Shell;
use xtask::commands::build;
use xtask::tools::podman;
use xtask::{repo, run};

use super::images::{self, IMAGES, Image};
use crate::scenario::{Bench, Outcome};
use crate::table::{Metric, Sample};

const LOADED: Metric = Metric { name: "line to loaded image", unit: "s", compared: true };

/// What is changed, and how: a line that gets into what is built.
struct Line {
    about: &'static str,
    file: &'static str,
    /// The line with this number in it.
    text: fn(u32) -> String,
    /// Builds what it is part of into dist/, for the earlier arrangement; ours finds
    /// out by itself what has to be built.
    build: fn() -> Result<()>,
}

const LINES: [Line; 2] = [
    Line {
        about: "one line of the backend",
        file: "backend/santaserver/clock.py",
        text: |number| format!("# measured {number}\n"),
        build: build::backend,
    },
    Line {
        about: "one line of the console",
        file: "frontend/src/lib/styles/app.css",
        text: |number| format!(".measured-{number} {{ order: {number}; }}\n"),
        build: build::console,
    },
];

/// Measures both lines with both images.
pub(crate) fn rebuild(bench: &mut Bench) -> Result<Outcome> {
    let shell = podman::ensure_installed()?.shell()?;
    let mut number = 0;
    let mut cases = Vec::new();
    for line in LINES {
        let mut measure = |image: &mut Image| -> Result<Sample> {
            number += 1;
            let _changed = Changed::append(&line, number)?;
            let start = Instant::now();
            make(&shell, *image, &line)?;
            Ok(vec![(LOADED, start.elapsed().as_secs_f64())])
        };
        // Once without a change, for what an earlier state has left behind.
        IMAGES.iter().try_for_each(|image| make(&shell, *image, &line))?;
        let mut images = IMAGES;
        let name = |image: &Image| image.name.to_owned();
        cases.push(bench.alternate(line.about, &mut images, name, &mut measure)?);
        (line.build)()?;
    }
    Ok(Outcome::Cases(cases))
}

/// Makes one of the images and hands it to the engine.
fn make(shell: &Shell, image: Image, line: &Line) -> Result<()> {
    if image == images::EARLIER {
        (line.build)()?;
        return images::earlier(shell);
    }
    // It has started this program and lies beside it.
    let (xtask, tag) = (run::own_program()?.with_file_name("xtask"), image.tag);
    let command = xshell::cmd!(shell, "{xtask} image --load podman --tag {tag}");
    run::output("make the image", command).map(drop)
}

/// A file with a line more; the line is gone when this is dropped.
struct Changed {
    file: PathBuf,
    before: Vec<u8>,
}

impl Changed {
    fn append(line: &Line, number: u32) -> Result<Self> {
        let file = repo::path(line.file);
        let before = fs::read(&file).with_context(|| format!("cannot read {}", line.file))?;
        let changed = Self { file, before };
        let text = [changed.before.as_slice(), (line.text)(number).as_bytes()].concat();
        fs::write(&changed.file, text).with_context(|| format!("cannot change {}", line.file))?;
        Ok(changed)
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        let _ = fs::write(&self.file, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_belong_to_files_that_are_there() {
        for line in &LINES {
            assert!(repo::path(line.file).is_file(), "{}", line.file);
            assert!((line.text)(7).contains('7') && (line.text)(7).ends_with('\n'));
        }
    }
}
