//! Layer-wise decay of the learning rate: early layers, which know what all images have in common, move less.
//!
//! ```text
//! η_l = η · decay^(L − 1 − l)        for layer l of L, the head being the last
//! ```
//!
//! A layer is what a parameter's name begins with: its first word, and the number behind it if there is one,
//! such as `stem`, `stages.0` and `head`.
//!
//! **Source.** Howard and Ruder 2018 (ULMFiT, section 3.2); the form of Clark et al. 2020 (ELECTRA, appendix
//! A) and Bao et al. 2022 (BEiT).

use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use mentor_model::Model;

/// What the rate of each parameter is multiplied by.
pub(super) fn rate_factors(model: &Model, decay: f64) -> HashMap<ParamId, f64> {
    let mut found = Layers::default();
    model.visit(&mut found);
    let num_layers = found.names.len() as i32;
    let factor = |(id, layer): (ParamId, usize)| (id, decay.powi(num_layers - 1 - layer as i32));
    found.params.into_iter().map(factor).collect()
}

/// The layers in their order, and to which each parameter belongs.
#[derive(Default)]
struct Layers {
    path: Vec<String>,
    names: Vec<String>,
    params: Vec<(ParamId, usize)>,
}

impl ModuleVisitor for Layers {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let is_number = |word: &&String| word.bytes().all(|byte| byte.is_ascii_digit());
        let number = self.path.get(1).filter(is_number);
        let words: Vec<&str> = self.path.first().into_iter().chain(number).map(String::as_str).collect();
        let name = words.join(".");
        if self.names.last() != Some(&name) {
            self.names.push(name);
        }
        self.params.push((param.id, self.names.len() - 1));
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use mentor_model::ModelSpec;

    use super::*;

    #[test]
    fn the_head_has_the_whole_rate_and_each_layer_before_it_a_share_of_the_next() {
        let model = Model::new(&ModelSpec::new("resnet-20", [3, 16, 16], 4), 0, &Device::flex()).unwrap();
        let mut layers = Layers::default();
        model.visit(&mut layers);
        assert_eq!(layers.names.last().unwrap(), "head");
        let factors = rate_factors(&model, 0.5);
        let mut found: Vec<f64> = factors.values().copied().collect();
        found.sort_by(f64::total_cmp);
        found.dedup();
        let expected: Vec<f64> =
            (0..layers.names.len() as i32).rev().map(|power| 0.5_f64.powi(power)).collect();
        assert_eq!(found, expected);
        assert_eq!(factors.len(), layers.params.len());
    }
}
