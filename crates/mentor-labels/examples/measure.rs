//! Measurements on features in files, which `reference/label_errors.py` calls too: `[N, D]` as little-endian
//! f32, classes as u32.
//!
//! ```text
//! measure curve FEATURES LABELS D C FIRST SEEDS       accuracy of a head by choice and budget, as CSV
//! measure suspects FEATURES LABELS D C FOLDS OUT      probabilities.f32 and suspects.csv, and seconds
//! measure confidence FEATURES LABELS FOREIGN D C SEEDS  coverage of sets at 0.9, AUROC of foreign images
//! measure next FEATURES D BUDGET                      seconds of a choice
//! ```
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program for measurements")]

use std::collections::BTreeSet;
use std::fs;
use std::time::Instant;

use mentor_labels::{
    Chosen, Head, Labelled, Method, Pool, Rows, choose, distances_to_kth, fit_head, out_of_sample, suspects,
};
use mentor_metrics::conformal::PredictionSets;
use mentor_random::{Purpose, Stream};

/// Labels a class on average.
const BUDGETS: [usize; 5] = [1, 2, 5, 10, 20];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| args[at].parse::<usize>().unwrap();
    match args[0].as_str() {
        "curve" => {
            let (features, targets) = (floats(&args[1]), integers(&args[2]));
            let first = number(5) as u64;
            curve(&features, &targets, number(3), number(4), first..first + number(6) as u64);
        }
        "suspects" => {
            let (features, targets) = (floats(&args[1]), integers(&args[2]));
            find_suspects(&features, &targets, number(3), number(4), number(5), &args[6]);
        }
        "confidence" => {
            let [features, foreign] = [1, 3].map(|at| floats(&args[at]));
            let known = (features.as_slice(), integers(&args[2]));
            confidence((known.0, &known.1), &foreign, number(4), number(5), number(6) as u64);
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

/// Images of a division: chosen from and judged on, at most.
const MOST_POOL: usize = 4000;
const MOST_JUDGED: usize = 2000;

/// One division of the images: two thirds to choose from, a third to judge on.
struct Division {
    pool: (Vec<f32>, Vec<u32>),
    judged: (Vec<f32>, Vec<u32>),
    width: usize,
    num_classes: usize,
}

fn curve(features: &[f32], targets: &[u32], d: usize, c: usize, seeds: std::ops::Range<u64>) {
    println!("method,per_class,seed,labels,classes,accuracy");
    // No label is needed for the scale.
    let scaled = Rows::new(features, d).scaled();
    for seed in seeds {
        let order = Stream::new(seed, Purpose::Split, &[]).permutation(targets.len() as u32);
        let (judged, pool) = order.split_at(targets.len() / 3);
        let part = |rows: &[u32], most: usize| {
            let rows = &rows[..rows.len().min(most)];
            let values = rows.iter().flat_map(|&row| &scaled[row as usize * d..][..d]).copied().collect();
            (values, rows.iter().map(|&row| targets[row as usize]).collect())
        };
        let (pool, judged) = (part(pool, MOST_POOL), part(judged, MOST_JUDGED));
        Division { pool, judged, width: d, num_classes: c }.measure(seed);
    }
}

impl Division {
    fn measure(&self, seed: u64) {
        let none = vec![false; self.pool.1.len()];
        let all = Pool { rows: Rows::new(&self.pool.0, self.width), labelled: &none };
        let mut asked: Vec<u32> = Vec::new();
        for per_class in BUDGETS {
            let budget = (per_class * self.num_classes).min(none.len());
            for (name, method) in [("random", Method::Random), ("typical", Method::Typical)] {
                self.report(name, per_class, seed, &rows_of(&choose(&all, method, budget, seed)));
            }
            // As a person asks: the first labels without a classifier, each budget from the labels before.
            let mut labelled = none.clone();
            asked.iter().for_each(|&row| labelled[row as usize] = true);
            let pool = Pool { labelled: &labelled, ..all };
            let probabilities = self.head(&asked).map(|head| head.probabilities(&all.rows));
            let method = probabilities.as_deref().map_or(Method::Typical, Method::Mixed);
            asked.extend(rows_of(&choose(&pool, method, budget - asked.len(), seed)));
            self.report("next", per_class, seed, &asked);
        }
    }

    fn head(&self, chosen: &[u32]) -> Option<Head> {
        let (values, targets) = &self.pool;
        let rows = Rows::new(values, self.width);
        let values: Vec<f32> = chosen.iter().flat_map(|&row| rows.row(row as usize)).copied().collect();
        let own: Vec<u32> = chosen.iter().map(|&row| targets[row as usize]).collect();
        fit_head(&Rows::new(&values, self.width), &own, self.num_classes, 0, &|| false).ok()
    }

    fn report(&self, name: &str, per_class: usize, seed: u64, chosen: &[u32]) {
        let (values, truth) = &self.judged;
        let accuracy = self.head(chosen).map_or(0.0, |head| {
            let probabilities = head.probabilities(&Rows::new(values, self.width));
            let right = probabilities
                .chunks_exact(self.num_classes)
                .zip(truth)
                .filter(|(row, target)| row.iter().all(|&p| p <= row[**target as usize]));
            right.count() as f64 / truth.len() as f64
        });
        let classes: BTreeSet<u32> = chosen.iter().map(|&row| self.pool.1[row as usize]).collect();
        println!("{name},{per_class},{seed},{},{},{accuracy:.4}", chosen.len(), classes.len());
    }
}

fn rows_of(chosen: &[Chosen]) -> Vec<u32> {
    chosen.iter().map(|chosen| chosen.row).collect()
}

/// Half of the images train a head, a quarter calibrates and a quarter is judged; by each seed anew.
fn confidence(known: (&[f32], &[u32]), foreign: &[f32], d: usize, c: usize, seeds: u64) {
    println!("seed,covered,judged,set_size,auroc_foreign,auroc_softmax");
    // As for a run: nothing is known of the foreign images when the scale is made, so that both have lengths
    // 1.
    let [own, foreign] = [known.0, foreign].map(|values| directions(values, d));
    let foreign = Rows::new(&foreign, d);
    for seed in 0..seeds {
        let order = Stream::new(seed, Purpose::Split, &[1]).permutation(known.1.len() as u32);
        let (train, rest) = order.split_at(order.len() / 2);
        let (calibration, judged) = rest.split_at(rest.len() / 2);
        let part = |rows: &[u32]| -> (Vec<f32>, Vec<u32>) {
            let values = rows.iter().flat_map(|&row| &own[row as usize * d..][..d]).copied().collect();
            (values, rows.iter().map(|&row| known.1[row as usize]).collect())
        };
        let [train, calibration, judged] = [train, calibration, judged].map(part);
        let [train_rows, of_calibration, of_judged] =
            [&train, &calibration, &judged].map(|part| Rows::new(&part.0, d));
        let head = fit_head(&train_rows, &train.1, c, 0, &|| false).unwrap();
        let probabilities =
            |rows: &Rows<'_>| -> Vec<f64> { head.probabilities(rows).into_iter().map(f64::from).collect() };
        let sets = PredictionSets::calibrate(&probabilities(&of_calibration), &calibration.1, c, 0.9, false)
            .unwrap();
        let scored = probabilities(&of_judged);
        let found: Vec<Vec<usize>> = scored.chunks_exact(c).map(|row| sets.set(row)).collect();
        let covered =
            found.iter().zip(&judged.1).filter(|(set, target)| set.contains(&(**target as usize))).count();
        let size = found.iter().map(Vec::len).sum::<usize>() as f64 / found.len() as f64;
        let [near, far] = [of_judged, foreign].map(|rows| distances_to_kth(&train_rows, &rows, 5));
        let unsure = |scores: &[f64]| -> Vec<f64> {
            scores.chunks_exact(c).map(|row| 1.0 - row.iter().copied().fold(0.0, f64::max)).collect()
        };
        let by_softmax = auroc(&unsure(&scored), &unsure(&probabilities(&foreign)));
        let by_distance = auroc(&near, &far);
        println!("{seed},{covered},{},{size:.3},{by_distance:.4},{by_softmax:.4}", judged.1.len());
    }
}

/// The share of pairs in which the foreign image has the larger score, ties half.
fn auroc(own: &[f64], foreign: &[f64]) -> f64 {
    let mut sorted = own.to_vec();
    sorted.sort_by(f64::total_cmp);
    let below = |score: &f64| {
        let less = sorted.partition_point(|other| other < score);
        let equal = sorted.partition_point(|other| other <= score) - less;
        less as f64 + equal as f64 / 2.0
    };
    foreign.iter().map(below).sum::<f64>() / (own.len() * foreign.len()) as f64
}

/// Rows of length 1.
fn directions(values: &[f32], d: usize) -> Vec<f32> {
    let mut values = values.to_vec();
    for row in values.chunks_exact_mut(d) {
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        row.iter_mut().for_each(|x| *x /= length);
    }
    values
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
