//! The batches of one epoch, made ahead of the training step and given out in their order.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::error::DataError;
use crate::loader::batch::HostBatch;

/// The batches of one epoch. Dropping it stops the threads that make them, and waits for those that are the
/// loader's own.
#[derive(Debug)]
pub struct Epoch {
    work: Arc<Work>,
    makers: Makers,
    /// The slots of the batches that were asked for, in their order.
    pending: VecDeque<Receiver<Outcome>>,
    /// Batches not asked for yet.
    left: Range<usize>,
}

/// A batch, an error, or the panic of the thread that made it.
type Outcome = Result<Result<HostBatch, DataError>, Box<dyn Any + Send>>;

/// What all makers of batches share.
struct Work {
    make: Box<dyn Fn(usize) -> Result<HostBatch, DataError> + Send + Sync>,
    stopped: AtomicBool,
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("stopped", &self.stopped).finish_non_exhaustive()
    }
}

/// Who makes batches.
#[derive(Debug)]
enum Makers {
    /// Rayon's threads, which a training step leaves idle between its parts. Threads beside them would
    /// take the processor from them in the middle of a part, and all others would wait.
    Pool,
    /// Threads that may wait for a disk; `None` while they are being stopped.
    Threads(Option<Sender<Job>>, Vec<JoinHandle<()>>),
}

/// A batch to make, and where to put it: a slot of its own, so that batches come out in order whichever is
/// made faster.
struct Job {
    batch: usize,
    slot: Sender<Outcome>,
}

impl Epoch {
    /// `make(i)` makes batch i of `batches`, on Rayon's threads or, if there are any, on `num_workers` of its
    /// own; up to `prefetch` are made before they are asked for.
    pub(crate) fn new(
        make: impl Fn(usize) -> Result<HostBatch, DataError> + Send + Sync + 'static,
        batches: Range<usize>,
        num_workers: usize,
        prefetch: usize,
    ) -> Self {
        let work = Arc::new(Work { make: Box::new(make), stopped: AtomicBool::new(false) });
        let makers = match num_workers.min(batches.len()) {
            0 => Makers::Pool,
            count => {
                let (jobs, queue) = unbounded();
                let spawn = |_| {
                    let (work, queue) = (Arc::clone(&work), queue.clone());
                    std::thread::spawn(move || queue.iter().for_each(|job| work.run(job)))
                };
                Makers::Threads(Some(jobs), (0..count).map(spawn).collect())
            }
        };
        let mut epoch = Self { work, makers, pending: VecDeque::new(), left: batches };
        (0..prefetch).for_each(|_| epoch.request_next());
        epoch
    }

    fn request_next(&mut self) {
        let Some(batch) = self.left.next() else { return };
        let (slot, result) = bounded(1);
        self.pending.push_back(result);
        let job = Job { batch, slot };
        match &self.makers {
            Makers::Pool => {
                let work = Arc::clone(&self.work);
                rayon::spawn_fifo(move || work.run(job));
            }
            Makers::Threads(jobs, _) => {
                let jobs = jobs.as_ref().expect("threads are stopped only with their epoch");
                jobs.send(job).expect("threads end only with their epoch");
            }
        }
    }
}

impl Work {
    fn run(&self, Job { batch, slot }: Job) {
        if self.stopped.load(Ordering::Relaxed) {
            return;
        }
        // A panic in Rayon's threads would end the process, and one of the loader's threads would be lost.
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.make)(batch)));
        // Nobody waits for the slot of an epoch that was dropped.
        let _ = slot.send(outcome);
    }
}

impl Makers {
    /// Waits for what comes into `slot`.
    fn wait(&self, slot: &Receiver<Outcome>) -> Outcome {
        /// Until a waiting thread looks again whether there is work for it.
        const PATIENCE: Duration = Duration::from_micros(100);
        if let Makers::Pool = self {
            // A thread of the pool does what the pool has to do, for it may be the only one.
            while let Some(found) = rayon::yield_now() {
                let patience = if found == rayon::Yield::Idle { PATIENCE } else { Duration::ZERO };
                if let Ok(outcome) = slot.recv_timeout(patience) {
                    return outcome;
                }
            }
        }
        slot.recv().expect("a job is dropped only with its epoch")
    }
}

impl Iterator for Epoch {
    type Item = Result<HostBatch, DataError>;

    /// The next batch. Waits for it if need be; after an error the epoch goes on with the next batch. A panic
    /// of the thread that made it goes on in this one.
    fn next(&mut self) -> Option<Self::Item> {
        if self.pending.is_empty() {
            self.request_next();
        }
        let slot = self.pending.pop_front()?;
        let outcome = self.makers.wait(&slot);
        self.request_next();
        Some(outcome.unwrap_or_else(|panic| resume_unwind(panic)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.pending.len() + self.left.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for Epoch {}

impl Drop for Epoch {
    fn drop(&mut self) {
        self.work.stopped.store(true, Ordering::Relaxed);
        if let Makers::Threads(jobs, threads) = &mut self.makers {
            *jobs = None;
            // They catch the panics of what they run, and have none of their own.
            threads.drain(..).for_each(|thread| drop(thread.join()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of its batch, some of which take longer than others.
    fn make(batch: usize) -> Result<HostBatch, DataError> {
        std::thread::sleep(Duration::from_millis([3, 0, 1][batch % 3]));
        let samples = vec![batch as u32];
        Ok(HostBatch { pixels: Vec::new(), shape: [0; 4], targets: Vec::new(), samples, draw: 0 })
    }

    fn samples(epoch: Epoch) -> Vec<u32> {
        epoch.flat_map(|batch| batch.unwrap().samples).collect()
    }

    #[test]
    fn batches_come_in_their_order_whoever_makes_them() {
        let expected: Vec<u32> = (2..20).collect();
        for (num_workers, prefetch) in [(0, 1), (0, 5), (1, 0), (3, 5)] {
            let epoch = || Epoch::new(make, 2..20, num_workers, prefetch);
            assert_eq!(epoch().len(), 18);
            assert_eq!(samples(epoch()), expected);
            for threads in [1, 2] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                assert_eq!(pool.install(|| samples(epoch())), expected, "on a thread of the pool");
            }
        }
    }

    #[test]
    fn a_panic_goes_on_in_the_thread_that_asks_for_the_batch() {
        for num_workers in [0, 2] {
            let mut epoch = Epoch::new(
                |batch| if batch == 1 { panic!("one") } else { make(batch) },
                0..3,
                num_workers,
                2,
            );
            assert!(epoch.next().unwrap().is_ok());
            let panic = catch_unwind(AssertUnwindSafe(|| epoch.next())).unwrap_err();
            assert_eq!(panic.downcast_ref(), Some(&"one"));
            assert_eq!(samples(epoch), [2]);
        }
    }
}
