//! The environment that a configuration is read against.

use std::collections::BTreeMap;

/// Variables by name. Passed in rather than looked up, so that a test or the
/// development loop can read the file as another process would.
pub type Env = BTreeMap<String, String>;

/// A snapshot of this process's environment; names and values that are not
/// UTF-8 are left out.
#[must_use]
pub fn process_env() -> Env {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
