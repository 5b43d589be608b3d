//! The convolution kernels in GFLOP/s, beside the most that the machine's multiply-adds reach, and passes
//! over images in GB/s.
//!
//! `cargo bench -p mentor-kernels --bench kernels -- [--threads N] [--repeats N] [part of a name]…`: the
//! least time of the repeats counts. Without `--threads`, one and two threads are measured.
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::hint::black_box;
use std::time::Instant;

use mentor_kernels::conv::{ConvShape, conv2d_forward, conv2d_input_gradient, conv2d_weight_gradient};
use mentor_kernels::simd::Level;

mod passes;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Name, batch, channels in, rows and columns, channels out, kernel, stride, padding.
const SHAPES: [(&str, [usize; 7]); 12] = [
    ("cnn 28x28 1-32", [128, 1, 28, 32, 3, 1, 1]),
    ("cnn 28x28 32-64", [128, 32, 28, 64, 3, 1, 1]),
    ("cnn 14x14 64-128", [128, 64, 14, 128, 3, 1, 1]),
    ("wrn 32x32 3-16", [64, 3, 32, 16, 3, 1, 1]),
    ("wrn 32x32 16-32", [64, 16, 32, 32, 3, 1, 1]),
    ("wrn 32x32 32-32", [64, 32, 32, 32, 3, 1, 1]),
    ("wrn 32x32 32-64 /2", [64, 32, 32, 64, 3, 2, 1]),
    ("wrn 16x16 64-64", [64, 64, 16, 64, 3, 1, 1]),
    ("wrn 16x16 64-128 /2", [64, 64, 16, 128, 3, 2, 1]),
    ("wrn 8x8 128-128", [64, 128, 8, 128, 3, 1, 1]),
    ("1x1 32x32 16-32", [64, 16, 32, 32, 1, 1, 0]),
    ("1x1 32x32 32-64 /2", [64, 32, 32, 64, 1, 2, 0]),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (mut threads, mut repeats, mut names) = (vec![1, 2], 10, Vec::new());
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|value| value.parse().ok()).expect("a number follows");
        match &argument[..] {
            "--threads" => threads = vec![number()],
            "--repeats" => repeats = number(),
            // What cargo adds.
            "--bench" => {}
            _ => names.push(argument),
        }
    }
    for threads in threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        let ceiling = pool.install(|| ceiling(threads, repeats));
        println!("{threads} thread(s), {:?}: multiply-adds reach {ceiling:.0} GFLOP/s", Level::current());
        println!(
            "{:20} {:>17} {:>17} {:>17}",
            "GFLOP/s (ms)", "forward", "input gradient", "weight gradient"
        );
        for (name, sizes) in SHAPES {
            if names.is_empty() || names.iter().any(|part| name.contains(&part[..])) {
                let row = pool.install(|| measure(sizes, repeats));
                println!("{name:20} {:>17} {:>17} {:>17}", row[0], row[1], row[2]);
            }
        }
        pool.install(|| passes::run(repeats, &names));
    }
}

fn measure(
    [batch, in_channels, size, out_channels, kernel, stride, padding]: [usize; 7],
    repeats: usize,
) -> [String; 3] {
    let kernel = [kernel; 2];
    let shape = ConvShape {
        batch,
        in_channels,
        height: size,
        width: size,
        out_channels,
        kernel,
        stride,
        padding,
        dilation: 1,
    };
    let values = |count: usize| (0..count).map(|i| (i % 101) as f32 / 101.0 - 0.5).collect::<Vec<_>>();
    let (x, w, dy) = (values(shape.input_len()), values(shape.weight_len()), values(shape.output_len()));
    let bias = values(out_channels);
    let (mut y, mut dx, mut dw) = (dy.clone(), x.clone(), w.clone());
    let figure =
        |seconds: f64| format!("{:.1} ({:.2})", shape.operations() as f64 / seconds / 1e9, seconds * 1e3);
    [
        figure(least(repeats, || conv2d_forward(&x, &w, Some(&bias), true, &shape, black_box(&mut y)))),
        figure(least(repeats, || conv2d_input_gradient(&dy, &w, None, &shape, black_box(&mut dx)))),
        figure(least(repeats, || conv2d_weight_gradient(&x, &dy, None, &shape, black_box(&mut dw), None))),
    ]
}

