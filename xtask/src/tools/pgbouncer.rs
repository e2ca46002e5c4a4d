//! PgBouncer, which the backend's tests put in front of PostgreSQL.

use std::path::Path;

use anyhow::Result;

use super::system;
use crate::run;

const NAME: &str = "pgbouncer";
/// Where Debian has it; not every PATH has that folder.
const DEBIAN: &str = "/usr/sbin/pgbouncer";

/// Installs it from the system's packages where that is possible; elsewhere the tests
/// that need it say so.
pub(crate) fn ensure_installed() -> Result<()> {
    let found = run::find(NAME).is_some() || Path::new(DEBIAN).exists();
    if !found && system::installs() {
        system::install("PgBouncer", &[NAME])?;
    }
    Ok(())
}
