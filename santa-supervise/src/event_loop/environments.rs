//! Which service the orphans come from that became our children. Where processes
//! carry no mark, only their environment shows it, and a worker reads that.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::RawFd;

use crate::os::{self, Orphans, Pid};

use super::EventLoop;
use super::jobs::Job;

impl EventLoop {
    /// Processes that became ours when their parents ended.
    pub(super) fn orphans(&mut self) -> Orphans {
        let mut known = self.processes.children.mains();
        known.extend(self.processes.helpers.pids());
        known.extend(self.processes.guarding.pid());
        let orphans = self.io.os_mut().orphans(&known);
        self.read_environments(orphans.unread());
        orphans
    }

    /// Lets a worker find out where orphans without a mark come from.
    fn read_environments(&mut self, pids: &[Pid]) {
        if pids.is_empty() || self.processes.jobs.read_environments() {
            return;
        }
        let read = |output: &mut File, _: &[RawFd]| {
            for pid in pids {
                let tag = serde_json::to_string(&os::environment_tag(*pid)).unwrap_or_default();
                // Each at once: the next one may hang. Without santa-supervise nobody reads it.
                let _ = writeln!(output, "{tag}");
            }
        };
        if let Err(error) = self.start_job(Job::ReadEnvironments(pids.to_vec()), &[], &read) {
            self.warn(&format!("cannot find out which service orphans belong to: {error}"));
            pids.iter().for_each(|pid| self.io.os_mut().learn(*pid, None));
        }
    }

    /// Takes in where orphans come from. The first one without an answer has hung; it
    /// may belong to any service.
    pub(super) fn environments_read(&mut self, pids: &[Pid], text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        let answers = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let answers = answers.map(|line| serde_json::from_str(line).unwrap_or(None));
        for (pid, tag) in pids.iter().zip(answers.chain([None::<String>])) {
            self.io.os_mut().learn(*pid, tag.as_deref());
        }
        self.processes.children.sweep_soon();
    }
}
