//! The bytes of one representation: small ones in memory, large ones in a
//! sealed file without a name, from which the kernel sends them without a copy.
//! Either way they are those that were read, whatever happens on disk.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// From this size on a system call of its own is cheaper than copying; at 8 KiB
/// both cost the same.
const LARGE: usize = 12 * 1024;

/// From this size on huge pages are worth the milliseconds that they cost at the start.
#[cfg(target_os = "linux")]
const HUGE: usize = 512 * 1024;

/// The bytes of one representation.
#[derive(Debug)]
pub(crate) enum Content {
    /// In memory.
    Memory(Box<[u8]>),
    /// In a file that cannot be changed.
    File {
        /// The file.
        file: File,
        /// Its length.
        len: usize,
    },
}

/// A part of a representation.
#[derive(Debug)]
pub(crate) enum Part<'s> {
    /// In memory.
    Memory(&'s [u8]),
    /// In a file.
    File(&'s File, Range<u64>),
}

impl Content {
    /// Keeps `bytes`.
    ///
    /// # Errors
    /// When there is no memory or descriptor for them.
    pub(crate) fn keep(bytes: Vec<u8>) -> io::Result<Self> {
        if bytes.len() >= LARGE
            && let Some(file) = seal(&bytes)?
        {
            return Ok(Self::File { file, len: bytes.len() });
        }
        Ok(Self::Memory(bytes.into_boxed_slice()))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Memory(bytes) => bytes.len(),
            Self::File { len, .. } => *len,
        }
    }

    /// Those at `range`, which lies within.
    pub(crate) fn part(&self, range: Range<usize>) -> Part<'_> {
        match self {
            Self::Memory(bytes) => Part::Memory(bytes.get(range).unwrap_or_default()),
            Self::File { file, .. } => Part::File(file, range.start as u64..range.end as u64),
        }
    }
}

/// A file in memory with `bytes` that can no longer change.
#[cfg(target_os = "linux")]
fn seal(bytes: &[u8]) -> io::Result<Option<File>> {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(memfd_create("console", flags)?);
    file.write_all_at(bytes, 0)?;
    if bytes.len() >= HUGE {
        // Without huge pages it works as well, only slower.
        let _ = super::huge_pages::collapse(&file, bytes.len());
        file.set_len(bytes.len() as u64)?;
    }
    let all = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&file, all)?;
    Ok(Some(file))
}

/// Other systems keep everything in memory.
#[cfg(not(target_os = "linux"))]
fn seal(_bytes: &[u8]) -> io::Result<Option<File>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_content_reads_the_same() {
        for len in [0, 1, LARGE - 1, LARGE, LARGE * 3 + 7, 5 << 20] {
            let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            let content = Content::keep(bytes.clone()).expect("kept");
            assert_eq!(content.len(), len);
            for range in [0..len, len / 3..len / 2, len..len] {
                let part = match content.part(range.clone()) {
                    Part::Memory(part) => part.to_vec(),
                    Part::File(file, range) => {
                        let mut part = vec![0; (range.end - range.start) as usize];
                        file.read_exact_at(&mut part, range.start).expect("read");
                        part
                    }
                };
                assert!(part == bytes[range]);
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn content_in_huge_pages_takes_no_more_memory_than_it_needs() {
        use std::os::unix::fs::MetadataExt;
        let len = (3 << 20) + 1;
        let Content::File { file, .. } = Content::keep(vec![b'x'; len]).expect("kept") else {
            panic!("not in a file")
        };
        let metadata = file.metadata().expect("metadata");
        let page = rustix::param::page_size() as u64;
        assert_eq!(metadata.len(), len as u64);
        assert_eq!(metadata.blocks() * 512, metadata.len().next_multiple_of(page));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn large_content_cannot_change() {
        let Content::File { file, .. } = Content::keep(vec![b'x'; LARGE]).expect("kept") else {
            panic!("not in a file")
        };
        assert!(file.write_at(b"y", 0).is_err());
        assert!(file.set_len(1).is_err());
    }
}
