//! The pretrained network of photographs for which the user names neither network nor training: one of the
//! folder `MENTOR_BACKBONES`.

use mentor_data::{Source, shown_path};
use mentor_run::Config;
use mentor_train::Plan;

use crate::files::user_folders::{backbone_named, backbones};
use crate::terminal::error::Failure;
use crate::terminal::output;

/// The same configuration, with a pretrained network where it is to have one, and its file found.
pub(crate) fn fill_in(mut config: Config) -> Result<Config, Failure> {
    if let Some(named) = &config.model.backbone {
        config.model.backbone = Some(backbone_named(named));
        return Ok(config);
    }
    let Some(file) = backbones().into_iter().next() else { return Ok(config) };
    let with_backbone = {
        let mut config = config.clone();
        config.model.backbone = Some(file.clone());
        config
    };
    // What the user says of a network and its training does not go with a backbone.
    let Ok(plan) = Plan::try_from(with_backbone.clone()) else { return Ok(config) };
    // What cannot be opened is said by training.
    if !Source::open(plan.source(), plan.options()).is_ok_and(|source| source.has_photographs()) {
        return Ok(config);
    }
    output::note(&format!(
        "the images are photographs: taking the features of {} in MENTOR_BACKBONES; --backbone takes \
         another, and --model cnn trains from scratch",
        shown_path(&file)
    ));
    Ok(with_backbone)
}
