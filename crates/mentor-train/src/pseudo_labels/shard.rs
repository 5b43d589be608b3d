//! Which part of the images a process labels, given or read from the scheduler's environment.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Part `index` of `count`, counted from 0. Written `index/count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// From 0 to `count` − 1.
    pub index: u32,
    /// At least 1.
    pub count: u32,
}

/// A shard that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// Not of the form i/N.
    #[error(
        "shard {value:?}: must be INDEX/COUNT with 0 <= INDEX < COUNT, such as 0/16 for the first and 15/16 \
         for the last"
    )]
    Invalid {
        /// What was given.
        value: String,
    },
    /// A variable of a scheduler without a usable number.
    #[error("{name}={value:?} is not {expected}")]
    Variable {
        /// The variable.
        name: &'static str,
        /// Its value, empty if it is not set.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// An index without a count.
    #[error("{name} is set, but the scheduler does not say how many processes there are")]
    NoCount {
        /// The variable with the index.
        name: &'static str,
    },
}

impl ShardError {
    /// What to do next, as [`DataError::help`](mentor_data::DataError::help) says it.
    #[must_use]
    pub fn help(&self) -> Vec<String> {
        let ways: &[&str] = match self {
            Self::Invalid { .. } => &[],
            Self::Variable { .. } => &["give INDEX/COUNT as `shard`"],
            Self::NoCount { .. } => &["give INDEX/COUNT as `shard`", "give the count as `num_shards`"],
        };
        ways.iter().map(|&way| way.to_owned()).collect()
    }
}

impl Shard {
    /// Everything in one.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Part `index` of `count`.
    ///
    /// # Errors
    ///
    /// [`ShardError::Invalid`] unless `index` < `count`.
    pub fn new(index: u32, count: u32) -> Result<Self, ShardError> {
        let shard = Self { index, count };
        if index < count { Ok(shard) } else { Err(ShardError::Invalid { value: shard.to_string() }) }
    }

    /// The positions of this part among `num_images`. All parts, one after the other, are all images in
    /// order; their sizes differ by at most 1.
    pub fn range(&self, num_images: u64) -> Range<u64> {
        let bound =
            |index: u32| (u128::from(num_images) * u128::from(index) / u128::from(self.count.max(1))) as u64;
        bound(self.index)..bound(self.index + 1)
    }

