//! `--with-parent`: the process that started us holds the other end of our standard
//! input, so it is closed when they end, however they end.

use std::io;
use std::os::fd::BorrowedFd;

use crate::machine::Event;
use crate::os::{Interest, Token};

use super::EventLoop;
use super::io::Source;

impl EventLoop {
    /// Ends everything in order as soon as standard input is closed.
    ///
    /// # Errors
    /// Standard input cannot be waited on, as with a regular file.
    pub fn follow_parent(&mut self) -> io::Result<()> {
        self.io.watch(rustix::stdio::stdin(), Interest::Read, Source::Parent).map(drop)
    }

    pub(super) fn look_at_parent(&mut self, token: Token) {
        let input: BorrowedFd<'_> = rustix::stdio::stdin();
        // What is said there means nothing; only the end counts.
        match rustix::io::read(input, &mut [0; 256]) {
            Ok(0) | Err(_) => {
                self.io.forget(input, token);
                let why = "the parent process has ended".to_owned();
                self.core.push(Event::Terminate { why });
            }
            Ok(_) => {}
        }
    }
}
