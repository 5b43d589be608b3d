//! Working memory that a thread keeps, so that a step that repeats allocates nothing.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// One cache line, for its alignment.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

thread_local! {
    /// Buffers that nobody on this thread uses at the moment.
    static FREE: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// `f32` values at the start of a cache line, left over from earlier use: the contents are arbitrary numbers.
///
/// A buffer goes back to its thread when dropped. A thread keeps as many as it ever had at once.
pub(crate) struct Scratch {
    lines: Vec<Line>,
    len: usize,
}

impl Scratch {
    /// A buffer of `len` values: the smallest kept one that is large enough, or else the largest, which
    /// grows.
    pub(crate) fn take(len: usize) -> Self {
        let count = len.div_ceil(16);
        let mut lines = FREE.with_borrow_mut(|free| {
            let fits = (0..free.len()).filter(|&i| free[i].len() >= count).min_by_key(|&i| free[i].len());
            let chosen = fits.or_else(|| (0..free.len()).max_by_key(|&i| free[i].len()));
            chosen.map(|i| free.swap_remove(i)).unwrap_or_default()
        });
        if lines.len() < count {
            // A new buffer, because growing would copy what nobody reads.
            lines = vec![Line([0.0; 16]); count];
        }
        Self { lines, len }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        // At the end of a thread the list may be gone; then the buffer is freed.
        let _ = FREE.try_with(|free| free.borrow_mut().push(lines));
    }
}

impl Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: `Line` is sixteen `f32` without padding, all initialised, and `len` is at most their
        // number.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`; the lines are borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_kept_aligned_and_given_out_once() {
        let (first, second) = (Scratch::take(100), Scratch::take(100));
        assert_ne!(first.as_ptr(), second.as_ptr());
        assert_eq!([first.as_ptr() as usize % 64, second.as_ptr() as usize % 64, first.len()], [0, 0, 100]);
        let place = first.as_ptr();
        drop(first);
        assert_eq!(Scratch::take(40).as_ptr(), place);
    }
}