    /// `labels.parquet`, or `labels-00003-of-00016.parquet` for one of several parts.
    pub fn file_name(&self) -> String {
        match self.count {
            1 => "labels.parquet".to_owned(),
            count => format!("labels-{:05}-of-{count:05}.parquet", self.index),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let invalid = || ShardError::Invalid { value: text.to_owned() };
        let (index, count) = text.split_once('/').ok_or_else(invalid)?;
        let number = |text: &str| text.parse().map_err(|_| invalid());
        Self::new(number(index)?, number(count)?).map_err(|_| invalid())
    }
}

/// The shard that the environment names; `None` outside of a scheduler's array. `lookup` reads a variable;
/// `count` is for Kubernetes, which tells a process its index and not the number of processes.
///
/// | scheduler | index | count |
/// |---|---|---|
/// | SLURM array | (`SLURM_ARRAY_TASK_ID` − `SLURM_ARRAY_TASK_MIN`) / `SLURM_ARRAY_TASK_STEP` |
/// `SLURM_ARRAY_TASK_COUNT` |
/// | Kubernetes indexed job | `JOB_COMPLETION_INDEX` | `count` |
/// | AWS Batch array | `AWS_BATCH_JOB_ARRAY_INDEX` | `AWS_BATCH_JOB_ARRAY_SIZE` |
///
/// # Errors
///
/// A variable that is missing beside the others or no number; an index that is not below the count; a SLURM
/// array with gaps, such as `--array=1,5,7`; no count in Kubernetes.
pub fn detect_shard(
    lookup: impl Fn(&str) -> Option<String>,
    count: Option<u32>,
) -> Result<Option<Shard>, ShardError> {
    const WHOLE: &str = "a whole number";
    let optional = |name: &'static str| {
        lookup(name)
            .map(|value| {
                value.trim().parse::<u32>().map_err(|_| ShardError::Variable { name, value, expected: WHOLE })
            })
            .transpose()
    };
    let needed = |name: &'static str| {
        optional(name)?.ok_or(ShardError::Variable { name, value: String::new(), expected: WHOLE })
    };
    let shard = |name: &'static str, index: u32, count: u32| {
        let expected = "an index below the number of processes";
        let value = index.to_string();
        Shard::new(index, count).map(Some).map_err(|_| ShardError::Variable { name, value, expected })
    };
    const SLURM: &str = "SLURM_ARRAY_TASK_ID";
    const KUBERNETES: &str = "JOB_COMPLETION_INDEX";
    const AWS: &str = "AWS_BATCH_JOB_ARRAY_INDEX";
    if let Some(id) = optional(SLURM)? {
        let (count, first) = (needed("SLURM_ARRAY_TASK_COUNT")?, needed("SLURM_ARRAY_TASK_MIN")?);
        let step = optional("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
        let place =
            |id: u32| id.checked_sub(first).filter(|offset| offset % step == 0).map(|offset| offset / step);
        let last = optional("SLURM_ARRAY_TASK_MAX")?.map_or(Some(count.saturating_sub(1)), place);
        let Some(index) = place(id).filter(|_| last.and_then(|last| last.checked_add(1)) == Some(count))
        else {
            let expected = "in an array without gaps";
            return Err(ShardError::Variable { name: SLURM, value: id.to_string(), expected });
        };
        return shard(SLURM, index, count);
    }
    if let Some(index) = optional(AWS)? {
        return shard(AWS, index, needed("AWS_BATCH_JOB_ARRAY_SIZE")?);
    }
    match (optional(KUBERNETES)?, count) {
        (Some(index), Some(count)) => shard(KUBERNETES, index, count),
        (Some(_), None) => Err(ShardError::NoCount { name: KUBERNETES }),
        (None, _) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(variables: &[(&str, &str)], count: Option<u32>) -> Result<Option<Shard>, ShardError> {
        let lookup = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string())
        };
        detect_shard(lookup, count)
    }

    #[test]
    fn parts_are_all_images_once_and_in_order() {
        for (num_images, count) in [(0, 3), (1, 3), (10, 3), (16, 16), (1_000_000, 7), (u64::MAX, 5)] {
            let ranges: Vec<Range<u64>> =
                (0..count).map(|index| Shard { index, count }.range(num_images)).collect();
            assert_eq!((ranges[0].start, ranges[count as usize - 1].end), (0, num_images));
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
            let sizes = ranges.iter().map(|range| range.end - range.start);
            assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
        }
    }

    #[test]
    fn written_forms_are_read_back_and_others_refused() {
        let shard = Shard { index: 3, count: 16 };
        assert_eq!(shard.to_string().parse::<Shard>().unwrap(), shard);
        assert_eq!(shard.file_name(), "labels-00003-of-00016.parquet");
        for bad in ["16/16", "0/0", "-1/4", "3", "a/b", "1/2/3", ""] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }

    #[test]
    fn schedulers_are_understood() {
        let shard = |index, count| Ok(Some(Shard { index, count }));
        assert_eq!(detect(&[("HOME", "/")], Some(4)), Ok(None));
        let slurm = |id| {
            [("SLURM_ARRAY_TASK_ID", id), ("SLURM_ARRAY_TASK_COUNT", "4"), ("SLURM_ARRAY_TASK_MIN", "1")]
        };
        assert_eq!(detect(&slurm("1"), None), shard(0, 4));
        assert_eq!(detect(&slurm("4"), None), shard(3, 4));
        let step = [("SLURM_ARRAY_TASK_STEP", "3"), ("SLURM_ARRAY_TASK_MAX", "10")];
        assert_eq!(detect(&[&slurm("7")[..], &step].concat(), None), shard(2, 4));
        let aws = [("AWS_BATCH_JOB_ARRAY_INDEX", "0"), ("AWS_BATCH_JOB_ARRAY_SIZE", "9")];
        assert_eq!(detect(&aws, None), shard(0, 9));
        assert_eq!(detect(&[("JOB_COMPLETION_INDEX", "2")], Some(5)), shard(2, 5));
    }

    #[test]
    fn environments_that_do_not_add_up_are_refused() {
        let message = |variables: &[(&str, &str)], count| detect(variables, count).unwrap_err().to_string();
        assert!(message(&[("JOB_COMPLETION_INDEX", "2")], None).contains("does not say how many"));
        assert!(message(&[("JOB_COMPLETION_INDEX", "5")], Some(5)).contains("below the number"));
        assert!(message(&[("SLURM_ARRAY_TASK_ID", "2")], None).contains("SLURM_ARRAY_TASK_COUNT"));
        assert!(message(&[("AWS_BATCH_JOB_ARRAY_INDEX", "x")], None).contains("whole number"));
        // --array=1,5,7: the first task finds out, not only the last.
        let gaps = [
            ("SLURM_ARRAY_TASK_ID", "1"),
            ("SLURM_ARRAY_TASK_COUNT", "3"),
            ("SLURM_ARRAY_TASK_MIN", "1"),
            ("SLURM_ARRAY_TASK_MAX", "7"),
        ];
        assert!(message(&gaps, None).contains("without gaps"));
    }
}