/// The least of `repeats` times after two that do not count, in seconds.
fn least(repeats: usize, mut work: impl FnMut()) -> f64 {
    least_of(repeats, || (), |()| work())
}

/// [`least`] of work on what is prepared anew each time, which does not count.
fn least_of<T>(repeats: usize, mut prepare: impl FnMut() -> T, mut work: impl FnMut(T)) -> f64 {
    let alone = rayon::current_num_threads() == 1;
    let mut time = || {
        let prepared = prepare();
        let (start, start_alone) = (Instant::now(), processor_time());
        work(prepared);
        match (alone, start_alone, processor_time()) {
            (true, Some(start), Some(end)) => end - start,
            _ => start.elapsed().as_secs_f64(),
        }
    };
    let warm = time().min(time());
    (0..repeats).map(|_| time()).fold(warm, f64::min)
}

/// Seconds that this thread has had a processor: on one thread, what others do on the machine counts less.
fn processor_time() -> Option<f64> {
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    {
        const THREAD_CPU_TIME: i32 = 3;
        unsafe extern "C" {
            fn clock_gettime(clock: i32, time: *mut [i64; 2]) -> i32;
        }
        let mut time = [0; 2];
        // SAFETY: on 64-bit Linux a `timespec` is two `i64`, and the C library is linked by the standard
        // library.
        let status = unsafe { clock_gettime(THREAD_CPU_TIME, &mut time) };
        (status == 0).then(|| time[0] as f64 + time[1] as f64 * 1e-9)
    }
    #[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
    None
}

/// GFLOP/s of multiply-adds on registers, all threads together.
fn ceiling(threads: usize, repeats: usize) -> f64 {
    const ROUNDS: usize = 4_000_000;
    let seconds = least(repeats, || {
        rayon::scope(|scope| (0..threads).for_each(|_| scope.spawn(|_| multiply_adds(ROUNDS))));
    });
    let lanes = match Level::current() {
        Level::Avx512 => 16,
        Level::Avx2 => 8,
        Level::Portable => 4,
    };
    (threads * ROUNDS * CHAINS * lanes * 2) as f64 / seconds / 1e9
}

/// Chains of dependent multiply-adds at the same time: more than latency times throughput.
const CHAINS: usize = 12;

fn multiply_adds(rounds: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::*;
        macro_rules! chains {
            ($rounds:ident, $splat:ident, $fma:ident) => {{
                let factor = $splat(black_box(0.999));
                // Each hidden from the compiler, which would merge equal chains.
                let mut sums = [$splat(1.0); CHAINS].map(black_box);
                for _ in 0..$rounds {
                    let mut chain = 0;
                    while chain < CHAINS {
                        sums[chain] = $fma(sums[chain], factor, factor);
                        chain += 1;
                    }
                }
                black_box(sums);
            }};
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2(rounds: usize) {
            chains!(rounds, _mm256_set1_ps, _mm256_fmadd_ps);
        }
        #[target_feature(enable = "avx512f")]
        fn avx512(rounds: usize) {
            chains!(rounds, _mm512_set1_ps, _mm512_fmadd_ps);
        }
        match Level::current() {
            // SAFETY: a level is current only where its instructions exist.
            Level::Avx512 => return unsafe { avx512(rounds) },
            // SAFETY: as above.
            Level::Avx2 => return unsafe { avx2(rounds) },
            Level::Portable => {}
        }
    }
    let factor = black_box(0.999f32);
    let mut sums = [[1.0f32; 4]; CHAINS].map(black_box);
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = sum.map(|sum| sum * factor + factor);
        }
    }
    black_box(sums);
}
