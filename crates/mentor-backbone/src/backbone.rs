//! A network with its weights, and what an image must be before it sees it.

use std::path::Path;

use mentor_simd::Level;
use serde::Serialize;

use crate::architecture::Architecture;
use crate::error::BackboneError;
use crate::layouts::preprocessing::{BackbonePreprocessing, TimmConfig, usual};
use crate::layouts::source::FileSource;
use crate::layouts::{Layout, Recognised, build, without_prefix};
use crate::network::Network;
use crate::weights::{FileForm, Weights, read, read_file};

/// A pretrained network, read from a file.
pub struct Backbone {
    /// Which one.
    pub architecture: &'static Architecture,
    /// Whose names the tensors had.
    pub layout: Layout,
    /// The form of the file.
    pub form: FileForm,
    /// Of the file's bytes.
    pub weights_blake3: blake3::Hash,
    /// Tensors that the network has.
    pub num_used: usize,
    /// Tensors of the file that the network does without, such as counters, in order.
    pub skipped: Vec<String>,
    /// What an image must be.
    pub preprocessing: BackbonePreprocessing,
    /// How the preprocessing and the variant of the network are known.
    pub known_by: KnownBy,
    /// The network.
    pub network: Network,
}

/// What decided between networks with equal tensors, and their preprocessing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KnownBy {
    /// Nothing but names and shapes of the tensors: what is usual for them.
    Layout,
    /// The caller.
    Caller,
    /// The `config.json` beside the file.
    Config,
    /// The name of the file.
    FileName,
}

impl Backbone {
    /// Reads a file. `architecture` decides between networks with equal tensors, such as `deit-small` and
    /// `vit-small`.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, or that its tensors are not of the architecture.
    pub fn open(path: &Path, architecture: Option<&str>) -> Result<Self, BackboneError> {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
        Self::of(read_file(path)?, architecture, TimmConfig::beside(path), &stem)
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    ///
    /// As [`Backbone::open`].
    pub fn from_bytes(bytes: &[u8], architecture: Option<&str>) -> Result<Self, BackboneError> {
        Self::of(read(bytes)?, architecture, None, "")
    }

    fn of(
        weights: Weights,
        wanted: Option<&str>,
        config: Option<TimmConfig>,
        file_stem: &str,
    ) -> Result<Self, BackboneError> {
        let Weights { form, tensors, blake3: weights_blake3 } = weights;
        let tensors = without_prefix(tensors);
        let recognised = Recognised::of(&tensors)?;
        let layout = recognised.layout;
        let configured = config.as_ref().and_then(|config| config.architecture.as_deref());
        let (architecture, known_by) = match (wanted, configured) {
            (Some(wanted), _) => (recognised.choose(wanted)?, KnownBy::Caller),
            (None, Some(name)) => (likeliest(&recognised, name).0, KnownBy::Config),
            (None, None) => match likeliest(&recognised, file_stem) {
                (architecture, true) => (architecture, KnownBy::FileName),
                (architecture, false) => (architecture, KnownBy::Layout),
            },
        };
        let mut source = FileSource::new(architecture, &tensors);
        let network = build(Level::current(), &mut source, layout, architecture)?;
        let num_used = source.finish()?;
        let mut preprocessing = usual(architecture, layout);
        if let (Some(config), KnownBy::Config) = (&config, known_by) {
            config.apply(&mut preprocessing);
        }
        let skipped = source.skipped.into_iter().collect();
        Ok(Self {
            architecture,
            layout,
            form,
            weights_blake3,
            num_used,
            skipped,
            preprocessing,
            known_by,
            network,
        })
    }
}

/// The candidate that a name of timm or of a file speaks for, and whether it speaks for one of several.
fn likeliest(recognised: &Recognised, name: &str) -> (&'static Architecture, bool) {
    let candidates = &recognised.candidates;
    let speaks_for = |candidate: &&&Architecture| {
        let family = candidate.name.split('-').next().unwrap_or_default();
        match family {
            "tf" => name.contains("tf_") || name.contains("tf-"),
            "dino" => name.contains("dino"),
            "deit" => name.contains("deit"),
            "vit" => name.contains("vit_") && !name.contains("dino"),
            _ => false,
        }
    };
    match candidates.iter().find(speaks_for) {
        Some(found) if candidates.len() > 1 => (found, true),
        _ => (candidates[0], false),
    }
}
