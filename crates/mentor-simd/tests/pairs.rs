//! Sums over pairs against loops, at every instruction set.

use mentor_random::{Purpose, Stream};
use mentor_simd::{Level, PairTerm, Panels, with_level};

/// Small integers, whose sums are exact in any order.
fn rows(num_rows: usize, width: usize, seed: u64) -> Vec<f32> {
    let mut stream = Stream::new(seed, Purpose::Weights, &[]);
    (0..num_rows * width).map(|_| (4.0 * stream.normal()).round()).collect()
}

fn by_loops(term: PairTerm, a: &[f32], b: &[f32]) -> f64 {
    let pairs = a.iter().zip(b).map(|(&a, &b)| (f64::from(a), f64::from(b)));
    match term {
        PairTerm::SquaredDistance => pairs.map(|(a, b)| (a - b).powi(2)).sum(),
        PairTerm::Distance => pairs.map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt(),
        PairTerm::Product => pairs.map(|(a, b)| a * b).sum(),
    }
}

#[test]
fn sums_of_pairs_equal_the_loops_at_every_instruction_set() {
    for (num_rows, num_others, width) in [(1, 1, 1), (13, 30, 5), (24, 9, 16), (37, 70, 33)] {
        let (a, b) = (rows(num_rows, width, 1), rows(num_others, width, 2));
        let (of_a, of_b) = (Panels::new(&a, width), Panels::new(&b, width));
        assert_eq!(of_b.stride(), num_others.next_multiple_of(8));
        for level in Level::available() {
            for term in [PairTerm::SquaredDistance, PairTerm::Distance, PairTerm::Product] {
                // From the second panel on, where there is one.
                let (first, column) = (num_rows / 8 * 8, num_others / 8 * 8);
                for (rows, column) in [(0..num_rows, 0), (first..num_rows, column)] {
                    let mut sums = vec![f64::NAN; rows.len() * (of_b.stride() - column)];
                    let stride = of_b.stride() - column;
                    let mut out: Vec<&mut [f64]> = sums.chunks_mut(stride.max(1)).collect();
                    with_level(level, || of_a.sums(term, rows.clone(), &of_b, column, &mut out));
                    for (out, row) in out.iter().zip(rows) {
                        for (sum, other) in out.iter().zip(column..num_others) {
                            let expected =
                                by_loops(term, &a[row * width..][..width], &b[other * width..][..width]);
                            assert_eq!(*sum, expected, "{level:?} {term:?} {row} {other}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "rows of different widths")]
fn panels_of_different_widths_have_no_pairs() {
    let (a, b) = (Panels::new(&[1.0_f32, 2.0], 2), Panels::new(&[1.0_f32], 1));
    a.sums(PairTerm::Product, 0..1, &b, 0, &mut [&mut [0.0; 8]]);
}
