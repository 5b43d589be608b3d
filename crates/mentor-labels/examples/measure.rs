//! Measurements on features in files, which `reference/label_errors.py` calls too: `[N, D]` as little-endian
//! f32, classes as u32.
//!
//! ```text
//! measure curve TRAIN LABELS TEST LABELS D C SEEDS    accuracy of a head by choice and budget, as CSV
//! measure suspects FEATURES LABELS D C FOLDS OUT      probabilities.f32 and suspects.csv, and seconds
//! measure next FEATURES D BUDGET                      seconds of a choice
//! ```
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for measurements")]

use std::fs;
use std::time::Instant;

use mentor_labels::{Head, Labelled, Method, Pool, Rows, choose, fit_head, out_of_sample, suspects};

/// Labels a class on average.
const BUDGETS: [usize; 5] = [1, 2, 5, 10, 20];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| args[at].parse::<usize>().unwrap();
    match args[0].as_str() {
        "curve" => {
            let [train, test] = [1, 3].map(|at| (floats(&args[at]), integers(&args[at + 1])));
            curve(&train, &test, number(5), number(6), number(7) as u64);
        }
        "suspects" => {
            let (features, targets) = (floats(&args[1]), integers(&args[2]));
            find_suspects(&features, &targets, number(3), number(4), number(5), &args[6]);
        }
        "next" => {
            let features = floats(&args[1]);
            let begun = Instant::now();
            let scaled = Rows::new(&features, number(2)).scaled();
            drop(features);
            let rows = Rows::new(&scaled, number(2));
            let pool = Pool { rows, labelled: &vec![false; rows.len()] };
            let chosen = choose(&pool, Method::Typical, number(3), 0);
            println!("{} of {} in {:.2} s", chosen.len(), rows.len(), begun.elapsed().as_secs_f64());
        }
        other => panic!("{other}: no such measurement"),
    }
}

fn curve(train: &(Vec<f32>, Vec<u32>), test: &(Vec<f32>, Vec<u32>), d: usize, c: usize, seeds: u64) {
    // One scale for both: that of all images, of which no label is needed.
    let all = [train.0.as_slice(), &test.0].concat();
    let scaled = Rows::new(&all, d).scaled();
    let (pool, judged) = scaled.split_at(train.0.len());
    let (pool, judged) = (Rows::new(pool, d), Rows::new(judged, d));
    println!("method,per_class,seed,labels,classes,accuracy");
    for seed in 0..seeds {
        for per_class in BUDGETS {
            let budget = (per_class * c).min(pool.len());
            let all = Pool { rows: pool, labelled: &vec![false; pool.len()] };
            for (name, method) in [("random", Method::Random), ("typical", Method::Typical)] {
                let chosen: Vec<u32> =
                    choose(&all, method, budget, seed).iter().map(|chosen| chosen.row).collect();
                report(name, per_class, seed, &chosen, &pool, &train.1, &judged, &test.1, c);
            }
            // Half of the labels typical, the others by what a head of these is unsure of.
            let first = choose(&all, Method::Typical, budget.div_ceil(2), seed);
            let mut chosen: Vec<u32> = first.iter().map(|chosen| chosen.row).collect();
            if let Some(head) = head(&chosen, &pool, &train.1, c) {
                let mut labelled = vec![false; pool.len()];
                chosen.iter().for_each(|&row| labelled[row as usize] = true);
                let probabilities = head.probabilities(&pool);
                let rest = Pool { rows: pool, labelled: &labelled };
                let more = choose(&rest, Method::Mixed(&probabilities), budget - chosen.len(), seed);
                chosen.extend(more.iter().map(|chosen| chosen.row));
            }
            report("typical+mixed", per_class, seed, &chosen, &pool, &train.1, &judged, &test.1, c);
        }
    }
}

fn head(chosen: &[u32], pool: &Rows<'_>, targets: &[u32], c: usize) -> Option<Head> {
    let values: Vec<f32> = chosen.iter().flat_map(|&row| pool.row(row as usize)).copied().collect();
    let own: Vec<u32> = chosen.iter().map(|&row| targets[row as usize]).collect();
    fit_head(&Rows::new(&values, pool.width()), &own, c, 0, &|| false).ok()
}

#[allow(clippy::too_many_arguments, reason = "one line of a table")]
fn report(
    name: &str,
    per_class: usize,
    seed: u64,
    chosen: &[u32],
    pool: &Rows<'_>,
    targets: &[u32],
    judged: &Rows<'_>,
    truth: &[u32],
    c: usize,
) {
    let accuracy = head(chosen, pool, targets, c).map_or(0.0, |head| {
        let probabilities = head.probabilities(judged);
        let right = probabilities
            .chunks_exact(c)
            .zip(truth)
            .filter(|(row, target)| row.iter().all(|&p| p <= row[**target as usize]));
        right.count() as f64 / truth.len() as f64
    });
    let classes: std::collections::BTreeSet<u32> = chosen.iter().map(|&row| targets[row as usize]).collect();
    println!("{name},{per_class},{seed},{},{},{accuracy:.4}", chosen.len(), classes.len());
}

fn find_suspects(features: &[f32], targets: &[u32], d: usize, c: usize, folds: usize, out: &str) {
    let begun = Instant::now();
    let scaled = Rows::new(features, d).scaled();
    let rows = Rows::new(&scaled, d);
    let found = out_of_sample(&rows, targets, c, folds, 0, &|| false).unwrap();
    let scored = begun.elapsed().as_secs_f64();
    let labelled = Labelled { rows, targets, probabilities: &found.probabilities, num_classes: c };
    let suspects = suspects(&labelled, 0);
    let total = begun.elapsed().as_secs_f64();
    println!("{} images, accuracy {:.4}, l2 {:e}", targets.len(), found.accuracy, found.l2);
    println!("probabilities {scored:.2} s, suspects {:.2} s, together {total:.2} s", total - scored);
    let bytes: Vec<u8> = found.probabilities.iter().flat_map(|p| p.to_le_bytes()).collect();
    fs::write(format!("{out}/probabilities.f32"), bytes).unwrap();
    let mut csv = "row,given,suggested,score,kind\n".to_owned();
    for found in suspects {
        let kind = found.kind.name();
        csv += &format!("{},{},{},{},{kind}\n", found.row, found.given, found.suggested, found.score);
    }
    fs::write(format!("{out}/suspects.csv"), csv).unwrap();
}

fn floats(path: &str) -> Vec<f32> {
    let bytes = fs::read(path).unwrap();
    bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

fn integers(path: &str) -> Vec<u32> {
    let bytes = fs::read(path).unwrap();
    bytes.as_chunks::<4>().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect()
}
