//! The one thread that asks a model. While it works requests wait, and it takes those that wait in one pass:
//! pictures of one pass cost less than as many passes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use mentor_data::catch_panic;
use tokio::sync::{mpsc, oneshot};

use crate::http::Problem;
use crate::models::metrics::ModelMetrics;
use crate::models::served_model::ServedModel;

/// Pictures of one pass, beyond which no further request is added to it.
const BATCH: usize = 64;
/// Requests that wait for a model. Each holds a picture of the model's size at least.
const QUEUE: usize = 1024;

/// A model and the thread that asks it, which ends with the last handle when it has answered what waits.
pub(crate) struct ModelThread {
    pub(crate) model: Arc<dyn ServedModel>,
    pub(crate) metrics: Arc<ModelMetrics>,
    jobs: mpsc::Sender<Job>,
}

/// What one request asks of a model.
enum Job {
    Probabilities(Work<f64>),
    Embeddings(Work<f32>),
}

/// Images, and who waits for their rows.
struct Work<T> {
    images: Vec<Vec<u8>>,
    answer: oneshot::Sender<Answer<T>>,
}

type Answer<T> = Result<Vec<Vec<T>>, String>;

impl ModelThread {
    pub(crate) fn start(model: Arc<dyn ServedModel>, metrics: Arc<ModelMetrics>) -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let (asked, counts) = (Arc::clone(&model), Arc::clone(&metrics));
        thread::Builder::new().name("model".to_owned()).spawn(move || run(&*asked, &counts, waiting))?;
        Ok(Self { model, metrics, jobs })
    }

    /// One row of probabilities an image.
    pub(crate) async fn probabilities(&self, images: Vec<Vec<u8>>) -> Result<Vec<Vec<f64>>, Problem> {
        self.ask(images, Job::Probabilities).await
    }

    /// One row of an embedding an image.
    pub(crate) async fn embeddings(&self, images: Vec<Vec<u8>>) -> Result<Vec<Vec<f32>>, Problem> {
        self.ask(images, Job::Embeddings).await
    }

    async fn ask<T>(
        &self,
        images: Vec<Vec<u8>>,
        job: impl FnOnce(Work<T>) -> Job,
    ) -> Result<Vec<Vec<T>>, Problem> {
        let (answer, rows) = oneshot::channel();
        let full = |_| Problem::busy("as many requests wait for the model as may");
        self.jobs.try_send(job(Work { images, answer })).map_err(full)?;
        match rows.await {
            Ok(rows) => rows.map_err(|reason| Problem::internal(format!("the model failed ({reason})"))),
            Err(_) => Err(Problem::internal("the model has ended")),
        }
    }
}

fn run(model: &dyn ServedModel, metrics: &ModelMetrics, mut jobs: mpsc::Receiver<Job>) {
    while let Some(first) = jobs.blocking_recv() {
        let (mut probabilities, mut embeddings, mut num_images) = (Vec::new(), Vec::new(), 0);
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Probabilities(work) => num_images += add(work, &mut probabilities),
                Job::Embeddings(work) => num_images += add(work, &mut embeddings),
            }
            next = if num_images < BATCH { jobs.try_recv().ok() } else { None };
        }
        answer(probabilities, metrics, |images| model.probabilities(images));
        answer(embeddings, metrics, |images| model.embeddings(images));
    }
}

/// Adds work that somebody still waits for; gives its number of images.
fn add<T>(work: Work<T>, batch: &mut Vec<Work<T>>) -> usize {
    if work.answer.is_closed() {
        return 0;
    }
    let num_images = work.images.len();
    batch.push(work);
    num_images
}

/// One pass over the images of all work, whose rows are divided again.
fn answer<T>(batch: Vec<Work<T>>, metrics: &ModelMetrics, pass: impl FnOnce(&[Vec<u8>]) -> Answer<T>) {
    let mut images = Vec::new();
    let waiting: Vec<_> = batch
        .into_iter()
        .map(|work| {
            let count = work.images.len();
            images.extend(work.images);
            (count, work.answer)
        })
        .collect();
    if waiting.is_empty() {
        return;
    }
    let start = Instant::now();
    let rows = catch_panic(|| pass(&images)).and_then(|rows| rows);
    let rows = rows.and_then(|rows| match rows.len() == images.len() {
        true => Ok(rows),
        false => Err(format!("{} answers for {} images", rows.len(), images.len())),
    });
    let count = |counter: &AtomicU64, by: u64| counter.fetch_add(by, Ordering::Relaxed);
    count(&metrics.pictures, images.len() as u64);
    count(&metrics.passes, 1);
    count(&metrics.micros, u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
    count(&metrics.failures, u64::from(rows.is_err()));
    match rows {
        Ok(rows) => {
            let mut rows = rows.into_iter();
            for (count, answer) in waiting {
                // One that waits no more is not told.
                let _ = answer.send(Ok(rows.by_ref().take(count).collect()));
            }
        }
        Err(reason) => waiting.into_iter().for_each(|(_, answer)| {
            let _ = answer.send(Err(reason.clone()));
        }),
    }
}
