//! What a specification must hold before a network is built from it.

use crate::{Architecture, Head, ModelError, ModelSpec};

const MAX_SIDE: usize = 1 << 16;
const MAX_CHANNELS: usize = 1 << 10;
const MAX_EMBEDDING: usize = 1 << 16;
const MAX_CLASSES: usize = 1 << 20;

impl ModelSpec {
    /// Checks what does not depend on the architecture.
    pub(crate) fn check_numbers(&self) -> Result<(), ModelError> {
        let [channels, height, width] = self.input;
        in_range("input channels", channels, 1..=MAX_CHANNELS, "1 to 1024")?;
        in_range("input height", height, 1..=MAX_SIDE, "1 to 65536")?;
        in_range("input width", width, 1..=MAX_SIDE, "1 to 65536")?;
        match self.head {
            Head::Classifier { num_classes } => {
                in_range("num_classes", num_classes, 2..=MAX_CLASSES, "2 to 1048576")?;
            }
            Head::Embedding { size, .. } => {
                in_range("embedding_size", size, 1..=MAX_EMBEDDING, "1 to 65536")?
            }
        }
        probability("dropout", self.dropout)?;
        probability("stochastic_depth", self.stochastic_depth)
    }

    /// Parses the name and checks every number against it.
    ///
    /// # Errors
    ///
    /// An unknown or impossible name; a number outside its range; images that are too small for the network
    /// or not whole patches of it; noise that the network has no place for (it would silently do nothing).
    pub fn check(&self) -> Result<Architecture, ModelError> {
        let architecture: Architecture = self.architecture.parse()?;
        self.check_numbers()?;
        let [_, height, width] = self.input;
        let minimum = architecture.min_side();
        if height < minimum || width < minimum {
            let architecture = self.architecture.clone();
            return Err(ModelError::InputTooSmall { architecture, height, width, minimum });
        }
        let patch = architecture.patch().unwrap_or(1);
        if !height.is_multiple_of(patch) || !width.is_multiple_of(patch) {
            let architecture = self.architecture.clone();
            return Err(ModelError::NotDivisible { architecture, height, width, patch });
        }
        let not_applicable = |parameter, value, place| {
            Err(ModelError::NotApplicable {
                architecture: self.architecture.clone(),
                parameter,
                value,
                place,
            })
        };
        if self.dropout > 0.0 && !architecture.has_dropout() {
            return not_applicable("dropout", self.dropout, "hidden layer");
        }
        if self.stochastic_depth > 0.0 && !architecture.has_stochastic_depth() {
            return not_applicable("stochastic_depth", self.stochastic_depth, "residual block");
        }
        Ok(architecture)
    }
}

fn in_range(
    parameter: &'static str,
    value: usize,
    range: std::ops::RangeInclusive<usize>,
    allowed: &'static str,
) -> Result<(), ModelError> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(ModelError::InvalidParameter { parameter, value: value.to_string(), allowed })
}

fn probability(parameter: &'static str, value: f64) -> Result<(), ModelError> {
    // Positive form, so that NaN fails.
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    let allowed = "0 (inclusive) to 1 (exclusive)";
    Err(ModelError::InvalidParameter { parameter, value: value.to_string(), allowed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut ModelSpec)) -> String {
        let mut spec = ModelSpec::new("wrn-16-2", [3, 32, 32], 10);
        change(&mut spec);
        spec.check().unwrap_err().to_string()
    }

    #[test]
    fn numbers_outside_their_range_are_refused() {
        for rate in [f64::NAN, -0.1, 1.0, f64::INFINITY] {
            assert!(refused(|spec| spec.dropout = rate).starts_with("dropout is"), "{rate}");
            assert!(
                refused(|spec| spec.stochastic_depth = rate).starts_with("stochastic_depth is"),
                "{rate}"
            );
        }
        assert!(refused(|spec| spec.head = Head::Classifier { num_classes: 1 }).contains("num_classes is 1"));
        let empty = Head::Embedding { size: 0, unit_norm: true };
        assert!(refused(|spec| spec.head = empty).contains("embedding_size is 0"));
        assert!(refused(|spec| spec.input[0] = 0).contains("channels"));
        assert!(refused(|spec| spec.input[1] = usize::MAX).contains("height"));
        assert!(refused(|spec| spec.input[2] = 0).contains("width"));
    }

    #[test]
    fn small_images_and_idle_noise_are_refused_by_name() {
        assert!(refused(|spec| spec.input = [3, 32, 7]).contains("32x7 are too small for model `wrn-16-2`"));
        assert!(
            refused(|spec| {
                spec.architecture = "vit".into();
                spec.input = [1, 28, 30];
            })
            .contains("images of 28x30 do not divide into patches of 4x4 for model `vit`")
        );
        assert!(
            refused(|spec| {
                spec.architecture = "linear".into();
                spec.dropout = 0.5;
            })
            .contains("`linear` has no hidden layer, so dropout 0.5")
        );
        assert!(
            refused(|spec| {
                spec.architecture = "cnn".into();
                spec.stochastic_depth = 0.2;
            })
            .contains("`cnn` has no residual block")
        );
    }
}
