//! What several ranks promise: the weights of one, whatever their number, and one ending for all.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use burn::tensor::{Device, Tensor};
use mentor_data::{HostBatch, OpenOptions, Source, Split};
use mentor_loss::{ScoreLoss, SoftmaxCrossEntropy};
use mentor_model::{Model, ModelSpec, Pass, parameters};
use mentor_run::{Config, RunDir, Summary, TrainEvent};
use mentor_train::{BatchLoss, Execution, Objective, Outcome, Reduce, TrainError, Trainer, train};

use crate::runs::{complete, plan};

/// Ranks that are threads of this process, with a channel from each to each.
struct Threads {
    rank: usize,
    to: Vec<Sender<Vec<u8>>>,
    from: Vec<Receiver<Vec<u8>>>,
}

impl Threads {
    fn new(size: usize) -> Vec<Self> {
        let mut from: Vec<Vec<Receiver<Vec<u8>>>> = (0..size).map(|_| Vec::new()).collect();
        let mut senders = || {
            let sender = |inbox: &mut Vec<_>| {
                let (sender, receiver) = channel();
                inbox.push(receiver);
                sender
            };
            from.iter_mut().map(sender).collect()
        };
        let to: Vec<Vec<Sender<Vec<u8>>>> = (0..size).map(|_| senders()).collect();
        to.into_iter().zip(from).enumerate().map(|(rank, (to, from))| Self { rank, to, from }).collect()
    }

    fn receive(&self, from: usize) -> Result<Vec<u8>, TrainError> {
        self.from[from].recv().map_err(|_| TrainError::Other("a rank is gone".into()))
    }
}

impl Reduce for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn swap(&self, values: &[f32], partner: usize) -> Result<Vec<f32>, TrainError> {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let _ = self.to[partner].send(bytes);
        let received = self.receive(partner)?;
        Ok(received.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect())
    }

    fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, TrainError> {
        for to in &self.to {
            let _ = to.send(bytes.to_vec());
        }
        (0..self.size()).map(|from| self.receive(from)).collect()
    }
}

