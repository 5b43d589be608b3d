//! A tensor that a forward pass updates without a gradient.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param,
    ParamId,
};
use burn::tensor::{Device, Tensor};

/// A running statistic of one number a channel.
///
/// Differs from Burn's `RunningState`: an update takes effect at once (there, a visitor sees the one before
/// the last, and a saved model would be a step behind), it does not depend on which thread made it, and a
/// clone is a snapshot (there, training a model also changes the copy of it that was kept as the best).
///
/// The value is kept without autodiff; in an operation with tracked tensors it is a constant.
#[derive(Debug)]
pub(crate) struct RunningTensor {
    id: ParamId,
    value: Mutex<Tensor<1>>,
}

impl RunningTensor {
    pub(crate) fn new(id: ParamId, value: Tensor<1>) -> Self {
        Self { id, value: Mutex::new(value.without_autodiff()) }
    }

    pub(crate) fn value(&self) -> Tensor<1> {
        self.lock().clone()
    }

    pub(crate) fn update(&self, next: impl FnOnce(Tensor<1>) -> Tensor<1>) {
        let mut value = self.lock();
        *value = next(value.clone()).without_autodiff();
    }

    fn lock(&self) -> MutexGuard<'_, Tensor<1>> {
        // A panic while the lock is held leaves the old value, which is whole.
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, value: Tensor<1>) -> Self {
        Self::new(self.id, value)
    }
}

impl Clone for RunningTensor {
    fn clone(&self) -> Self {
        self.with(self.value())
    }
}

impl Module for RunningTensor {
    fn collect_devices(&self, mut devices: Devices) -> Devices {
        let device = self.value().device();
        if !devices.contains(&device) {
            devices.push(device);
        }
        devices
    }

    fn fork(self, device: &Device) -> Self {
        self.to_device(device)
    }

    fn to_device(self, device: &Device) -> Self {
        self.with(self.value().to_device(device))
    }

    fn train(self) -> Self {
        self
    }

    fn valid(&self) -> Self {
        self.clone()
    }

    fn materialize(self) -> Self {
        self
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.visit_float(&Param::initialized(self.id, self.value()));
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let mapped = mapper.map_float(Param::initialized(self.id, self.value()));
        self.with(mapped.into_value())
    }
}

impl ModuleDisplayDefault for RunningTensor {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(&"RunningTensor".to_string()).optional()
    }
}

impl ModuleDisplay for RunningTensor {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(running: &RunningTensor) -> Vec<f32> {
        running.value().into_data().try_to_vec().unwrap()
    }

    #[test]
    fn a_clone_is_a_snapshot_and_an_update_is_seen_at_once() {
        let running = RunningTensor::new(ParamId::from(1), Tensor::zeros([2], &Device::flex()));
        let snapshot = running.clone();
        let valid = running.valid();
        running.update(|value| value + 1.0);
        assert_eq!(read(&running), [1.0, 1.0]);
        assert_eq!(read(&snapshot), [0.0, 0.0]);
        assert_eq!(read(&valid), [0.0, 0.0]);
    }

    #[test]
    fn never_requires_a_gradient() {
        let device = Device::flex().autodiff();
        let running = RunningTensor::new(ParamId::from(1), Tensor::zeros([2], &device));
        let running = running.set_require_grad(true);
        running.update(|value| value + Tensor::<1>::ones([2], &device).require_grad());
        assert!(!running.value().is_autodiff());
    }
}
