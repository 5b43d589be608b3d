//! `model.json`: the description that stands beside the weights.

use mentor_data::{OpenOptions, Preprocessing};
use mentor_loss::Penalty;
use mentor_metrics::calibration::Calibration;
use mentor_model::{Head, ModelSpec};
use mentor_run::{BackboneRecord, MODEL_FILE, MODEL_FORMAT, OLDEST_MODEL_FORMAT, RunDir, RunDirError};
use serde::{Deserialize, Serialize};

use crate::inference::model_file_2::ModelFile2;
use crate::inference::model_loss::ModelLoss;
use crate::inference::tuned;

/// `model.json`: what is needed to use `model.safetensors`. Every value is resolved: none means "default".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Version of this file's layout.
    pub format: u32,
    /// The network.
    pub spec: ModelSpec,
    /// The pretrained network that the model is of. Where it stayed as it is, its weights are in
    /// `backbone.weights`; where it was fine-tuned, the weights are all the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backbone: Option<BackboneRecord>,
    /// Class names, in the order of the scores.
    pub classes: Vec<String>,
    /// What is done to an image before the network sees it.
    pub preprocessing: Preprocessing,
    /// The data loss that the model was trained with.
    pub loss: ModelLoss,
    /// The penalty that the model was trained with.
    pub penalty: Penalty,
    /// The data that the model was trained on, and how it was split.
    pub data: ModelData,
    /// [`Source::fingerprint`](mentor_data::Source::fingerprint) of that data; models of older versions have
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_blake3: Option<String>,
    /// blake3 of `model.safetensors`' weights.
    pub weights_blake3: String,
    /// What makes probabilities of the scores, where `mentor calibrate` has fitted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

/// The data that a model was trained on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelData {
    /// `digits` or a path; absent if the images were those of a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Splits, sizes, bad images and limits.
    pub options: OpenOptions,
}

impl ModelFile {
    /// The description of the model of a run that has one.
    ///
    /// # Errors
    ///
    /// As [`RunDir::model_json`]; [`RunDirError::Damaged`] where its parts do not fit each other, or where it
    /// is not the one that `summary.json` names.
    pub fn read(run: &RunDir) -> Result<Self, RunDirError> {
        let bytes = run.model_json()?;
        // A run whose summary is missing or damaged has its model all the same.
        let named = run.summary().ok().and_then(|summary| summary.model_blake3);
        Self::parse(&bytes, named.as_deref()).map_err(damaged(run))
    }

    /// Stores `calibration` in the description of a run's model, in place of an earlier one.
    ///
    /// # Errors
    ///
    /// As [`ModelFile::read`], and when the file system refuses.
    pub fn calibrate(run: &RunDir, calibration: &Calibration) -> Result<(), RunDirError> {
        Self::copy(run, run, calibration)
    }

    /// Writes the description of one run's model into another run, with this calibration.
    ///
    /// # Errors
    ///
    /// As [`ModelFile::calibrate`].
    pub(crate) fn copy(from: &RunDir, to: &RunDir, calibration: &Calibration) -> Result<(), RunDirError> {
        Self::read(from)?;
        let bytes = with_calibration(&from.model_json()?, calibration).map_err(damaged(from))?;
        to.write(MODEL_FILE, &bytes)
    }

