//! Which instructions a kernel uses, chosen at run time.

use std::cell::Cell;

/// A set of vector instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// What the compiler makes of plain Rust for the target: SSE2 or NEON.
    Portable,
    /// AVX2 and FMA: eight lanes, sixteen registers.
    Avx2,
    /// AVX-512F: sixteen lanes, thirty-two registers.
    Avx512,
}

impl Level {
    /// All levels that this machine can run, the slowest first.
    #[must_use]
    pub fn available() -> Vec<Level> {
        [Level::Portable, Level::Avx2, Level::Avx512].into_iter().filter(|level| level.exists()).collect()
    }

    /// The level that kernels called on this thread use: the machine's best, or what [`with_level`] asked
    /// for.
    #[must_use]
    pub fn current() -> Level {
        FORCED.get().unwrap_or_else(best)
    }

    /// Whether this machine can run it.
    pub fn exists(self) -> bool {
        self <= best()
    }

    /// Of the levels up to this one, that with the shortest vector that holds `count` values: on a longer one
    /// a short row costs as much as a long one. This level if none does.
    pub fn narrowest(self, count: usize) -> Level {
        let levels = [Level::Portable, Level::Avx2, Level::Avx512].into_iter();
        levels.filter(|level| *level <= self).find(|level| level.lanes() >= count).unwrap_or(self)
    }

    /// Values in a vector.
    pub fn lanes(self) -> usize {
        match self {
            Level::Portable => 4,
            Level::Avx2 => 8,
            Level::Avx512 => 16,
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn best() -> Level {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    match avx2 {
        true if is_x86_feature_detected!("avx512f") => Level::Avx512,
        true => Level::Avx2,
        false => Level::Portable,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn best() -> Level {
    Level::Portable
}

thread_local! {
    static FORCED: Cell<Option<Level>> = const { Cell::new(None) };
}

/// Runs `work` with `level` for the kernels that this thread calls: for tests and measurements.
///
/// # Panics
///
/// If the machine lacks the level.
pub fn with_level<R>(level: Level, work: impl FnOnce() -> R) -> R {
    struct Restore(Option<Level>);
    impl Drop for Restore {
        fn drop(&mut self) {
            FORCED.set(self.0);
        }
    }
    assert!(level.exists(), "this machine has no {level:?}");
    let _restore = Restore(FORCED.replace(Some(level)));
    work()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_forced_on_one_thread_and_only_inside() {
        let best = Level::current();
        with_level(Level::Portable, || {
            assert_eq!(Level::current(), Level::Portable);
            assert_eq!(std::thread::spawn(Level::current).join().unwrap(), best);
        });
        assert_eq!(Level::current(), best);
        assert_eq!(Level::available().last(), Some(&best));
    }
}
