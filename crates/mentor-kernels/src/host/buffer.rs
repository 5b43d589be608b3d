//! Between Burn's tensors on the `flex` device and slices of `f32`.

use burn::backend::Flex;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::tensor::{DType, Device, Tensor, TensorData};

/// A tensor of the `flex` device.
pub(crate) type CpuTensor = FloatTensor<Flex>;

/// `count` values that the caller overwrites.
pub(crate) fn filled(count: usize) -> Vec<f32> {
    // Zeroed pages from the system cost nothing; recycled ones are cleared at the speed of a store.
    vec![0.0; count]
}

/// Whether the kernels run on `tensor`: it is `f32` on the `flex` device.
pub(crate) fn is_on_cpu<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && tensor.device() == Device::flex()
}

/// A tensor of this shape that takes the values over.
pub(crate) fn to_tensor(values: Vec<f32>, shape: &[usize]) -> CpuTensor {
    CpuTensor::from_data(TensorData::new(values, shape.to_vec()))
}

/// Contiguous, at offset 0 or not: what [`values`] can read.
pub(crate) fn contiguous(tensor: CpuTensor) -> CpuTensor {
    if tensor.as_slice::<f32>().is_some() { tensor } else { tensor.to_contiguous() }
}

/// The values of a tensor that is [`contiguous`].
pub(crate) fn values(tensor: &CpuTensor) -> &[f32] {
    tensor.as_slice().expect("contiguous f32 values")
}

/// The class of each sample.
///
/// # Panics
///
/// If one is not in `0..num_classes`.
pub(crate) fn classes(targets: &IntTensor<Flex>, num_classes: usize) -> Vec<usize> {
    let targets = targets.to_contiguous();
    let check = |target: i64| match usize::try_from(target) {
        Ok(class) if class < num_classes => class,
        _ => panic!("target {target} is not a class: there are {num_classes}"),
    };
    if let Some(values) = targets.as_slice::<i64>() {
        values.iter().map(|&target| check(target)).collect()
    } else if let Some(values) = targets.as_slice::<i32>() {
        values.iter().map(|&target| check(i64::from(target))).collect()
    } else {
        panic!("targets of type {:?} are neither i32 nor i64", targets.dtype())
    }
}
