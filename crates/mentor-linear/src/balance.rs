//! Dual points that an unpenalised bias allows.
//!
//! A bias b without a penalty enters the Lagrangian as ⟨Σ_i G_i, b⟩, whose infimum over b is −∞ unless Σ_i
//! G_i = 0: for each class, what flows into it as a wrong class equals what flows out of it as the target,
//!
//! ```text
//! Σ_k F_kc = Σ_j F_cj          F_kj = Σ_{i: y_i = k} a_i/N γ_ij
//! ```
//!
//! So F is a flow between classes, and a feasible dual point is a circulation. Any flow is a circulation
//! plus paths from classes with more outflow to classes with more inflow (flow decomposition; Ahuja,
//! Magnanti, Orlin 1993, theorem 3.5). Taking the paths away leaves a circulation F' ≤ F, and γ_ij
//! F'_kj/F_kj is balanced, and in the polytope since it is smaller.

/// The factors F'_kj / F_kj, `[C, C]`, for a flow `[C, C]` without entries on the diagonal; and what could
/// not be balanced, a rounding.
pub(crate) fn balancing_factors(flow: &[f64], num_classes: usize) -> (Vec<f64>, f64) {
    let mut balanced = flow.to_vec();
    let mut excess = excesses(&balanced, num_classes);
    let total: f64 = flow.iter().sum();
    let negligible = total * f64::EPSILON;
    // Each path empties an arc or settles a class.
    for _ in 0..num_classes * num_classes + num_classes {
        let Some(path) = shortest_path(&balanced, &excess, negligible) else { break };
        let (first, last) = (path[0], path[path.len() - 1]);
        let narrowest = path.windows(2).map(|arc| balanced[arc[1] * num_classes + arc[0]]);
        let amount = narrowest.fold(excess[first].min(-excess[last]), f64::min);
        for arc in path.windows(2) {
            let entry = &mut balanced[arc[1] * num_classes + arc[0]];
            *entry = (*entry - amount).max(0.0);
        }
        excess[first] -= amount;
        excess[last] += amount;
    }
    let rest = excesses(&balanced, num_classes).iter().map(|excess| excess.abs()).sum();
    let factor = |(&after, &before): (&f64, &f64)| if after < before { after / before } else { 1.0 };
    (balanced.iter().zip(flow).map(factor).collect(), rest)
}

/// Inflow minus outflow of each class.
fn excesses(flow: &[f64], num_classes: usize) -> Vec<f64> {
    let inflow = |class: usize| (0..num_classes).map(|from| flow[from * num_classes + class]).sum::<f64>();
    let outflow = |class: usize| flow[class * num_classes..][..num_classes].iter().sum::<f64>();
    (0..num_classes).map(|class| inflow(class) - outflow(class)).collect()
}

/// From the class with the most excess against the flow to a class that lacks some, by as few arcs as
/// possible.
fn shortest_path(flow: &[f64], excess: &[f64], negligible: f64) -> Option<Vec<usize>> {
    let num_classes = excess.len();
    let start = (0..num_classes).reduce(|a, b| if excess[b] > excess[a] { b } else { a })?;
    if excess[start] <= negligible {
        return None;
    }
    let mut came_from = vec![None; num_classes];
    came_from[start] = Some(start);
    let mut queue = vec![start];
    let mut next = 0;
    while let Some(&class) = queue.get(next) {
        next += 1;
        if excess[class] < -negligible {
            return Some(trace(&came_from, start, class));
        }
        for source in 0..num_classes {
            if came_from[source].is_none() && flow[source * num_classes + class] > 0.0 {
                came_from[source] = Some(class);
                queue.push(source);
            }
        }
    }
    None
}

fn trace(came_from: &[Option<usize>], start: usize, end: usize) -> Vec<usize> {
    let mut path = vec![end];
    while let Some(&last) = path.last()
        && last != start
    {
        path.extend(came_from[last]);
    }
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_away_and_a_circle_stays() {
        // 0 → 1 → 2 → 0 carries 1, and 0 → 1 → 2 carries 3 more.
        let flow = [0.0, 4.0, 0.0, 0.0, 0.0, 4.0, 1.0, 0.0, 0.0];
        let (factors, rest) = balancing_factors(&flow, 3);
        assert_eq!([factors[1], factors[5], factors[6], rest], [0.25, 0.25, 1.0, 0.0]);
    }

    #[test]
    fn a_class_that_only_loses_ends_without_flow() {
        let (factors, rest) = balancing_factors(&[0.0, 2.0, 0.0, 0.0], 2);
        assert_eq!((factors[1], rest), (0.0, 0.0));
    }
}
