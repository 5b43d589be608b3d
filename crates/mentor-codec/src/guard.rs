//! Keeps a panic of a decoder, or of another reader of files, from going further.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::fault::{Fault, one_line};

thread_local! {
    /// Whether this thread is inside a reader: then the panic hook is silent.
    static READING: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// Runs a reader of somebody else's library on this thread. The error is what it panicked with, on one line.
///
/// Nothing is printed about a panic: the panic hook of the process is wrapped once, and is silent only while
/// `read` runs on the thread that panics. Whatever `read` changes outside of it is not to be used after one.
///
/// ```
/// assert_eq!(mentor_codec::catch_panic(|| 5), Ok(5));
/// let empty: Vec<u8> = Vec::new();
/// assert!(mentor_codec::catch_panic(|| empty[3]).unwrap_err().starts_with("index out of bounds"));
/// ```
pub fn catch_panic<T>(read: impl FnOnce() -> T) -> Result<T, String> {
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !READING.get() {
                print(info);
            }
        }));
    });
    let outer = READING.replace(true);
    // What the reader held is dropped, so nothing half changed is seen afterwards.
    let result = panic::catch_unwind(AssertUnwindSafe(read));
    READING.set(outer);
    result.map_err(|payload| reason(&*payload))
}

/// As [`catch_panic`], of a decoder: a panic is a fault of the file.
pub(crate) fn guarded<T>(decode: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    let failed = |reason| Err(Fault::Damaged(format!("its decoder failed on it ({reason})")));
    catch_panic(decode).unwrap_or_else(failed)
}

fn reason(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    one_line(&text.or(payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_fault_and_the_next_file_is_decoded() {
        let empty: Vec<u8> = Vec::new();
        let fault = guarded(|| Ok(empty[3])).unwrap_err();
        assert!(fault.to_string().contains("its decoder failed on it (index out of bounds"), "{fault}");
        assert_eq!(guarded(|| Ok(5)), Ok(5));
        assert!(!READING.get());
        // On another thread as well, whose flag is its own.
        let other = std::thread::spawn(|| guarded(|| -> Result<u8, Fault> { panic!("two\nlines") }));
        assert_eq!(
            other.join().unwrap(),
            Err(Fault::Damaged("its decoder failed on it (two lines)".to_owned()))
        );
    }
}
