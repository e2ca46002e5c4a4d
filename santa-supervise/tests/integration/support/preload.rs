//! Libraries that stand before the C library's in the santa-supervise of a test.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Supervisor, text};

/// Compiles `support/NAME.rs` into the directory of a supervisor.
fn build(supervisor: &Supervisor, name: &str) -> PathBuf {
    let library = supervisor.path(&format!("{name}.so"));
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/support");
    let source = Path::new(folder).join(name).with_extension("rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let built = Command::new(rustc)
        .args(["--edition=2024", "--crate-type=cdylib", "-o"])
        .args([&library, &source])
        .output()
        .expect("rustc runs");
    assert!(built.status.success(), "{}", text(&built.stderr));
    library
}

/// Puts the odd clock into a supervisor; gives the file for its orders.
pub(crate) fn with_odd_clock(supervisor: Supervisor) -> (Supervisor, PathBuf) {
    let (library, orders) = (build(&supervisor, "odd_clock"), supervisor.path("orders"));
    (supervisor.setting("LD_PRELOAD", &library).setting("ODD_CLOCK", &orders), orders)
}

/// Lets everything below `DIR/hung` and the look-up of users fail, as long as the
/// file that is given holds the number of an error.
pub(crate) fn with_scarce_files(supervisor: Supervisor) -> (Supervisor, PathBuf) {
    let orders = supervisor.path("orders");
    (with_hung_files(supervisor).setting("SHORTAGE", &orders), orders)
}

/// Lets everything below `DIR/hung` hang, and the user `hung`.
pub(crate) fn with_hung_files(supervisor: Supervisor) -> Supervisor {
    let (library, folder) = (build(&supervisor, "hung_files"), supervisor.path("hung"));
    supervisor.setting("LD_PRELOAD", &library).setting("HUNG", &folder)
}
