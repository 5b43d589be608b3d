//! Ranking losses as nested loops in `f64`: O(N³), plain, and written without looking at the code they check.
//!
//! Embeddings are row-major `[N, D]`; distances are `[N, N]`.

/// ‖a − b‖ of all pairs.
pub fn euclidean(embeddings: &[f64], dim: usize) -> Vec<f64> {
    squared(embeddings, dim).into_iter().map(f64::sqrt).collect()
}

/// ‖a − b‖² of all pairs.
pub fn squared(embeddings: &[f64], dim: usize) -> Vec<f64> {
    let mut distances = Vec::new();
    for a in embeddings.chunks_exact(dim) {
        for b in embeddings.chunks_exact(dim) {
            let mut sum = 0.0;
            for k in 0..dim {
                sum += (a[k] - b[k]) * (a[k] - b[k]);
            }
            distances.push(sum);
        }
    }
    distances
}

/// 1 − cos(a, b) of all pairs; 1 where a vector is zero, but 0 of a sample to itself.
pub fn cosine(embeddings: &[f64], dim: usize) -> Vec<f64> {
    let mut distances = Vec::new();
    for (i, a) in embeddings.chunks_exact(dim).enumerate() {
        for (j, b) in embeddings.chunks_exact(dim).enumerate() {
            let (mut product, mut of_a, mut of_b) = (0.0, 0.0, 0.0);
            for k in 0..dim {
                product += a[k] * b[k];
                of_a += a[k] * a[k];
                of_b += b[k] * b[k];
            }
            let cosine = if of_a == 0.0 || of_b == 0.0 { 0.0 } else { product / (of_a * of_b).sqrt() };
            distances.push(if i == j { 0.0 } else { 1.0 - cosine });
        }
    }
    distances
}

/// What all triplets add up to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Triplets {
    /// The sum of the hinges.
    pub sum: f64,
    /// All triplets.
    pub num_valid: u64,
    /// With a loss greater than 0.
    pub num_active: u64,
    /// d_an ≥ d_ap + m.
    pub num_easy: u64,
    /// Between.
    pub num_semi_hard: u64,
    /// Active with d_an ≤ d_ap.
    pub num_hard: u64,
    /// By which each distance is multiplied in the sum, `[N, N]`.
    pub coefficients: Vec<i32>,
}

/// Every triplet, one by one.
pub fn all_triplets(distances: &[f64], labels: &[u32], margin: f64) -> Triplets {
    let n = labels.len();
    let mut all = Triplets { coefficients: vec![0; n * n], ..Triplets::default() };
    // What each addition to the sum lost (Kahan): a million equal terms would lose more digits than a test
    // wants to see.
    let mut lost = 0.0;
    for a in 0..n {
        for p in 0..n {
            if p == a || labels[p] != labels[a] {
                continue;
            }
            for m in 0..n {
                if labels[m] == labels[a] {
                    continue;
                }
                let (d_ap, d_an) = (distances[a * n + p], distances[a * n + m]);
                all.num_valid += 1;
                if d_ap + margin > d_an {
                    all.num_active += 1;
                    let term = d_ap + margin - d_an - lost;
                    let sum = all.sum + term;
                    lost = (sum - all.sum) - term;
                    all.sum = sum;
                    all.coefficients[a * n + p] += 1;
                    all.coefficients[a * n + m] -= 1;
                    if d_an <= d_ap {
                        all.num_hard += 1;
                    } else {
                        all.num_semi_hard += 1;
                    }
                } else {
                    all.num_easy += 1;
                }
            }
        }
    }
    all
}

/// For each anchor the farthest positive and the nearest negative, the first of equal ones: (anchor,
/// positive, negative).
pub fn batch_hard(distances: &[f64], labels: &[u32]) -> Vec<[usize; 3]> {
    let n = labels.len();
    let mut triplets = Vec::new();
    for a in 0..n {
        let (mut positive, mut negative) = (None::<usize>, None::<usize>);
        for j in 0..n {
            let d = distances[a * n + j];
            if j != a && labels[j] == labels[a] && positive.is_none_or(|p| d > distances[a * n + p]) {
                positive = Some(j);
            }
            if labels[j] != labels[a] && negative.is_none_or(|m| d < distances[a * n + m]) {
                negative = Some(j);
            }
        }
        if let (Some(p), Some(m)) = (positive, negative) {
            triplets.push([a, p, m]);
        }
    }
    triplets
}

/// For each anchor and positive the nearest negative beyond the positive, or else the farthest negative.
pub fn semi_hard(distances: &[f64], labels: &[u32]) -> Vec<[usize; 3]> {
    let n = labels.len();
    let mut triplets = Vec::new();
    for a in 0..n {
        for p in 0..n {
            if p == a || labels[p] != labels[a] {
                continue;
            }
            let (mut beyond, mut farthest) = (None::<usize>, None::<usize>);
            for j in 0..n {
                let d = distances[a * n + j];
                if labels[j] == labels[a] {
                    continue;
                }
                if d > distances[a * n + p] && beyond.is_none_or(|m| d < distances[a * n + m]) {
                    beyond = Some(j);
                }
                if farthest.is_none_or(|m| d > distances[a * n + m]) {
                    farthest = Some(j);
                }
            }
            if let Some(m) = beyond.or(farthest) {
                triplets.push([a, p, m]);
            }
        }
    }
    triplets
}

/// The mean hinge of these triplets; 0 of none.
pub fn mean_hinge(distances: &[f64], n: usize, triplets: &[[usize; 3]], margin: f64) -> f64 {
    let mut sum = 0.0;
    for &[a, p, m] in triplets {
        sum += f64::max(0.0, distances[a * n + p] + margin - distances[a * n + m]);
    }
    if triplets.is_empty() { 0.0 } else { sum / triplets.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    // On a line: 0 and 0.5 of one class, −0.625 and 2 of others; margin 0.25. Worked by hand.
    #[test]
    fn oracles_give_the_numbers_worked_by_hand() {
        let (points, labels) = ([0.0, 0.5, -0.625, 2.0], [7, 7, 1, 2]);
        let distances = euclidean(&points, 1);
        let all = all_triplets(&distances, &labels, 0.25);
        assert_eq!((all.num_valid, all.num_active, all.num_hard, all.num_easy), (4, 1, 0, 3));
        assert_eq!(all.sum, 0.125);
        assert_eq!(all.coefficients[..4], [0, 1, -1, 0]);
        assert_eq!(batch_hard(&distances, &labels), [[0, 1, 2], [1, 0, 2]]);
        assert_eq!(semi_hard(&distances, &labels), [[0, 1, 2], [1, 0, 2]]);
        assert_eq!(mean_hinge(&distances, 4, &[[0, 1, 2], [1, 0, 2]], 0.25), 0.0625);
        assert_eq!(squared(&[0.0, 0.0, 3.0, 4.0], 2), [0.0, 25.0, 25.0, 0.0]);
        assert_eq!(cosine(&[1.0, 0.0, 0.0, 2.0, 0.0, 0.0], 2), [0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0]);
    }
}