    /// Reads the file and checks it; `named` is its [`model_blake3`] in `summary.json`, where that has one.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong.
    pub(crate) fn parse(bytes: &[u8], named: Option<&str>) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let found: Format = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let file: Self = match found.format {
            MODEL_FORMAT => serde_json::from_slice(bytes).map_err(|error| error.to_string())?,
            OLDEST_MODEL_FORMAT => {
                Self::of_version_2(serde_json::from_slice(bytes).map_err(|error| error.to_string())?)?
            }
            format => return Err(format!("it has format {format}, and this mentor reads {MODEL_FORMAT}")),
        };
        file.check()?;
        match named {
            Some(named) if named != model_blake3(bytes)? => {
                Err("it is not the one that summary.json names".to_owned())
            }
            _ => Ok(file),
        }
    }

    /// The same with the defaults of that version filled in.
    fn of_version_2(old: ModelFile2) -> Result<Self, String> {
        let ModelFile2 { spec, classes, preprocessing, loss, penalty, data, .. } = old;
        let unit_norm = matches!(spec.head, Head::Embedding { unit_norm: true, .. });
        Ok(Self {
            format: MODEL_FORMAT,
            backbone: None,
            classes,
            preprocessing,
            loss: ModelLoss::of_config(&loss, unit_norm).map_err(|error| error.to_string())?,
            penalty: Penalty::new(penalty.l1.unwrap_or(0.0), penalty.l2.unwrap_or(0.0))
                .map_err(|error| error.to_string())?,
            data: ModelData { source: data.source, options: data.options },
            source_blake3: old.source_blake3,
            weights_blake3: old.weights_blake3,
            calibration: old.calibration,
            spec,
        })
    }

    /// Whether the weights of a pretrained network are in a file beside the model's own.
    #[must_use]
    pub fn has_backbone_file(&self) -> bool {
        self.backbone.is_some() && !self.spec.architecture.starts_with(tuned::PREFIX)
    }

    /// That its parts fit each other. The network is checked where it is built.
    fn check(&self) -> Result<(), String> {
        let mut names: Vec<&String> = self.classes.iter().collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("two classes are called {:?}", pair[0]));
        }
        let Preprocessing { format, mean, std } = &self.preprocessing;
        format.check().map_err(|error| error.to_string())?;
        let shape = [format.channels, format.height, format.width];
        if shape != self.spec.input {
            return Err(format!("its images are {shape:?}, and its network takes {:?}", self.spec.input));
        }
        let [channels, ..] = shape;
        if mean.len() != channels || std.len() != channels {
            return Err(format!(
                "{channels} channels have {} means and {} standard deviations",
                mean.len(),
                std.len()
            ));
        }
        // As they enter the multiplication: a deviation of 1e-40 is above 0, and its inverse infinite.
        let usable = |(&mean, &std): (&f32, &f32)| {
            std > 0.0 && (1.0 / (255.0 * std)).is_finite() && (mean / std).is_finite() && mean.is_finite()
        };
        if !mean.iter().zip(std).all(usable) {
            return Err(format!("images cannot be normalised by means {mean:?} and deviations {std:?}"));
        }
        self.data.options.check().map_err(|error| error.to_string())?;
        let kind = match (self.spec.head, &self.loss) {
            (Head::Classifier { .. }, ModelLoss::Ranking(_)) => Some("a classifier"),
            (Head::Embedding { .. }, ModelLoss::Scores(_)) => Some("an embedding model"),
            _ => None,
        };
        if let Some(kind) = kind {
            return Err(format!("loss \"{}\" is not one of {kind}", self.loss.name()));
        }
        match self.spec.head {
            Head::Classifier { num_classes } => {
                if let ModelLoss::Scores(loss) = &self.loss {
                    loss.build(num_classes).map_err(|error| error.to_string())?;
                }
                if self.classes.len() != num_classes {
                    return Err(format!(
                        "its network gives {num_classes} scores, and it names {} classes",
                        self.classes.len()
                    ));
                }
                match &self.calibration {
                    Some(calibration) if !calibration.is_valid(num_classes) => {
                        Err("its calibration does not fit; run mentor calibrate again".into())
                    }
                    _ => Ok(()),
                }
            }
            Head::Embedding { .. } if self.calibration.is_some() => {
                Err("it has a calibration, and embeddings have no probabilities".into())
            }
            Head::Embedding { .. } => Ok(()),
        }
    }
}

/// Says whose description is damaged.
fn damaged(run: &RunDir) -> impl FnOnce(String) -> RunDirError + use<> {
    let path = run.path().join(MODEL_FILE);
    move |message| RunDirError::Damaged { path, message }
}

/// blake3, in hexadecimal, of a `model.json` without its calibration, which changes after training.
///
/// # Errors
///
/// When it is no JSON object.
pub(crate) fn model_blake3(bytes: &[u8]) -> Result<String, String> {
    let mut fields = fields(bytes)?;
    fields.remove("calibration");
    // What was read, as a later version reads it too, which may have fields of its own.
    Ok(blake3::hash(serde_json::Value::Object(fields).to_string().as_bytes()).to_hex().to_string())
}

/// A `model.json` with another calibration. The rest stays as it is, so that [`model_blake3`] does.
///
/// # Errors
///
/// As [`model_blake3`].
fn with_calibration(bytes: &[u8], calibration: &Calibration) -> Result<Vec<u8>, String> {
    let mut fields = fields(bytes)?;
    fields.insert("calibration".to_owned(), serde_json::to_value(calibration).expect("plain data"));
    let mut text = mentor_run::json::pretty(&fields).expect("plain data");
    text.push(b'\n');
    Ok(text)
}

