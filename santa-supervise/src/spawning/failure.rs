//! Why a start failed, in words with the remedy, and whether to try again.

use crate::machine::{Retry, SpawnFailure};
use crate::os::{StartError, Step};
use crate::plan::Blueprint;

/// The remedy for what passes.
pub(super) const AGAIN: &str = "retrying";

/// What time or another process may cure. A shortage that a limit of the
/// service's own may have made counts as its failure.
fn retry(limits: &santa_config::Limits, code: i32) -> Retry {
    let own_limit = match code {
        libc::EMFILE => limits.nofile.is_some(),
        libc::ENOMEM => limits.address_space.is_some(),
        libc::EAGAIN => limits.nproc.is_some(),
        libc::ENFILE | libc::ENOBUFS => false,
        libc::ETXTBSY => return Retry::Counted,
        _ => return Retry::Never,
    };
    if own_limit { Retry::Counted } else { Retry::Always }
}

/// A failed start in words, with the remedy.
#[must_use]
pub fn explain(blueprint: &Blueprint, found: StartError) -> SpawnFailure {
    let StartError { step, error } = found;
    let service = &blueprint.service;
    let code = error.raw_os_error().unwrap_or(0);
    let retry = retry(&service.limits, code);
    let directory = || service.directory.as_ref().map(|path| format!(" {}", path.display()));
    let (what, remedy) = match step {
        Step::Program => (
            format!(" {}", blueprint.command[0]),
            "check that it exists and is executable, and its interpreter too",
        ),
        Step::Directory => (directory().unwrap_or_default(), "check directory"),
        Step::User => (
            service.user.as_ref().map(|user| format!(" {user}")).unwrap_or_default(),
            "leave user out unless santa-supervise runs as root",
        ),
        Step::Limits => {
            (String::new(), "limits must not exceed the hard limits of santa-supervise")
        }
        Step::Notify => (
            String::new(),
            "check that the directory of control_socket exists and can be written to",
        ),
        _ if retry != Retry::Never => (String::new(), AGAIN),
        _ => (String::new(), "check the service's keys in the configuration"),
    };
    let remedy = if retry == Retry::Always { AGAIN } else { remedy };
    SpawnFailure {
        message: format!("cannot {}{what}: {error}; {remedy}", step.attempt()),
        retry,
        code: if code == libc::ENOENT { 127 } else { 126 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_that_a_limit_of_its_own_may_have_made_counts_against_a_service() {
        let none = santa_config::Limits {
            nofile: None,
            core: None,
            nproc: None,
            address_space: None,
            oom_score_adj: None,
        };
        let own = santa_config::Limits { nofile: Some(4), nproc: Some(1), ..none.clone() };
        for (limits, code, expected) in [
            (&none, libc::EMFILE, Retry::Always),
            (&none, libc::EAGAIN, Retry::Always),
            (&none, libc::ENOMEM, Retry::Always),
            (&own, libc::EMFILE, Retry::Counted),
            (&own, libc::EAGAIN, Retry::Counted),
            (&own, libc::ENOMEM, Retry::Always),
            (&own, libc::ENFILE, Retry::Always),
            (&none, libc::ETXTBSY, Retry::Counted),
            (&none, libc::ENOENT, Retry::Never),
            (&none, libc::EACCES, Retry::Never),
        ] {
            assert_eq!(retry(limits, code), expected, "{code}");
        }
    }
}