/// What each of `size` ranks comes to.
fn ranks<T: Send>(size: usize, of_rank: impl Fn(Threads) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let of_rank = &of_rank;
        let threads: Vec<_> =
            Threads::new(size).into_iter().map(|rank| scope.spawn(move || of_rank(rank))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// A folder of each rank's own; that of rank 0 is the run.
fn out_of(out: &Path, rank: usize) -> PathBuf {
    if rank == 0 { out.to_owned() } else { out.with_extension(format!("rank-{rank}")) }
}

/// As several processes do, each with the files of rank 0 in a folder of its own.
fn share(out: &Path, size: usize) {
    for rank in 1..size {
        let own = out_of(out, rank);
        let _ = std::fs::remove_dir_all(&own);
        if out.exists() {
            copy(out, &own);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

fn train_shared(text: &str, out: &Path, size: usize) -> Summary {
    share(out, size);
    let outcomes = ranks(size, |reduce| {
        let own = out_of(out, reduce.rank());
        train(&plan(text), &own, &Execution::new(&Device::flex()).with_reduce(&reduce)).unwrap()
    });
    let mut summaries = outcomes.into_iter().map(|outcome| outcome.complete().unwrap());
    let first = summaries.next().unwrap();
    assert!(summaries.all(|other| other.weights_blake3 == first.weights_blake3));
    first
}

const MLP: &str = "data.source = 'digits'\ndata.augment = 'shift'\n\
    model = { name = 'mlp:16', dropout = 0.2 }\n\
    penalty.l2 = 1e-4\noptimizer = { batch_size = 100, clip_norm = 1.0 }\n\
    training = { epochs = 2, seed = 5, ema = 0.9, virtual_shards = 8 }";

#[test]
fn one_two_four_and_eight_ranks_end_in_the_same_weights() {
    let gd = "data.source = 'digits'\nloss.name = 'svm'\noptimizer = { name = 'gd', batch_size = 500 }\n\
        penalty.l2 = 1e-3\ntraining = { epochs = 4, virtual_shards = 8 }";
    let batch_norm = "data.source = 'digits'\nmodel.name = 'wrn-10-1'\noptimizer.batch_size = 256\n\
        training = { epochs = 1, virtual_shards = 4 }";
    let triplet = "data.source = 'digits'\nmodel.name = 'mlp:16'\nloss.name = 'triplet'\n\
        training = { epochs = 1, virtual_shards = 8 }";
    for (name, text, sizes) in [
        ("mlp", MLP, &[1, 2, 4, 8][..]),
        ("gd", gd, &[1, 4]),
        ("batch norm", batch_norm, &[1, 2]),
        ("triplet", triplet, &[1, 2, 4]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let found: Vec<Summary> = sizes
            .iter()
            .map(|&size| train_shared(text, &dir.path().join(format!("of-{size}")), size))
            .collect();
        for other in &found[1..] {
            assert_eq!(other.weights_blake3, found[0].weights_blake3, "{name}");
            assert_eq!(other.train_loss.to_bits(), found[0].train_loss.to_bits(), "{name}");
            assert_eq!(other.measures, found[0].measures, "{name}");
        }
    }
}

#[test]
fn distillation_and_self_training_are_shared_too() {
    let dir = tempfile::tempdir().unwrap();
    let teacher = dir.path().join("teacher");
    complete("data.source = 'digits'\nmodel.name = 'mlp:16'\ntraining.epochs = 1", &teacher);
    let distil = format!(
        "data.source = 'digits'\nmodel.name = 'mlp:8'\ndistill = {{ teachers = ['{}'], baseline = false }}\n\
         training = {{ epochs = 1, virtual_shards = 4 }}",
        teacher.display()
    );
    let self_train = "data.source = 'digits'\nmodel.name = 'mlp:16'\noptimizer.batch_size = 16\n\
        training = { epochs = 1, virtual_shards = 4 }\n\
        self_train = { labels_per_class = 10, rounds = 1, baseline = false }";
    for (name, text) in [("distil", distil.as_str()), ("self-train", self_train)] {
        let found = [1, 2]
            .map(|size| train_shared(text, &dir.path().join(format!("{name}-{size}")), size).weights_blake3);
        assert_eq!(found[0], found[1], "{name}");
    }
}

#[test]
fn shards_of_a_network_without_batch_norm_make_the_gradient_of_the_whole_batch() {
    let weights = |text: &str| {
        let loss = ScoreLoss::Softmax(SoftmaxCrossEntropy::new());
        let trained = digits(1000, text).train(&loss, &Execution::new(&Device::flex())).unwrap();
        parameters(&trained.complete().unwrap().model)
    };
    let plain = "training = { epochs = 2, min_updates = 0 }";
    let shared = "training = { epochs = 2, min_updates = 0, virtual_shards = 8 }";
    let (whole, divided) = (weights(plain), weights(shared));
    for (whole, divided) in whole.iter().zip(&divided) {
        for (left, right) in whole.values.iter().zip(&divided.values) {
            assert!((left - right).abs() < 1e-4, "{}: {left} and {right}", whole.path);
        }
    }
    assert_ne!(whole, divided, "sums in another order differ in their last bits");
}

#[test]
fn a_signal_of_one_rank_stops_all_and_another_number_of_ranks_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let whole = train_shared(MLP, &dir.path().join("whole"), 1);
    let out = dir.path().join("cut");
    let stopped = ranks(4, |reduce| {
        let (stop, signalled) = (AtomicBool::new(false), reduce.rank() == 2);
        let execution = Execution::new(&Device::flex()).with_stop(&stop).with_reduce(&reduce);
        let execution = execution.with_observer(|event| {
            let is_there = matches!(event, TrainEvent::Step(metrics) if metrics.step == 5);
            stop.fetch_or(signalled && is_there, Ordering::Relaxed);
        });
        train(&plan(MLP), &out_of(&out, reduce.rank()), &execution).unwrap()
    });
    assert!(stopped.iter().all(|outcome| *outcome == Outcome::Interrupted { step: Some(6) }), "{stopped:?}");
    assert!(RunDir::open(&out).unwrap().has_checkpoints());
    assert_eq!(train_shared(MLP, &out, 2).weights_blake3, whole.weights_blake3);
}

/// Fails at its third batch of one rank.
struct Failing<'a> {
    rank: usize,
    num_batches: &'a AtomicUsize,
}

impl Objective for Failing<'_> {
    fn batch_loss(
        &self,
        model: &Model,
        images: Tensor<4>,
        batch: &HostBatch,
        pass: &Pass<'_>,
    ) -> Result<BatchLoss, TrainError> {
        let is_third = self.rank == 1 && self.num_batches.fetch_add(1, Ordering::Relaxed) == 8;
        if is_third {
            return Err(TrainError::Other("the disk is gone".into()));
        }
        ScoreLoss::Softmax(SoftmaxCrossEntropy::new()).batch_loss(model, images, batch, pass)
    }
}

fn digits(num_images: u32, text: &str) -> Trainer {
    let digits = Source::open("digits", &OpenOptions::default()).unwrap().load(Split::Train).unwrap();
    let images: Vec<u32> = (0..num_images).collect();
    let model = Model::new(&ModelSpec::new("linear", [1, 8, 8], 10), 0, &Device::flex()).unwrap();
    Trainer::new(model, digits.subset(&images)).with_config(Config::from_toml(text, "test", &[]).unwrap())
}

#[test]
fn an_error_of_one_rank_ends_all_after_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let num_batches = AtomicUsize::new(0);
    let errors = ranks(2, |reduce| {
        let objective = Failing { rank: reduce.rank(), num_batches: &num_batches };
        let trainer = digits(1000, "training.epochs = 2").with_run_dir(out_of(&out, reduce.rank()));
        let execution = Execution::new(&Device::flex()).with_reduce(&reduce);
        trainer.train(&objective, &execution).unwrap_err().to_string()
    });
    assert_eq!(errors, ["rank 1: the disk is gone", "the disk is gone"]);
    assert!(RunDir::open(&out).unwrap().has_checkpoints());
    assert!(!RunDir::open(&out_of(&out, 1)).unwrap().has_checkpoints(), "one rank writes");
}

#[test]
fn ranks_that_do_not_fit_are_refused() {
    let trained = |size: usize, text: &str, num_images: fn(usize) -> u32| {
        ranks(size, |reduce| {
            let execution = Execution::new(&Device::flex()).with_reduce(&reduce);
            let loss = ScoreLoss::Softmax(SoftmaxCrossEntropy::new());
            let trained = digits(num_images(reduce.rank()), text).train(&loss, &execution);
            trained.unwrap_err().to_string()
        })
    };
    let data = trained(2, "training.epochs = 1", |rank| 100 + rank as u32);
    assert_eq!(data, ["rank 1 has other data than rank 0"; 2]);
    let three = trained(3, "training.epochs = 1", |_| 100);
    assert!(
        three.iter().all(|error| error.starts_with("3 ranks cannot share 8 virtual shards")),
        "{three:?}"
    );
    let many = trained(4, "training = { epochs = 1, virtual_shards = 2 }", |_| 100);
    assert!(many.iter().all(|error| error.starts_with("4 ranks cannot share 2")), "{many:?}");
}
