//! Crammer and Singer's hinge.

pub(super) fn value_and_dual(margin: f64, scores: &[f64], target: usize, dual: &mut [f64]) -> f64 {
    dual.fill(0.0);
    let mut largest = 0.0;
    let mut active = None;
    for (class, &score) in scores.iter().enumerate() {
        let term = score - scores[target] + margin;
        if class != target && term > largest {
            (largest, active) = (term, Some(class));
        }
    }
    if let Some(class) = active {
        dual[class] = 1.0;
    }
    largest
}
