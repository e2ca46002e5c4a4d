//! Joins the small pages of a file in memory into large ones. Sending from a file
//! takes hold of every page by itself: of 256 for 1 MiB, or of one.

use std::fs::File;
use std::io;
use std::ptr;

use libc::{c_int, c_void};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

/// Size of a large page, bytes. Where the kernel has others it declines.
const LARGE: usize = 2 * 1024 * 1024;
/// Not in every C library: <linux/mman.h>, since Linux 6.1.
const MADV_COLLAPSE: c_int = 25;

/// Asks for large pages under the first `len` bytes. The file is longer afterwards, up
/// to a whole page: cut off what is too much, and the kernel frees it again.
///
/// # Errors
/// When the kernel is too old, or has no large page left; the content is untouched.
pub(super) fn join(file: &File, len: usize) -> io::Result<()> {
    let whole = len.next_multiple_of(LARGE);
    file.set_len(whole as u64)?;
    let room = Reserved::new(whole + LARGE)?;
    room.collapse(file, whole)
}

/// A part of the address space in which nothing lies yet.
struct Reserved {
    start: *mut c_void,
    len: usize,
}

impl Reserved {
    #[expect(unsafe_code, reason = "there is no safe call for a mapping")]
    fn new(len: usize) -> io::Result<Self> {
        // SAFETY: the kernel picks an unused range, and nobody can read or write it.
        let start =
            unsafe { mmap_anonymous(ptr::null_mut(), len, ProtFlags::empty(), MapFlags::PRIVATE) }?;
        Ok(Self { start, len })
    }

    /// Maps the file at the first address that a large page can have, and joins its pages.
    #[expect(unsafe_code, reason = "there is no safe call for advice about a mapping")]
    fn collapse(&self, file: &File, whole: usize) -> io::Result<()> {
        let skipped = self.start.addr().next_multiple_of(LARGE) - self.start.addr();
        let at = self.start.wrapping_byte_add(skipped);
        // SAFETY: `at` is less than one large page behind `start`, and there is room
        // for one more than `whole`; what is replaced is our own and unused.
        // The new mapping is not read either.
        let done = unsafe {
            mmap(at, whole, ProtFlags::READ, MapFlags::SHARED | MapFlags::FIXED, file, 0)?;
            libc::madvise(at, whole, MADV_COLLAPSE)
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for Reserved {
    #[expect(unsafe_code, reason = "there is no safe call to end a mapping")]
    fn drop(&mut self) {
        // SAFETY: the range is ours, and no reference into it was ever made.
        let ended = unsafe { munmap(self.start, self.len) };
        debug_assert!(ended.is_ok(), "{ended:?}");
    }
}
