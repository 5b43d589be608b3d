//! The same bits for any number of threads.

use std::ops::ControlFlow;

use mentor_linear::{Loss, Problem, Solution, SolveOptions, solve};
use mentor_random::{Purpose, Stream};

#[test]
fn one_thread_and_three_give_the_same_bits() {
    let (num_samples, num_features, num_classes) = (2500, 23, 18);
    let mut stream = Stream::new(5, Purpose::Split, &[]);
    let targets: Vec<u32> = (0..num_samples).map(|sample| sample % num_classes as u32).collect();
    let features: Vec<f32> = targets
        .iter()
        .flat_map(|&target| (0..num_features).map(move |feature| (target, feature)))
        .map(|(target, feature)| stream.normal() + f32::from(u8::from(target as usize == feature)))
        .collect();
    for (loss, l2, l1) in [
        (Loss::Softmax, 1e-3, 0.0),
        (Loss::Softmax, 0.0, 1e-3),
        (Loss::WestonWatkins { margin: 1.0 }, 1e-2, 0.0),
        (Loss::CrammerSinger { margin: 1.0 }, 1e-2, 0.0),
    ] {
        let problem = Problem {
            features: &features,
            num_features,
            targets: &targets,
            num_classes,
            sample_weights: None,
            class_weights: None,
            loss,
            l2,
            l1,
            bias: true,
        };
        let options = SolveOptions { relative_gap: 1e-4, ..SolveOptions::default() };
        let with = |threads: usize| -> Solution {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| solve(&problem, &options, &mut |_| ControlFlow::Continue(())).unwrap())
        };
        let one = with(1);
        assert!(one.certified, "{loss:?}: {:e} after {}", one.relative_gap, one.num_iterations);
        assert_eq!(one, with(3), "{loss:?}");
    }
}
