//! The flags that choose a part of the images.

use anyhow::anyhow;
use mentor_train::pseudo_labels::{Shard, ShardError, detect_shard};

use crate::terminal::error::Failure;

/// Which part of the images this process takes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Sharding {
    /// Take only this part of the images, INDEX/COUNT with INDEX from 0; auto: the part that SLURM,
    /// Kubernetes or AWS Batch names
    #[arg(long, value_name = "INDEX/COUNT", value_parser = choice)]
    shard: Option<Choice>,

    /// Divide the images into this many parts, at least 1, for schedulers that tell a process only its index
    #[arg(long, value_name = "COUNT", requires = "shard", value_parser = clap::value_parser!(u32).range(1..))]
    num_shards: Option<u32>,
}

/// The value of `--shard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// What a scheduler says.
    Auto,
    Given(Shard),
}

/// The error of `--shard auto` where no scheduler says anything.
pub(crate) fn no_scheduler() -> Failure {
    let error = anyhow!("--shard auto: no scheduler names the part of this process");
    let arrays = "a SLURM array, a Kubernetes indexed job or an AWS Batch array";
    Failure::usage(error).help(format!("run it in {arrays}, or give --shard INDEX/COUNT"))
}

/// Reads the value of `--shard`.
pub(crate) fn choice(text: &str) -> Result<Choice, String> {
    match text {
        "auto" => Ok(Choice::Auto),
        text => text.parse().map(Choice::Given).map_err(|error: ShardError| error.to_string()),
    }
}

impl Sharding {
    /// The part; `None` if none was asked for.
    ///
    /// # Errors
    ///
    /// `auto` outside of an array of a scheduler, or in one that does not say enough.
    pub(crate) fn part(&self) -> Result<Option<Shard>, Failure> {
        match self.shard {
            None => Ok(None),
            Some(Choice::Given(shard)) => Ok(Some(shard)),
            Some(Choice::Auto) => {
                let found = detect_shard(|name| std::env::var(name).ok(), self.num_shards);
                let found = found.map_err(|error| {
                    let help = error.help();
                    Failure::usage(error).ways(help)
                })?;
                found.ok_or_else(no_scheduler).map(Some)
            }
        }
    }
}
