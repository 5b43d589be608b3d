//! The metrics of a run as series over its epochs.

use mentor_run::{EpochMetrics, IterationMetrics, MetricsLine, StepMetrics};

/// Most points of a line: more than a screen has pixels across only make the file larger.
const MAX_POINTS: usize = 600;

/// What `metrics.jsonl` held, in order.
#[derive(Debug, Default)]
pub(super) struct History {
    /// One entry an epoch.
    pub(super) epochs: Vec<EpochMetrics>,
    /// One entry an update, thinned.
    pub(super) steps: Vec<StepMetrics>,
    /// One entry an iteration of a solver.
    pub(super) iterations: Vec<IterationMetrics>,
}

impl History {
    /// Sorts the lines of a run by kind.
    pub(super) fn new(lines: Vec<MetricsLine>) -> Self {
        let mut history = Self::default();
        for line in lines {
            match line {
                MetricsLine::Step(metrics) => history.steps.push(metrics),
                MetricsLine::Epoch(metrics) => history.epochs.push(metrics),
                MetricsLine::Iteration(metrics) => history.iterations.push(metrics),
            }
        }
        history
    }

    /// Whether nothing has been recorded yet.
    pub(super) fn is_empty(&self) -> bool {
        self.epochs.is_empty() && self.steps.is_empty() && self.iterations.is_empty()
    }

    /// Updates of one epoch, once an epoch has ended.
    pub(super) fn steps_per_epoch(&self) -> Option<f64> {
        let last = self.epochs.last()?;
        let steps = last.step as f64 / (last.epoch as f64 + 1.0);
        (steps > 0.0).then_some(steps)
    }

    /// A value of each epoch, placed at the end of the epoch; epochs without one are left out.
    pub(super) fn by_epoch(&self, value: impl Fn(&EpochMetrics) -> Option<f64>) -> Vec<(f64, f64)> {
        let points = self.epochs.iter().filter_map(|epoch| Some((epoch.epoch as f64 + 1.0, value(epoch)?)));
        thin(&points.collect::<Vec<_>>())
    }

    /// A value of each update, placed in epochs, or in updates where no epoch has ended.
    pub(super) fn by_step(&self, value: impl Fn(&StepMetrics) -> f64) -> Vec<(f64, f64)> {
        let unit = self.steps_per_epoch().unwrap_or(1.0);
        let points = self.steps.iter().map(|step| (step.step as f64 / unit, value(step)));
        thin(&points.collect::<Vec<_>>())
    }

    /// A value of each iteration of a solver.
    pub(super) fn by_iteration(&self, value: impl Fn(&IterationMetrics) -> f64) -> Vec<(f64, f64)> {
        let points = self.iterations.iter().map(|metrics| (metrics.iteration as f64, value(metrics)));
        thin(&points.collect::<Vec<_>>())
    }

    /// Where the curves end: epochs, or updates where no epoch has ended.
    pub(super) fn end(&self) -> f64 {
        let steps =
            self.steps.last().map_or(0.0, |step| step.step as f64 / self.steps_per_epoch().unwrap_or(1.0));
        self.epochs.last().map_or(steps, |epoch| steps.max(epoch.epoch as f64 + 1.0))
    }
}

/// Keeps the lowest and the highest of each stretch of points, so that no spike is lost; a value that is not
/// finite counts as the highest.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MAX_POINTS {
        return points.to_vec();
    }
    let rank = |point: &(f64, f64)| if point.1.is_finite() { point.1 } else { f64::INFINITY };
    let mut kept = Vec::with_capacity(MAX_POINTS);
    for stretch in points.chunks(points.len().div_ceil(MAX_POINTS / 2)) {
        let order = |left: &&(f64, f64), right: &&(f64, f64)| rank(left).total_cmp(&rank(right));
        let (low, high) = (stretch.iter().min_by(order), stretch.iter().max_by(order));
        let mut ends: Vec<(f64, f64)> = low.into_iter().chain(high).copied().collect();
        ends.sort_by(|left, right| left.0.total_cmp(&right.0));
        ends.dedup_by(|left, right| left.0 == right.0);
        kept.extend(ends);
    }
    // The last value is the one that is quoted.
    if let Some(last) = points.last().filter(|last| kept.last().is_none_or(|end| end.0 != last.0)) {
        kept.push(*last);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn updates_are_placed_within_their_epochs() {
        let history = History::new(fixture::metrics(3));
        assert_eq!(history.steps_per_epoch(), Some(4.0));
        assert_eq!(history.by_step(|step| step.data_loss)[1].0, 0.5);
        assert_eq!(history.by_epoch(|epoch| Some(epoch.train_loss)).len(), 3);
        assert_eq!(history.end(), 3.0);
    }

    #[test]
    fn without_a_finished_epoch_the_unit_is_the_update() {
        let lines = fixture::metrics(1).into_iter().filter(|line| matches!(line, MetricsLine::Step(_)));
        let history = History::new(lines.collect());
        assert_eq!(history.steps_per_epoch(), None);
        assert_eq!(history.end(), 4.0);
    }

    #[test]
    fn thinning_keeps_spikes_the_end_and_what_is_not_finite() {
        let mut points: Vec<(f64, f64)> = (0..10_000).map(|x| (f64::from(x), 1.0)).collect();
        points[1234].1 = 50.0;
        points[4321].1 = f64::NAN;
        let thinned = thin(&points);
        assert!(thinned.len() <= MAX_POINTS + 1, "{}", thinned.len());
        assert!(thinned.contains(&(1234.0, 50.0)));
        assert!(thinned.iter().any(|point| point.1.is_nan()));
        assert_eq!(thinned.last(), Some(&(9999.0, 1.0)));
        assert!(thinned.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
