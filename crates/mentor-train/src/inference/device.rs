//! Transfers between host and device: batches up, numbers back.

use burn::tensor::{Device, Int, Tensor, TensorData};
use mentor_data::HostBatch;

/// The images `[B, C, H, W]` of a batch on a device; their pixels leave the batch.
pub(crate) fn images_to_device(batch: &mut HostBatch, device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(std::mem::take(&mut batch.pixels), batch.shape), device)
}

/// Targets `[B]` on a device.
pub(crate) fn targets_to_device(targets: &[u32], device: &Device) -> Tensor<1, Int> {
    let targets: Vec<i32> = targets.iter().map(|&target| target as i32).collect();
    let shape = [targets.len()];
    Tensor::from_data(TensorData::new(targets, shape), device)
}

/// Reads a float tensor back to the host. Waits for the device.
pub(crate) fn to_host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.try_into_vec_as::<f32>().expect("an f32 tensor can be read back as f32")
}
