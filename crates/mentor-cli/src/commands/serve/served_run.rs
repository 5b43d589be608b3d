//! The model of a run as the server wants it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use mentor_metrics::classification::ranked;
use mentor_metrics::retrieval::{Embeddings, nearest};
use mentor_model::Head;
use mentor_server::{Description, Neighbour, ServedModel};
use mentor_train::{Rows, TrainedModel};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::files::images;
use crate::files::limits::ImageLimits;
use crate::files::run_name::run_name;
use crate::files::saved_index::{self, SavedIndex};
use crate::terminal::error::{BAD_DATA, Failure};

/// Images of the index that go through the network at once.
const BATCH: usize = 64;

/// What is loaded: at the start, and at each SIGHUP.
pub(super) struct Loader {
    runs: Vec<PathBuf>,
    index: Vec<PathBuf>,
    limits: ImageLimits,
    device: Device,
    /// The threads of passes. Of the pool of the process one is the main thread, which waits for signals.
    pool: Arc<ThreadPool>,
}

impl Loader {
    pub(super) fn new(
        runs: Vec<PathBuf>,
        index: Vec<PathBuf>,
        limits: ImageLimits,
        device: Device,
    ) -> Result<Self, Failure> {
        let pool = Arc::new(ThreadPoolBuilder::new().build().map_err(Failure::failed)?);
        Ok(Self { runs, index, limits, device, pool })
    }

    /// The models of the runs, in their order.
    pub(super) fn load(&self) -> Result<Vec<Arc<dyn ServedModel>>, Failure> {
        let model = |(place, run): (usize, &PathBuf)| {
            let index = if place == 0 { &self.index[..] } else { &[] };
            Ok(Arc::new(self.pool.install(|| self.load_one(run, index))?) as Arc<dyn ServedModel>)
        };
        self.runs.iter().enumerate().map(model).collect()
    }

    fn load_one(&self, run: &Path, index: &[PathBuf]) -> Result<ServedRun, Failure> {
        let mut trained = TrainedModel::load(run, &self.device)?;
        self.limits.apply(&mut trained.file.data.options.limits);
        // A first pass, after which everything is in memory.
        let black = vec![0; trained.format().num_values()];
        let embedding_size = trained.embeddings(&[black]).map_err(Failure::failed)?.width;
        let index = Index::new(index, &trained, embedding_size)?;
        let description = Description {
            name: run_name(run)?,
            architecture: trained.file.spec.architecture.clone(),
            // An embedding model names those that it was trained on, and has no scores for them.
            classes: match trained.file.spec.head {
                Head::Classifier { .. } => trained.classes().to_vec(),
                Head::Embedding { .. } => Vec::new(),
            },
            format: trained.format().clone(),
            limits: trained.file.data.options.limits.clone(),
            embedding_size,
            num_indexed: index.names.len(),
        };
        Ok(ServedRun { trained, description, index, pool: Arc::clone(&self.pool) })
    }
}

/// Pictures that are searched.
struct Index {
    names: Vec<String>,
    rows: Rows,
}

impl Index {
    fn new(paths: &[PathBuf], trained: &TrainedModel, width: usize) -> Result<Self, Failure> {
        if paths.is_empty() {
            return Ok(Self { names: Vec::new(), rows: Rows::default() });
        }
        if let Some(path) = saved_index::named(paths)? {
            let SavedIndex { names, values, width } = SavedIndex::read(path, trained)?;
            return Ok(Self { names, rows: Rows { values, width } });
        }
        let embedded = images::embed(&images::find(paths), trained, BATCH);
        match embedded.rows.is_empty() {
            // What is wrong with each path was said.
            true => Err(Failure::status_only(BAD_DATA)),
            false => Ok(Self { names: embedded.names, rows: Rows { values: embedded.rows.concat(), width } }),
        }
    }
}

/// The model of a run.
struct ServedRun {
    trained: TrainedModel,
    description: Description,
    index: Index,
    pool: Arc<ThreadPool>,
}

impl ServedModel for ServedRun {
    fn description(&self) -> &Description {
        &self.description
    }

    fn probabilities(&self, images: &[Vec<u8>]) -> Result<Vec<Vec<f64>>, String> {
        let scores = self.pool.install(|| self.trained.calibrated_scores(images));
        let scores = scores.map_err(|error| error.to_string())?;
        let row = |scores: &[f32]| {
            let mut row = vec![0.0; scores.len()];
            ranked(scores).into_iter().for_each(|(class, probability)| row[class] = probability);
            row
        };
        Ok(scores.iter().map(row).collect())
    }

    fn embeddings(&self, images: &[Vec<u8>]) -> Result<Vec<Vec<f32>>, String> {
        let rows = self.pool.install(|| self.trained.embeddings(images));
        Ok(rows.map_err(|error| error.to_string())?.iter().map(<[f32]>::to_vec).collect())
    }

    fn nearest(&self, embedding: &[f32], count: usize) -> Result<Vec<Neighbour>, String> {
        let Index { names, rows } = &self.index;
        let searched = Embeddings::new(&rows.values, rows.width).map_err(|error| error.to_string())?;
        let found = nearest(&searched, embedding, count, self.trained.metric());
        let neighbour = |found: mentor_metrics::retrieval::Neighbour| Neighbour {
            path: names[found.index].clone(),
            distance: found.distance,
        };
        Ok(found.map_err(|error| error.to_string())?.into_iter().map(neighbour).collect())
    }
}