fn fields(bytes: &[u8]) -> Result<serde_json::Map<String, serde_json::Value>, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use mentor_data::ImageFormat;
    use mentor_loss::{ScoreLoss, SoftmaxCrossEntropy};

    use super::*;

    fn file() -> ModelFile {
        ModelFile {
            format: MODEL_FORMAT,
            spec: ModelSpec::new("linear", [1, 8, 8], 2),
            backbone: None,
            classes: vec!["cat".to_owned(), "dog".to_owned()],
            preprocessing: Preprocessing {
                format: ImageFormat::new(1, 8, 8),
                mean: vec![0.1307],
                std: vec![0.3081],
            },
            loss: ModelLoss::Scores(ScoreLoss::SOFTMAX),
            penalty: Penalty::default(),
            data: ModelData::default(),
            source_blake3: None,
            weights_blake3: "ab".to_owned(),
            calibration: None,
        }
    }

    #[test]
    fn parts_that_do_not_fit_each_other_are_refused_each_with_its_reason() {
        assert_eq!(file().check(), Ok(()));
        let mut whole = file();
        whole.calibration = Some(Calibration { temperature: 2.0, biases: vec![0.5, -0.5] });
        assert_eq!(whole.check(), Ok(()));
        /// What is said, and of which change.
        type Change = (&'static str, fn(&mut ModelFile));
        let changes: [Change; 17] = [
            ("names 1 classes", |file| file.classes.truncate(1)),
            ("names 0 classes", |file| file.classes.clear()),
            ("names 3 classes", |file| file.classes.push("frog".to_owned())),
            ("two classes are called \"cat\"", |file| file.classes[1] = "cat".to_owned()),
            ("its images are [1, 16, 8]", |file| file.preprocessing.format.height = 16),
            ("channels = 2", |file| file.preprocessing.format.channels = 2),
            ("2 means and 1 standard", |file| file.preprocessing.mean.push(0.5)),
            ("1 means and 0 standard", |file| file.preprocessing.std.clear()),
            ("normalised", |file| file.preprocessing.std[0] = 0.0),
            ("normalised", |file| file.preprocessing.std[0] = 1e-40),
            ("normalised", |file| file.preprocessing.mean[0] = f32::NAN),
            ("normalised", |file| file.preprocessing.std[0] = -0.3),
            ("not one of an embedding model", |file| {
                file.spec.head = Head::Embedding { size: 2, unit_norm: true };
            }),
            ("1 class weights, and 2 classes", |file| {
                let weighted = SoftmaxCrossEntropy::new().with_class_weights(vec![1.0]).unwrap();
                file.loss = ModelLoss::Scores(ScoreLoss::Softmax(weighted));
            }),
            ("val_fraction", |file| file.data.options.val_fraction = 2.0),
            ("calibration", |file| {
                file.calibration = Some(Calibration { temperature: 0.0, biases: Vec::new() });
            }),
            ("calibration", |file| {
                file.calibration = Some(Calibration { temperature: 1.0, biases: vec![0.0; 3] });
            }),
        ];
        for (what, change) in changes {
            let mut changed = file();
            change(&mut changed);
            let error = changed.check().unwrap_err();
            assert!(error.contains(what), "{what}: {error}");
        }
    }

    #[test]
    fn the_hash_changes_with_every_field_but_the_calibration() {
        let bytes = serde_json::to_vec(&file()).unwrap();
        let hash = model_blake3(&bytes).unwrap();
        let calibration = Calibration { temperature: 1.3, biases: vec![0.1, -0.1] };
        let calibrated = with_calibration(&bytes, &calibration).unwrap();
        assert_eq!(model_blake3(&calibrated).unwrap(), hash);
        let parsed = ModelFile::parse(&calibrated, Some(&hash)).unwrap();
        assert_eq!(parsed, ModelFile { calibration: Some(calibration), ..file() });
        let text = String::from_utf8(bytes).unwrap();
        for (from, to) in [("\"cat\"", "\"cow\""), ("0.1307", "0.1308"), ("\"ab\"", "\"ac\"")] {
            let changed = text.replace(from, to);
            assert_ne!(model_blake3(changed.as_bytes()).unwrap(), hash, "{to}");
            let error = ModelFile::parse(changed.as_bytes(), Some(&hash)).unwrap_err();
            assert!(error.contains("summary.json"), "{error}");
            assert!(ModelFile::parse(changed.as_bytes(), None).is_ok(), "a run of an older version");
        }
        assert!(ModelFile::parse(text.replace("{", "{\"more\":1,").as_bytes(), None).is_err());
    }

    #[test]
    fn a_file_of_the_oldest_version_means_the_same_with_its_defaults_filled_in() {
        let mut old = serde_json::to_value(file()).unwrap();
        old["format"] = OLDEST_MODEL_FORMAT.into();
        let data = old["data"].clone();
        for (loss, penalty) in [
            (r#"{"name": "softmax"}"#, "{}"),
            (
                r#"{"name": "softmax", "label_smoothing": 0.0, "class_weights": []}"#,
                r#"{"l1": 0.0, "l2": 0.0}"#,
            ),
        ] {
            old["loss"] = serde_json::from_str(loss).unwrap();
            old["penalty"] = serde_json::from_str(penalty).unwrap();
            old["data"] = data.clone();
            old["data"]["augment"] = "none".into();
            let bytes = serde_json::to_vec(&old).unwrap();
            assert_eq!(ModelFile::parse(&bytes, Some(&model_blake3(&bytes).unwrap())).unwrap(), file());
        }
        old["loss"]["name"] = "focal".into();
        let error = ModelFile::parse(&serde_json::to_vec(&old).unwrap(), None).unwrap_err();
        assert!(error.contains("\"focal\" is not one"), "{error}");
        old["format"] = (MODEL_FORMAT + 1).into();
        let error = ModelFile::parse(&serde_json::to_vec(&old).unwrap(), None).unwrap_err();
        assert!(error.contains("it has format 4"), "{error}");
    }
}
