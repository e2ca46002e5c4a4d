//! Reads small regular files; pipes and devices are refused.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The largest configuration, in bytes.
pub(crate) const LARGEST_CONFIG: u64 = 1024 * 1024;

/// Why a file cannot be used.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// The system's refusal.
    Refused(io::Error),
    /// It is a pipe, a device, a folder or a socket.
    NotRegular,
    /// It has more bytes than this.
    TooLarge(u64),
}

/// Reads a regular file and no more of it than `largest` bytes: a pipe would wait
/// for whoever fills it, a device may never end. A mount that hangs still holds
/// up the caller.
pub(crate) fn read_regular(path: &Path, largest: u64) -> Result<Vec<u8>, Unusable> {
    let regular = |about: fs::Metadata| match about.is_file() {
        true => Ok(()),
        false => Err(Unusable::NotRegular),
    };
    // Before it is opened, because opening some devices has side effects; and
    // again, because the file may have been replaced by then.
    regular(fs::metadata(path).map_err(Unusable::Refused)?)?;
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let mut options = fs::OpenOptions::new();
    let options = options.read(true).custom_flags(flags.bits().cast_signed());
    let file = options.open(path).map_err(Unusable::Refused)?;
    regular(file.metadata().map_err(Unusable::Refused)?)?;
    let mut bytes = Vec::new();
    file.take(largest + 1).read_to_end(&mut bytes).map_err(Unusable::Refused)?;
    if bytes.len() as u64 > largest {
        return Err(Unusable::TooLarge(largest));
    }
    Ok(bytes)
}
