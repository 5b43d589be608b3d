//! Where training computes, until when, who hears of it, and what joins gradients.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use mentor_run::TrainEvent;

use crate::engine::outcome::Halt;
use crate::engine::update::ranks::Ranks;
use crate::engine::update::reduce::{OneProcess, Reduce};
use crate::inference::error::NEVER;

/// Where training computes, until when, who hears of it, and what joins gradients. It decides nothing of what
/// is trained.
///
/// ```
/// use std::sync::atomic::AtomicBool;
///
/// use burn::tensor::Device;
/// use mentor_train::Execution;
/// let (stop, mut num_events) = (AtomicBool::new(false), 0);
/// let execution = Execution::new(&Device::flex()).with_stop(&stop).with_observer(|_event| num_events += 1);
/// assert_eq!(execution.device_name(), "cpu");
/// ```
pub struct Execution<'a> {
    /// Without gradients.
    device: Device,
    device_name: String,
    stop: &'a AtomicBool,
    observer: Box<dyn Fn(&TrainEvent) + 'a>,
    ranks: Ranks<'a>,
}

impl<'a> Execution<'a> {
    /// Computes on `device`, to the end, in one process, and tells nobody.
    pub fn new(device: &Device) -> Self {
        let device = device.clone().without_autodiff();
        let device_name = if is_host(&device) { "cpu".to_owned() } else { format!("{device:?}") };
        Self { device, device_name, stop: &NEVER, observer: Box::new(|_| {}), ranks: Ranks::new(&OneProcess) }
    }

    /// Once `stop` is set, the update under way is finished and a checkpoint written.
    #[must_use]
    pub fn with_stop(self, stop: &'a AtomicBool) -> Self {
        Self { stop, ..self }
    }

    /// `observer` hears of everything that happens, in its order.
    #[must_use]
    pub fn with_observer(self, observer: impl FnMut(&TrainEvent) + 'a) -> Self {
        let observer = RefCell::new(observer);
        Self { observer: Box::new(move |event| (observer.borrow_mut())(event)), ..self }
    }

    /// This process is one of several that train one model together, joined by `reduce`. Each has data, plan
    /// and a run directory of its own, the same in all; checkpoints are written by rank 0 alone.
    #[must_use]
    pub fn with_reduce(self, reduce: &'a dyn Reduce) -> Self {
        Self { ranks: Ranks::new(reduce), ..self }
    }

    /// What the summary calls the device, such as `cuda:0`. Nothing depends on it.
    #[must_use]
    pub fn with_device_name(self, name: impl Into<String>) -> Self {
        Self { device_name: name.into(), ..self }
    }

    /// Where tensors are computed, without gradients.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What the summary calls the device.
    pub fn device_name(&self) -> &str {
        &self.device_name
    }

    /// The flag that ends training.
    pub fn stop(&self) -> &'a AtomicBool {
        self.stop
    }

    /// Whether training is to end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Tells the observer.
    ///
    /// # Panics
    ///
    /// If the observer itself calls this.
    pub fn tell(&self, event: &TrainEvent) {
        (self.observer)(event);
    }

    pub(crate) fn warn(&self, text: String) {
        self.tell(&TrainEvent::Warning(text));
    }

    pub(crate) fn say(&self, text: String) {
        self.tell(&TrainEvent::Stage(text));
    }

    /// # Errors
    ///
    /// Once training is to end.
    pub(crate) fn go_on(&self) -> Result<(), Halt> {
        if self.is_stopped() { Err(Halt::Stopped { step: None }) } else { Ok(()) }
    }

    pub(crate) fn ranks(&self) -> &Ranks<'a> {
        &self.ranks
    }

    /// Whether a read from the device costs nothing, because its memory is that of the host.
    pub(crate) fn reads_are_free(&self) -> bool {
        is_host(&self.device)
    }
}

/// Whether tensors of the device are in the host's memory.
fn is_host(device: &Device) -> bool {
    *device == Device::flex()
}

impl fmt::Debug for Execution<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.device_name;
        f.debug_struct("Execution").field("device", name).field("stop", self.stop).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_changes_what_is_shown_and_nothing_else() {
        let device = Device::flex();
        let plain = Execution::new(&device.clone().autodiff());
        assert_eq!((plain.device_name(), plain.reads_are_free()), ("cpu", true));
        let named = Execution::new(&device).with_device_name("a large machine");
        assert_eq!((named.device_name(), named.reads_are_free()), ("a large machine", true));
    }

    #[test]
    fn the_observer_hears_events_in_their_order() {
        let mut heard = Vec::new();
        let execution =
            Execution::new(&Device::flex()).with_observer(|event| heard.push(format!("{event:?}")));
        execution.say("one".to_owned());
        execution.warn("two".to_owned());
        drop(execution);
        assert_eq!(heard, ["Stage(\"one\")", "Warning(\"two\")"]);
    }
}
