//! Convolutional networks as plain data, from files and by name.

use crate::architecture::Architecture;
use crate::error::BackboneError;
use crate::layouts::source::{FileSource, Recorder};
use crate::layouts::{Layout, Recognised, conv_net, without_prefix};
use crate::network::blocks::ConvNet;
use crate::weights::read;

impl ConvNet {
    /// The network of this architecture in the bytes of a file, without its head.
    ///
    /// # Errors
    ///
    /// As [`Backbone::from_bytes`](crate::Backbone::from_bytes), and [`BackboneError::NoConvNet`] of a
    /// transformer.
    pub fn from_bytes(bytes: &[u8], architecture: &'static Architecture) -> Result<Self, BackboneError> {
        let tensors = without_prefix(read(bytes)?.tensors);
        let recognised = Recognised::of(&tensors)?;
        let architecture = recognised.choose(architecture.name)?;
        let mut source = FileSource::new(architecture, &tensors);
        let (net, _) = conv_net(&mut source, recognised.layout, architecture)?;
        source.finish()?;
        Ok(net)
    }

    /// The network of this architecture, all weights 0.
    ///
    /// # Errors
    ///
    /// [`BackboneError::NoConvNet`] of a transformer.
    ///
    /// ```
    /// use mentor_backbone::{Architecture, ConvNet};
    /// let net = ConvNet::zeros(Architecture::find("efficientnet-lite0").unwrap())?;
    /// assert_eq!((net.stages.len(), net.num_features), (7, 1280));
    /// assert!(ConvNet::zeros(Architecture::find("vit-tiny").unwrap()).is_err());
    /// # Ok::<(), mentor_backbone::BackboneError>(())
    /// ```
    pub fn zeros(architecture: &'static Architecture) -> Result<Self, BackboneError> {
        let (net, _) = conv_net(&mut Recorder::default(), Layout::Timm, architecture)?;
        Ok(net)
    }
}
