//! Keeps a panic of a decoder inside this crate.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::fault::{Fault, one_line};

thread_local! {
    /// Whether this thread is inside a decoder: then the panic hook is silent.
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// Runs a decoder on this thread. A panic becomes a fault of the file, and nothing is printed about it: the
/// panic hook of the process is wrapped once, and is silent only while `decode` runs on the thread that
/// panics.
pub(crate) fn catch_panic<T>(decode: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !DECODING.get() {
                print(info);
            }
        }));
    });
    DECODING.set(true);
    // What the decoder held is dropped, so nothing half changed is seen afterwards.
    let result = panic::catch_unwind(AssertUnwindSafe(decode));
    DECODING.set(false);
    result.unwrap_or_else(|payload| {
        Err(Fault::Damaged(format!("its decoder failed on it ({})", reason(&*payload))))
    })
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
        let fault = catch_panic(|| Ok(empty[3])).unwrap_err();
        assert!(fault.to_string().contains("its decoder failed on it (index out of bounds"), "{fault}");
        assert_eq!(catch_panic(|| Ok(5)), Ok(5));
        assert!(!DECODING.get());
        // On another thread as well, whose flag is its own.
        let other = std::thread::spawn(|| catch_panic(|| -> Result<u8, Fault> { panic!("two\nlines") }));
        assert_eq!(
            other.join().unwrap(),
            Err(Fault::Damaged("its decoder failed on it (two lines)".to_owned()))
        );
    }
}
