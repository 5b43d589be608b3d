//! A bar on a terminal while files are read, once that takes more than a second.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use mentor_data::{ReadObserver, Reading};

use super::output;
use super::signals::Interruption;
use super::table::duration;

/// How long reading may take without a bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar that comes late and goes when all is read, or with this.
pub(crate) struct ReadingBar {
    since: Instant,
    /// Whether there is a terminal, and somebody who wants to see a bar.
    wanted: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl ReadingBar {
    /// Nothing on a pipe or with `quiet`.
    pub(crate) fn new(quiet: bool) -> Self {
        Self { since: Instant::now(), wanted: !quiet && output::is_interactive(), bar: Mutex::new(None) }
    }

    /// Shows how far reading is.
    pub(crate) fn show(&self, reading: Reading) {
        if !self.wanted || self.since.elapsed() < PATIENCE {
            return;
        }
        let is_done = reading.done >= reading.total;
        // Threads that meet here have all the same to tell; only the last word must not be lost.
        let Ok(mut bar) =
            (if is_done { self.bar.lock().ok().ok_or(()) } else { self.bar.try_lock().map_err(drop) })
        else {
            return;
        };
        if is_done {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
            return;
        }
        let bar = bar.get_or_insert_with(|| new_bar(reading));
        bar.set_length(reading.total);
        bar.set_message(reading.what);
        bar.set_position(reading.done);
    }

    /// Runs `print` with the bar off the terminal.
    pub(crate) fn suspend(&self, print: impl FnOnce()) {
        match self.bar.lock().ok().and_then(|bar| bar.clone()) {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Drop for ReadingBar {
    fn drop(&mut self) {
        if let Ok(Some(bar)) = self.bar.get_mut().map(Option::take) {
            bar.finish_and_clear();
        }
    }
}

fn new_bar(Reading { done, total, .. }: Reading) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()).with_position(done);
    // The template is a constant; one that did not parse would leave indicatif's own style.
    if let Ok(style) = ProgressStyle::with_template("{msg}  {wide_bar} {human_pos}/{human_len}{left}") {
        bar.set_style(style.with_key("left", left).progress_chars("━╸ "));
    }
    // What was done before there was a bar took a time that it does not know.
    bar.reset_eta();
    bar
}

/// The time that is left, as the end of a line; nothing before there is anything to guess it from.
pub(super) fn left(state: &ProgressState, line: &mut dyn fmt::Write) {
    // A line that cannot be written is no reason to stop.
    let _ = line.write_str(&time_left(state.eta()));
}

fn time_left(eta: Duration) -> String {
    match eta.as_secs() {
        0 => String::new(),
        secs => format!("  {} left", duration(secs as f64)),
    }
}

/// An observer that shows a bar.
pub(crate) fn reading_bar(quiet: bool) -> ReadObserver {
    let bar = ReadingBar::new(quiet);
    ReadObserver::new(move |reading| {
        bar.show(reading);
        ControlFlow::Continue(())
    })
}

/// As [`reading_bar`], and ends the reading at the first signal: until training begins there is nothing to
/// finish or to write.
pub(crate) fn reading_bar_until(quiet: bool, interruption: &Interruption) -> ReadObserver {
    let (bar, interruption) = (ReadingBar::new(quiet), interruption.clone());
    ReadObserver::new(move |reading| {
        bar.show(reading);
        match interruption.flag().load(std::sync::atomic::Ordering::Relaxed) {
            false => ControlFlow::Continue(()),
            true => ControlFlow::Break(()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_told_before_there_is_anything_to_guess_it_from() {
        assert_eq!(time_left(Duration::ZERO), "");
        assert_eq!(time_left(Duration::from_millis(900)), "");
        assert_eq!(time_left(Duration::from_secs(75)), "  1 min 15 s left");
    }

    #[test]
    fn a_bar_comes_late_and_goes_when_all_is_read() {
        let reading = |done| Reading { what: "reading files", done, total: 10 };
        let since = Instant::now().checked_sub(2 * PATIENCE).unwrap();
        let shown = |bar: &ReadingBar| bar.bar.lock().unwrap().is_some();
        let bar = ReadingBar { since, wanted: true, bar: Mutex::new(None) };
        bar.show(reading(3));
        assert!(shown(&bar));
        bar.show(reading(10));
        assert!(!shown(&bar));
        for bar in [
            ReadingBar { since: Instant::now(), wanted: true, bar: Mutex::new(None) },
            ReadingBar { since, wanted: false, bar: Mutex::new(None) },
        ] {
            bar.show(reading(3));
            assert!(!shown(&bar));
        }
    }
}
