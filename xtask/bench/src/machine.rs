//! What the figures were measured on.

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The machine at the start of a run.
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    kernel: String,
    load: String,
}

impl Machine {
    /// Reads it from the system.
    pub(crate) fn look() -> Result<Self> {
        let info = fs::read_to_string("/proc/cpuinfo").context("cannot read /proc/cpuinfo")?;
        Ok(Self {
            processor: field(&info, "model name").unwrap_or("unknown processor").to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            load: load_average(),
        })
    }

    /// In one line.
    pub(crate) fn line(&self) -> String {
        let Self { processor, cores, kernel, load } = self;
        format!("{processor}, {cores} cores, Linux {kernel}; load average before: {load}")
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "processor": self.processor, "cores": self.cores,
            "kernel": self.kernel, "load_before": self.load,
        })
    }
}

/// The load averages of 1, 5 and 15 minutes.
pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// The value of the first line called `name`.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "model\t\t: 167\nmodel name\t: A processor: fast\n";
        assert_eq!(field(text, "model name"), Some("A processor: fast"));
        assert_eq!(field(text, "name"), None);
    }
}
