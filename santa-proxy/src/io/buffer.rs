//! Read buffers that hold memory only while they hold bytes: an idle connection
//! keeps none, and one with the beginning of a head little more than that. The
//! blocks come from a pool of the worker's thread.

use std::cell::RefCell;

/// Size of a block. Large enough for a head and for efficient streaming.
pub(crate) const BLOCK: usize = 32 * 1024;
/// Bytes are read to the start of a cache line, which the kernel copies to faster.
const LINE: usize = 64;
/// Up to this many bytes are worth copying when no more arrive for the moment.
const FEW: usize = 1024;
/// Blocks kept for reuse by one worker.
const KEPT: usize = 64;

thread_local! {
    static BLOCKS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static HEADS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

fn take_block() -> Vec<u8> {
    BLOCKS.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; BLOCK + LINE])
}

fn recycle_block(block: Vec<u8>) {
    if block.len() == BLOCK + LINE {
        BLOCKS.with_borrow_mut(|blocks| {
            if blocks.len() < KEPT {
                blocks.push(block);
            }
        });
    }
}

/// An empty vector with capacity left over from earlier use, for heads.
pub(crate) fn take_vec() -> Vec<u8> {
    HEADS.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(1024))
}

/// Keeps a vector for reuse.
pub(crate) fn recycle_vec(mut vec: Vec<u8>) {
    vec.clear();
    if vec.capacity() <= BLOCK {
        HEADS.with_borrow_mut(|heads| {
            if heads.len() < KEPT {
                heads.push(vec);
            }
        });
    }
}

/// Bytes that were read and not yet used.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    block: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// The bytes not yet used.
    pub(crate) fn filled(&self) -> &[u8] {
        &self.block[self.start..self.end]
    }

    /// The same, to be decoded in place.
    pub(crate) fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.block[self.start..self.end]
    }

    /// Whether nothing is waiting to be used.
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Marks `count` bytes at the front as used.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.is_empty() {
            self.rewind();
        }
    }

    /// Room to read into; makes some when there is none.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.block.is_empty() {
            self.block = take_block();
            self.rewind();
        } else if self.block.len() < BLOCK {
            self.widen();
        } else if self.end == self.block.len() {
            let origin = self.origin();
            if self.start > origin {
                self.block.copy_within(self.start..self.end, origin);
                self.end -= self.start - origin;
                self.start = origin;
            } else {
                let longer = self.block.len() * 2;
                self.block.resize(longer, 0);
            }
        }
        &mut self.block[self.end..]
    }

    /// Takes a whole block for the few bytes it holds.
    #[cold]
    fn widen(&mut self) {
        let few = std::mem::replace(&mut self.block, take_block());
        let (start, end) = (self.start, self.end);
        self.rewind();
        self.block[self.start..][..end - start].copy_from_slice(&few[start..end]);
        self.end += end - start;
    }

    /// The first byte of the block that starts a cache line; 0 while there is none.
    fn origin(&self) -> usize {
        self.block.as_ptr().align_offset(LINE).min(self.block.len())
    }

    fn rewind(&mut self) {
        self.start = self.origin();
        self.end = self.start;
    }

    /// Marks `count` bytes of the space as filled.
    pub(crate) fn fill(&mut self, count: usize) {
        self.end = (self.end + count).min(self.block.len());
    }

    /// Adds bytes from elsewhere.
    pub(crate) fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = self.space();
            let count = space.len().min(bytes.len());
            let (now, later) = bytes.split_at(count);
            space[..count].copy_from_slice(now);
            self.fill(count);
            bytes = later;
        }
    }

    /// Reduces the memory to what the few bytes in it need, while no more arrive.
    pub(crate) fn shrink(&mut self) {
        self.release();
        if self.filled().len() <= FEW && self.block.len() > FEW {
            let few = self.filled().to_vec();
            (self.start, self.end) = (0, few.len());
            recycle_block(std::mem::replace(&mut self.block, few));
        }
    }

    /// Frees the memory while nothing is in it.
    pub(crate) fn release(&mut self) {
        if self.is_empty() && !self.block.is_empty() {
            recycle_block(std::mem::take(&mut self.block));
            self.start = 0;
            self.end = 0;
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        recycle_block(std::mem::take(&mut self.block));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_order_and_room_is_always_made() {
        let mut buffer = Buffer::default();
        let mut next_in = 0u8;
        let mut next_out = 0u8;
        for round in 0..200usize {
            let space = buffer.space();
            assert!(!space.is_empty());
            let count = space.len().min(777);
            for byte in &mut space[..count] {
                *byte = next_in;
                next_in = next_in.wrapping_add(1);
            }
            buffer.fill(count);
            let used = buffer.filled().len().min(round * 7);
            for byte in &buffer.filled()[..used] {
                assert_eq!(*byte, next_out);
                next_out = next_out.wrapping_add(1);
            }
            buffer.consume(used);
        }
    }

    #[test]
    fn using_up_nothing_needs_no_memory() {
        let mut buffer = Buffer::default();
        buffer.consume(0);
        assert!(buffer.filled().is_empty() && buffer.block.is_empty());
    }

    #[test]
    fn a_few_bytes_hold_little_memory_and_stay_where_more_are_added() {
        let mut buffer = Buffer::default();
        let mut expected = Vec::new();
        for round in 0..200u8 {
            let piece = vec![round; usize::from(round) % 37];
            buffer.append(&piece);
            expected.extend_from_slice(&piece);
            buffer.shrink();
            assert!(buffer.block.len() <= FEW || expected.len() > FEW);
            assert_eq!(buffer.filled(), expected);
            if round % 5 == 0 {
                let used = expected.len().min(usize::from(round));
                buffer.consume(used);
                expected.drain(..used);
                buffer.shrink();
                assert_eq!(buffer.filled(), expected);
            }
        }
    }

    #[test]
    fn an_empty_buffer_holds_no_memory_after_release() {
        let mut buffer = Buffer::default();
        buffer.space();
        buffer.fill(3);
        buffer.release();
        assert_eq!(buffer.filled().len(), 3);
        buffer.consume(3);
        buffer.release();
        assert!(buffer.block.is_empty());
    }
}
