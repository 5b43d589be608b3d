//! What a layer allocates once its working memory exists: its results, and nothing else that is large.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use burn::tensor::{Device, Tensor};

/// From this size on an allocation counts: it may be pages that are faulted in and cleared.
const LARGE: usize = 64 << 10;
static LARGE_ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGE_ALLOCATIONS.fetch_add(usize::from(layout.size() >= LARGE), Relaxed);
        // SAFETY: the caller's conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's conditions.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Large allocations of the third call, on one thread.
fn large_allocations(call: impl Fn() + Sync) -> usize {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        (0..2).for_each(|_| call());
        let before = LARGE_ALLOCATIONS.load(Relaxed);
        call();
        LARGE_ALLOCATIONS.load(Relaxed) - before
    })
}

// One test, because the count is that of the process.
#[test]
fn layers_allocate_their_results_and_nothing_else_that_is_large() {
    let device = Device::flex();
    let ones = |shape: [usize; 2], device: &Device| Tensor::<2>::ones(shape, device);
    let (x, w) = (ones([256, 384], &device), ones([384, 128], &device));
    let bias = Tensor::<1>::ones([128], &device);
    let dense = |call: fn(Tensor<2>, Tensor<2>, Tensor<1>) -> Tensor<2>| {
        large_allocations(|| drop(call(x.clone(), w.clone(), bias.clone())))
    };
    assert_eq!(dense(mentor_kernels::linear), 1);
    assert_eq!(dense(mentor_kernels::linear_relu), 1);
    // The GELU of x, which is freed again.
    assert_eq!(dense(mentor_kernels::gelu_linear), 2);
    let rows = Tensor::<3>::ones([4, 64, 384], &device);
    assert_eq!(large_allocations(|| drop(mentor_kernels::attention(rows.clone(), 2))), 1);
    let gamma = Tensor::<1>::ones([384], &device);
    let norm = || mentor_kernels::layer_norm(rows.clone(), gamma.clone(), gamma.clone(), 1e-6);
    assert_eq!(large_allocations(|| drop(norm())), 1);

    let device = device.autodiff();
    let (x, w) = (ones([256, 384], &device).require_grad(), ones([384, 128], &device).require_grad());
    let step = || {
        let bias = Tensor::<1>::ones([128], &device).require_grad();
        drop(mentor_kernels::linear_relu(x.clone(), w.clone(), bias).sum().backward());
    };
    // The output, its gradient, and the gradients of x and w.
    assert_eq!(large_allocations(step), 4);
}
