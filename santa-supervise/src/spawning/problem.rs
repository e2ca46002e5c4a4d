//! Why something cannot be started, and whether that passes.

use std::io;

use super::failure::AGAIN;
use crate::machine::{Retry, SpawnFailure};
use crate::os::is_shortage;

/// What a child finds out on its way to its program. The limits of the service
/// are not set yet, so a shortage is that of everybody.
#[derive(Debug)]
pub struct Problem {
    message: String,
    passes: bool,
}

impl Problem {
    /// One that stays until someone changes something.
    pub fn lasting(message: String) -> Self {
        Self { message, passes: false }
    }

    /// A refusal of the system's, with what to do where it does not pass.
    pub(super) fn refused(error: &io::Error, remedy: &str) -> Self {
        if is_shortage(error) {
            return Self::shortage(error);
        }
        Self::lasting(format!("{error}; {remedy}"))
    }

    /// One that passes when others free what has run out.
    pub(super) fn shortage(error: &io::Error) -> Self {
        Self { message: format!("{error}; {AGAIN}"), passes: true }
    }

    /// A refusal of the system's that speaks for itself.
    pub fn of(error: &io::Error) -> Self {
        Self { message: error.to_string(), passes: is_shortage(error) }
    }

    /// Whether what has run out is to blame, rather than what was to be started.
    pub fn passes(&self) -> bool {
        self.passes
    }

    /// In words.
    pub fn into_message(self) -> String {
        self.message
    }

    /// Puts before it what it is about.
    pub(super) fn about(self, what: &str) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }

    /// As the failure of a start; `code` stands for it if it does not pass.
    pub(super) fn failure(self, code: i32) -> SpawnFailure {
        let retry = if self.passes { Retry::Always } else { Retry::Never };
        let code = if self.passes { 126 } else { code };
        SpawnFailure { message: self.message, retry, code }
    }
}

impl From<SpawnFailure> for Problem {
    fn from(failure: SpawnFailure) -> Self {
        Self { message: failure.message, passes: failure.retry == Retry::Always }
    }
}
