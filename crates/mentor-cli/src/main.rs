//! The binary `mentor`.

use std::process::ExitCode;

/// A training step allocates and frees the same large buffers again and again. The system's allocator returns
/// them to the kernel each time, and page faults then take a fifth of a step; this one keeps them for a
/// while.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    mentor_kernels::keep_freed_memory();
    // The thread that trains is one of Rayon's, so that it works on each part of a step instead of handing it
    // over and sleeping. An error would mean that there is a pool already, which serves as well.
    let _ = rayon::ThreadPoolBuilder::new().use_current_thread().build_global();
    mentor_cli::run(std::env::args_os())
}
