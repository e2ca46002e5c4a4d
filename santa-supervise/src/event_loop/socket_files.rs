//! The files of listening sockets: one that someone removes is bound again; those
//! no longer needed are removed, at the end all of them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use santa_config::Address;

use crate::os;
use crate::sockets::{Batch, Bound, FileTask, SocketFile, ToBind};

use super::EventLoop;
use super::control::{CONTROL_BACKLOG, CONTROL_MODE};
use super::jobs::Job;

/// The result of a check of a file.
const THERE: u8 = b'.';
const LOST: u8 = b'l';

/// How long the files may take to be removed at the end.
const LAST_FILE_TASKS: Duration = Duration::from_secs(2);

impl EventLoop {
    /// Looks for files that someone has removed. Who served such a socket needs a
    /// new process to get the new one.
    pub(super) fn look_for_lost_sockets(&mut self, now: Instant) {
        if !self.sockets.is_time_to_look(now) || self.processes.jobs.look_for_lost() {
            return;
        }
        let (addresses, files): (Vec<Address>, Vec<SocketFile>) =
            self.socket_files().into_iter().unzip();
        if files.is_empty() {
            return;
        }
        let look = |file: &SocketFile| if file.is_lost() { LOST } else { THERE };
        let begun = self.start_job(Job::LookForLost(addresses), &[], &|output, _| {
            // Without santa-supervise nobody reads it.
            let _ = output.write_all(&files.iter().map(look).collect::<Vec<_>>());
        });
        if let Err(error) = begun {
            self.warn(&format!("cannot check whether sockets were removed: {error}"));
        }
    }

    fn socket_files(&self) -> BTreeMap<Address, SocketFile> {
        let mut files = self.sockets.files();
        if let Some(file) = self.control.file() {
            files.insert(self.control.address(), file);
        }
        files
    }

    /// Binds again what is lost.
    pub(super) fn looked_for_lost(&mut self, addresses: Vec<Address>, marks: &[u8]) {
        let lost = addresses.into_iter().zip(marks).filter(|(_, word)| **word == LOST);
        let wanted: Vec<ToBind> =
            lost.filter_map(|(address, _)| self.to_bind_again(address)).collect();
        if wanted.is_empty() {
            return;
        }
        let begun = Batch::new(wanted).and_then(|batch| {
            let (fds, binder) = (batch.fds(), batch.binder());
            self.start_job(Job::BindLost(batch), &fds, &|output, fds| binder.bind(fds, output))
        });
        if let Err(error) = begun {
            self.warn(&format!("sockets that were removed cannot be bound again: {error}"));
        }
    }

    fn to_bind_again(&self, address: Address) -> Option<ToBind> {
        match address {
            Address::Unix(path) if Address::Unix(path.clone()) == self.control.address() => {
                Some(ToBind { path, mode: CONTROL_MODE, backlog: CONTROL_BACKLOG })
            }
            address => self.sockets.to_bind_again(&address),
        }
    }

    /// Takes over what was bound again.
    pub(super) fn bound_again(&mut self, bound: Bound) {
        for (address, bound) in bound {
            let bound = if address == self.control.address() {
                bound.and_then(|listener| self.control.renew(&mut self.io, listener))
            } else {
                bound.map(|listener| {
                    if self.sockets.renew(&address, listener) {
                        self.replace_servers(&address);
                    }
                })
            };
            if let Err(problem) = bound {
                self.warn(&format!(
                    "{address} was removed by another process and cannot be bound again: {problem}"
                ));
            }
        }
        self.run_file_tasks();
    }

    /// Lets a process do what files need and nobody waits for.
    pub(super) fn run_file_tasks(&mut self) {
        let file_tasks = self.sockets.take_file_tasks();
        if file_tasks.is_empty() {
            return;
        }
        let file_tasks: Rc<[FileTask]> = file_tasks.into();
        let work = |_: &mut _, _: &[_]| file_tasks.iter().for_each(FileTask::perform);
        if let Err(error) = self.start_job(Job::FileTasks(Rc::clone(&file_tasks)), &[], &work) {
            self.warn(&format!("cannot remove the files of unused sockets: {error}"));
        }
    }

    /// Removes all files of sockets: the end.
    pub fn remove_socket_files(&mut self) {
        let mut file_tasks = self.sockets.take_file_tasks();
        file_tasks.extend(self.processes.jobs.file_tasks().cloned());
        file_tasks.extend(self.socket_files().into_values().map(FileTask::Remove));
        file_tasks.extend(self.monitors.notify.paths().into_iter().map(FileTask::RemovePath));
        if file_tasks.is_empty() {
            return;
        }
        let work = |_: &mut _, _: &[_]| file_tasks.iter().for_each(FileTask::perform);
        // Where there is no room for a process they stay; the next start takes
        // them over.
        let Ok(worker) = os::fork_worker(&[], &work) else { return };
        let until = Instant::now() + LAST_FILE_TASKS;
        let mut end = [PollFd::new(&worker.output, PollFlags::IN)];
        // A signal (there are some at the end) only interrupts the wait.
        loop {
            let left = Timespec::try_from(until.saturating_duration_since(Instant::now()));
            if poll(&mut end, left.ok().as_ref()) != Err(Errno::INTR) {
                break;
            }
        }
        worker.kill();
    }
}
