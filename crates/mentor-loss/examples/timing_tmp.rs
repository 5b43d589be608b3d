//! temporary
#![allow(clippy::print_stdout)]
use burn::tensor::*;
use mentor_loss::*;
fn main() {
    let d = Device::flex().autodiff();
    for n in [128usize, 1024] {
        let s = Tensor::<2>::random([n, 10], Distribution::Normal(0.0, 3.0), &d).require_grad();
        let t = Tensor::<1, Int>::from_data(TensorData::new((0..n as i32).map(|k| k % 10).collect::<Vec<_>>(), [n]), &d);
        let burn_ce = burn::nn::loss::CrossEntropyLossConfig::new().init(&d);
        let run = |name: &str, f: &dyn Fn() -> Tensor<1>| {
            let mut best = (f64::MAX, f64::MAX);
            for _ in 0..400 {
                let a = std::time::Instant::now();
                let l = f();
                let b = a.elapsed().as_secs_f64();
                let g = l.backward();
                let _ = s.grad(&g);
                let c = a.elapsed().as_secs_f64();
                best = (best.0.min(b), best.1.min(c));
            }
            println!("n={n} {name}: forward {:.1} us, with backward {:.1} us", best.0 * 1e6, best.1 * 1e6);
        };
        for l in ["svm", "crammer-singer", "softmax"] {
            let loss = ScoreLoss::from_name(l, 1.0).unwrap();
            run(l, &|| loss.per_sample(s.clone(), t.clone()).mean());
        }
        run("burn ce", &|| burn_ce.forward(s.clone(), t.clone()));
    }
}
