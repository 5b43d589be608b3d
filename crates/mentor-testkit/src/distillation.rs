//! The distillation losses as nested loops in `f64`, written without looking at the code they check.

/// T²·KL(p ‖ softmax(s/T)) of each sample, with p the mean of the teachers' softmax(t/T). All row-major
/// `[N, C]`.
pub fn soft(scores: &[f64], teachers: &[&[f64]], num_classes: usize, temperature: f64) -> Vec<f64> {
    let mut losses = Vec::new();
    for (sample, row) in scores.chunks_exact(num_classes).enumerate() {
        let p = mean_probs(teachers, num_classes, temperature, sample);
        let mut loss = 0.0;
        for (c, p) in p.iter().enumerate() {
            if *p > 0.0 {
                loss += p * (p.ln() - log_prob(row, temperature, c));
            }
        }
        losses.push(temperature * temperature * loss);
    }
    losses
}

/// The derivative of [`soft`] with respect to the scores: T·(q − p).
pub fn soft_gradient(scores: &[f64], teachers: &[&[f64]], num_classes: usize, temperature: f64) -> Vec<f64> {
    let mut gradient = Vec::new();
    for (sample, row) in scores.chunks_exact(num_classes).enumerate() {
        let p = mean_probs(teachers, num_classes, temperature, sample);
        for (c, p) in p.iter().enumerate() {
            gradient.push(temperature * (log_prob(row, temperature, c).exp() - p));
        }
    }
    gradient
}

fn mean_probs(teachers: &[&[f64]], num_classes: usize, temperature: f64, sample: usize) -> Vec<f64> {
    let mut p = vec![0.0; num_classes];
    for teacher in teachers {
        let row = &teacher[sample * num_classes..][..num_classes];
        for (c, p) in p.iter_mut().enumerate() {
            *p += log_prob(row, temperature, c).exp() / teachers.len() as f64;
        }
    }
    p
}

/// ln of the softmax of row/T at class c.
fn log_prob(row: &[f64], temperature: f64, c: usize) -> f64 {
    let largest = row.iter().fold(f64::NEG_INFINITY, |largest, &score| largest.max(score));
    let mut sum = 0.0;
    for score in row {
        sum += ((score - largest) / temperature).exp();
    }
    (row[c] - largest) / temperature - sum.ln()
}

/// The mean over ordered pairs of the Huber error of distances over their mean; embeddings row-major
/// `[N, dims[·]]`.
pub fn relational_distance(student: &[f64], teacher: &[f64], dims: [usize; 2]) -> f64 {
    let num_samples = student.len() / dims[0];
    let (student, teacher) = (relative(student, dims[0]), relative(teacher, dims[1]));
    let mut sum = 0.0;
    for (s, t) in student.iter().zip(&teacher) {
        let error = (s - t).abs();
        sum += if error <= 1.0 { 0.5 * error * error } else { error - 0.5 };
    }
    if num_samples < 2 { 0.0 } else { sum / (num_samples * (num_samples - 1)) as f64 }
}

fn relative(embeddings: &[f64], dim: usize) -> Vec<f64> {
    let mut distances = Vec::new();
    for (i, a) in embeddings.chunks_exact(dim).enumerate() {
        for (j, b) in embeddings.chunks_exact(dim).enumerate() {
            if i != j {
                let mut square = 0.0;
                for (a, b) in a.iter().zip(b) {
                    square += (a - b) * (a - b);
                }
                distances.push(f64::sqrt(square));
            }
        }
    }
    let mean = distances.iter().sum::<f64>() / distances.len() as f64;
    distances.iter().map(|distance| if mean > 0.0 { distance / mean } else { 0.0 }).collect()
}

/// 1 − cos of each pair of rows `[N, dim]`; 1 where a row is 0.
pub fn cosine(student: &[f64], teacher: &[f64], dim: usize) -> Vec<f64> {
    let mut losses = Vec::new();
    for (s, t) in student.chunks_exact(dim).zip(teacher.chunks_exact(dim)) {
        let (mut dot, mut ss, mut tt) = (0.0, 0.0, 0.0);
        for (s, t) in s.iter().zip(t) {
            dot += s * t;
            ss += s * s;
            tt += t * t;
        }
        losses.push(if ss > 0.0 && tt > 0.0 { 1.0 - dot / f64::sqrt(ss * tt) } else { 1.0 });
    }
    losses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oracles_give_the_numbers_worked_by_hand() {
        // p = (0.8, 0.2), q = (0.5, 0.5).
        let (teacher, student) = ([4f64.ln(), 0.0], [0.0, 0.0]);
        let divergence = 0.8 * 1.6f64.ln() + 0.2 * 0.4f64.ln();
        assert!((soft(&student, &[&teacher], 2, 1.0)[0] - divergence).abs() < 1e-15);
        let gradient = soft_gradient(&student, &[&teacher], 2, 1.0);
        assert!((gradient[0] + 0.3).abs() < 1e-15 && (gradient[1] - 0.3).abs() < 1e-15);
        // At T = 2 a teacher with scores (2 ln 4, 0) has the same p, and T² is 4; with its mirror image p is
        // even.
        let teacher = [2.0 * 4f64.ln(), 0.0];
        assert!((soft(&student, &[&teacher], 2, 2.0)[0] - 4.0 * divergence).abs() < 1e-15);
        assert!(soft(&student, &[&teacher, &[0.0, 2.0 * 4f64.ln()]], 2, 2.0)[0].abs() < 1e-15);

        // ψ = ¾, 1, 5/4 and ¾, ¾, 3/2.
        let loss = relational_distance(&[0.0, 1.0, -1.0], &[0.0, 0.0, 3.0, 0.0, 0.0, 4.0], [1, 2]);
        assert!((loss - 1.0 / 48.0).abs() < 1e-15);
        assert_eq!(relational_distance(&[1.0, 1.0], &[2.0, 2.0], [1, 1]), 0.0);
        let losses = cosine(&[1.0, 0.0, 0.0, 0.0], &[3.0, 4.0, 1.0, 0.0], 2);
        assert!((losses[0] - 0.4).abs() < 1e-15 && losses[1] == 1.0);
    }
}
