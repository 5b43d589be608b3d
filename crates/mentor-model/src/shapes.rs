//! Shapes of the tensors of a network, before it has any.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// Path and shape of every tensor, running statistics included, in the order of the layers. Draws no first
/// values.
pub fn tensor_shapes(module: &impl Module) -> Vec<(String, Vec<usize>)> {
    #[derive(Default)]
    struct Shapes {
        path: Vec<String>,
        found: Vec<(String, Vec<usize>)>,
    }
    impl ModuleVisitor for Shapes {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_string());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.found.push((self.path.join("."), param.lazy_shape().as_slice().to_vec()));
        }
    }
    let mut shapes = Shapes::default();
    module.visit(&mut shapes);
    shapes.found
}

/// Whether the first names of `path` are those of `prefix`: `blocks.1` is not the beginning of
/// `blocks.10.weight`.
pub(crate) fn begins_with(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
