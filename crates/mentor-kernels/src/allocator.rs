//! How long the allocator keeps memory that was freed.

use std::ffi::{c_int, c_long};

// Its static library holds the functions below; its own declarations of them need one more crate.
use libmimalloc_sys as _;

/// `mi_option_purge_delay` of mimalloc 3: milliseconds until freed pages go back to the system. A test checks
/// the number by its default.
const PURGE_DELAY: c_int = 15;
/// Pages that a step freed are there for the next one, and a program that waits still gives them back.
const MILLISECONDS: c_long = 10_000;

unsafe extern "C" {
    fn mi_option_set_default(option: c_int, value: c_long);
}

/// Lets mimalloc, where it is the global allocator, keep freed memory for ten seconds instead of one.
///
/// Every training step frees what the next one allocates. Once a second mimalloc would hand all of that to
/// the system, and each page of it would be faulted in and cleared anew. `MIMALLOC_PURGE_DELAY` in the
/// environment (milliseconds; −1 for ever) takes precedence. Call it first in `main`, before there are other
/// threads: mimalloc does not guard its options against them.
pub fn keep_freed_memory() {
    // SAFETY: the function is mimalloc's, with this signature in `mimalloc.h`; it checks the option's number.
    // It stores a word without a lock, which the caller keeps other threads from reading meanwhile.
    unsafe { mi_option_set_default(PURGE_DELAY, MILLISECONDS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        fn mi_option_get(option: c_int) -> c_long;
    }

    #[test]
    fn the_option_is_the_delay_and_takes_the_value() {
        // SAFETY: as in `keep_freed_memory`.
        let get = || unsafe { mi_option_get(PURGE_DELAY) };
        assert_eq!(get(), 1000, "mimalloc 3 waits a second by default");
        keep_freed_memory();
        assert_eq!(get(), MILLISECONDS);
    }
}
