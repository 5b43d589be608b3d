//! The binary `mentor`.

use std::process::ExitCode;

/// A training step allocates and frees the same large buffers again and again. The system's allocator returns
/// them to the kernel each time, and page faults then take a fifth of a step; this one keeps them for a while.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    mentor_kernels::keep_freed_memory();
    mentor_cli::run(std::env::args_os())
}
