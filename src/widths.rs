//! Tests that results have identical bits at every vector width, except for products. A process
//! uses one width, so each width is computed in a child process, which runs one test of this file
//! and writes its results to a file.

use crate::data::digits;
use crate::estimators::{
    At, BuiltEstimator, CvForm, EstimatorConfig, EstimatorKind, Gap, Noise, Rk2Form, Scratch,
};
use crate::gemm::gemm;
use crate::kernels::{
    activation::{self, Activation},
    bernoulli, elementwise, reduce, softmax,
    sparse::SparseRows,
};
use crate::optim::{self, Adam, AdamConfig, Optimizer, RAdam};
use crate::rng::{self, LaneRng, from_key};
use crate::train::{TrainConfig, Trainer};
use crate::{Mat, ParamGrads, ParamStore, Scalar};
use std::process::{Command, Output};

const WIDTHS: [&str; 3] = ["plain", "avx2", "avx512"];

/// The file that a child writes to.
const OUT: &str = "HARDGRAD_WIDTHS_OUT";

/// Whether a child perturbs its weights by one rounding before training.
const ROUND: &str = "HARDGRAD_WIDTHS_ROUND";

/// Runs the test `name` of this file at `width`, as a child.
fn child(name: &str, width: &str, round: bool) -> (Output, String) {
    let out = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name]).env("HARDGRAD_SIMD", width).env(OUT, out.path());
    if round {
        command.env(ROUND, "1");
    }
    (command.output().unwrap(), std::fs::read_to_string(out.path()).unwrap())
}

/// The lines that the child wrote.
fn lines(name: &str, width: &str, round: bool) -> Vec<String> {
    let (output, text) = child(name, width, round);
    assert!(output.status.success(), "{width}: {}", String::from_utf8_lossy(&output.stdout));
    assert!(!text.is_empty(), "{width}: nothing was written");
    text.lines().map(str::to_owned).collect()
}

/// One line per result: a name, and a hash of the bits.
#[derive(Default)]
struct Record(String);

impl Record {
    fn add<T: Scalar>(&mut self, name: &str, numbers: &[T]) {
        let bytes = numbers.iter().flat_map(|x| x.to_f64().to_bits().to_le_bytes()); // NaN apart, one for one
        let hash =
            bytes.fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
        self.0 += &format!("{} {name} {}: {hash:016x}\n", std::any::type_name::<T>(), numbers.len());
    }
}

#[test]
fn every_width_has_the_same_bits_but_for_products() {
    if let Some(path) = std::env::var_os(OUT) {
        return std::fs::write(path, all_numbers()).unwrap();
    }
    let [plain, avx2, avx512] =
        WIDTHS.map(|width| lines("widths::every_width_has_the_same_bits_but_for_products", width, false));
    assert!(plain.len() > 100, "{}", plain.len());
    assert_eq!(avx2, avx512, "products too");
    let products = |lines: &[String]| lines.iter().filter(|line| line.contains("product")).count();
    assert_eq!((products(&plain), plain.len()), (products(&avx2), avx2.len()));
    for (a, b) in plain.iter().zip(&avx2).filter(|(a, _)| !a.contains("product")) {
        assert_eq!(a, b);
    }
}

#[test]
fn an_unknown_width_is_refused_by_name() {
    let (output, text) = child("widths::every_width_has_the_same_bits_but_for_products", "avx3", false);
    assert!(!output.status.success() && text.is_empty());
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(said.contains("HARDGRAD_SIMD: got \"avx3\", expected `plain`, `avx2` or `avx512`"), "{said}");
}

/// The results that a child computes.
fn all_numbers() -> String {
    let mut record = Record::default();
    kernels::<f32>(&mut record);
    kernels::<f64>(&mut record);
    estimators::<f32>(&mut record);
    estimators::<f64>(&mut record);
    optimizers::<f32>(&mut record);
    products(&mut record);
    record.0
}

/// Numbers in ± `scale`/2.
fn random<T: Scalar>(key: u64, count: usize, scale: f64) -> Vec<T> {
    let mut rng = from_key(key);
    (0..count).map(|_| T::of(scale * (rng::uniform::<f64>(&mut rng) - 0.5))).collect()
}

fn kernels<T: Scalar>(record: &mut Record) {
    for (case, (n, l, c)) in
        [(1, 1, 1), (3, 5, 3), (7, 16, 10), (60, 3, 16), (9, 4, 33)].into_iter().enumerate()
    {
        let (cols, len, key) = (l * c, n * l * c, 100 * case as u64);
        let scale = if case == 3 { 300.0 } else { 12.0 };
        let (x, g) = (random::<T>(key, len, scale), random::<T>(key + 1, len, 2.0));
        let (rows, t) = (random::<T>(key + 2, n, 2.0), random::<T>(key + 3, len, 1.0));
        let mut y = vec![T::ZERO; len];
        type Map<T> = fn(&[T], &mut [T]);
        let maps: [(&str, Map<T>); 5] = [
            ("exp", elementwise::exp),
            ("ln", elementwise::ln),
            ("sigmoid", elementwise::sigmoid),
            ("relu", |x, y| activation::activate(Activation::Relu, x, y)),
            ("softplus", |x, y| y.iter_mut().zip(x).for_each(|(y, &x)| *y = elementwise::softplus_of(x))),
        ];
        for (name, map) in maps {
            map(&x, &mut y);
            y.iter_mut().filter(|y| y.to_f64().is_nan()).for_each(|y| *y = T::ZERO); // ln of numbers below 0
            record.add(name, &y);
        }
        type Grouped<T> = fn(&[T], usize, &mut [T]);
        type GroupedVjp<T> = fn(&[T], usize, &[T], &mut [T]);
        let grouped: [(&str, Grouped<T>, GroupedVjp<T>); 2] = [
            ("softmax", softmax::softmax, softmax::softmax_vjp),
            ("log_softmax", softmax::log_softmax, softmax::log_softmax_vjp),
        ];
        for (name, forward, vjp) in grouped {
            forward(&x, c, &mut y);
            record.add(name, &y);
            let mut dx = g.clone();
            vjp(&y, c, &g, &mut dx);
            record.add(&format!("{name}'s vjp"), &dx);
        }
        let (mut kl, mut dx) = (vec![T::ZERO; n], g.clone());
        let mut scratch = vec![T::ZERO; softmax::categorical_kl_scratch(n, cols, c)];
        softmax::categorical_kl(&x, cols, c, &mut kl, &mut scratch);
        softmax::categorical_kl_vjp(&x, cols, c, &rows, &mut dx, &mut scratch);
        record.add("kl", &kl);
        record.add("kl's vjp", &dx);
        bernoulli::bce_with_logits(&x, &t, cols, &mut kl);
        bernoulli::bce_with_logits_vjp(&x, &t, cols, &rows, &mut dx);
        record.add("bce", &kl);
        record.add("bce's vjp", &dx);
        let mut sums = g[..cols].to_vec();
        reduce::add_bias_vjp(&x, &mut sums);
        sums.push(reduce::sum(&x));
        record.add("sums", &sums);
        let mut noise = vec![T::ZERO; 4 * 4096 + len];
        crate::categorical::gumbel(&mut from_key(key), &mut noise);
        record.add("gumbel", &noise);
        let mut noise = vec![T::ZERO; 16 * len];
        LaneRng::from_key(key).fill_exponential(&mut noise);
        record.add("exponential", &noise);
    }
}

/// Every estimator at the sample, in each of its forms.
fn sample_estimators() -> Vec<EstimatorConfig> {
    use EstimatorConfig as E;
    let mut all = vec![];
    for tau in [1.0, 0.5, 0.7] {
        all.extend([
            E::StraightThrough { tau },
            E::StraightThroughGumbelSoftmax { tau },
            E::GumbelRao { tau, draws: 9 },
            E::GappedStraightThrough { gap: Gap::Fixed(1.0), tau },
            E::GappedStraightThrough { gap: Gap::Probability, tau },
            E::ReinMax { tau },
            E::ReinMaxArgmax { tau },
            E::ReinMaxRao { tau, draws: 9 },
            E::ReinMaxBlend { lambda: 0.3, tau, rao_tau: tau, draws: 9 },
        ]);
        for form in [CvForm::Shared, CvForm::Printed, CvForm::Coupled, CvForm::AuthorCode] {
            all.push(E::ReinMaxCv { form, tau, draws: 9, eta: 0.5 });
        }
    }
    for form in [Rk2Form::Eq27, Rk2Form::AuthorCode, Rk2Form::Projected] {
        all.push(E::ReinMaxRk2 { form, beta: 0.4 });
    }
    all
}

/// The sample and its vjp, for full blocks of sixteen variables and for the remainder.
fn estimators<T: Scalar>(record: &mut Record) {
    let mut configs = sample_estimators();
    for kind in EstimatorKind::ALL.iter().map(|kind| kind.default_config()) {
        let listed = configs.iter().any(|config| config.kind() == kind.kind());
        if !listed && matches!(kind.build::<T>().unwrap(), BuiltEstimator::Sample(_)) {
            configs.push(kind);
        }
    }
    for config in configs {
        let BuiltEstimator::Sample(estimator) = config.build::<T>().unwrap() else { panic!("{config:?}") };
        for (variables, c) in [(1, 8), (48, 10), (83, 3), (33, 33)] {
            let mut logits = random::<T>(variables as u64, variables * c, 8.0);
            if c == 33 {
                logits.iter_mut().step_by(c).for_each(|theta| *theta -= T::of(200.0)); // 1/π overflows in f32
            }
            let mut noise = Noise::new();
            noise.draw(&mut from_key(9), logits.len());
            let mut one_hot = logits.clone();
            estimator.sample(&logits, &noise, c, &mut one_hot);
            record.add(&format!("{config:?}, sample"), &one_hot);
            let (g, mut dlogits) = (random::<T>(77, logits.len(), 2.0), vec![T::ZERO; logits.len()]);
            let at = At { logits: &logits, one_hot: &one_hot, noise: &noise, categories: c };
            estimator.add_vjp(at, &g, &mut dlogits, &mut Scratch::new());
            record.add(&format!("{config:?}, vjp"), &dlogits);
        }
    }
}

fn optimizers<T: Scalar>(record: &mut Record) {
    let optimizers: [Box<dyn Optimizer<T>>; 2] = [
        Box::new(Adam::new(AdamConfig::default()).unwrap()),
        Box::new(RAdam::new(AdamConfig::default()).unwrap()),
    ];
    for mut optimizer in optimizers {
        let mut params = ParamStore::new();
        params.add("w", Mat::from_vec(3, 7001, random(1, 3 * 7001, 1.0)));
        let mut grads = ParamGrads::zeros(&params);
        for step in 0..9 {
            grads.flat_mut().copy_from_slice(&random(10 + step, 3 * 7001, 1.0));
            let norm = T::of(optim::clip_norm(&mut grads, 10.0));
            assert!(optimizer.step(&mut params, &grads));
            record.add("norm", &[norm]);
        }
        record.add("parameters", params.flat());
    }
}

/// In `f32`, the products of a layer. In `f64` they are computed by the GEMM library, according to
/// the CPU's features.
fn products(record: &mut Record) {
    for (n, k, m) in [(1, 1, 1), (100, 784, 70), (33, 65, 129), (5, 300, 17)] {
        let mut x = random::<f32>(1, n * k, 1.0);
        x.iter_mut().filter(|x| x.abs() < 0.4).for_each(|x| *x = 0.0);
        let (x, w) = (Mat::from_vec(n, k, x), Mat::from_vec(k, m, random::<f32>(2, k * m, 1.0)));
        let mut y = Mat::zeros(n, m);
        gemm(x.view(), w.view(), 0.0, y.view_mut());
        record.add("product", y.as_slice());
        let dense = y.clone();
        let mut rows = SparseRows::default();
        rows.assign(x.view());
        rows.multiply(w.view(), 0.0, y.view_mut());
        assert!(y == dense, "the sparse product has the dense one's bits");
        let mut dx = Mat::zeros(n, k);
        gemm(y.view(), w.view().t(), 0.0, dx.view_mut());
        record.add("product with the transpose", dx.as_slice());
    }
}

const TRAINED: [EstimatorConfig; 2] =
    [EstimatorConfig::ReinMax { tau: 0.9 }, EstimatorConfig::GumbelRao { tau: 0.7, draws: 10 }];

/// A child trains each of [`TRAINED`] for three epochs. It writes one line per epoch with the two
/// losses, and one line for all parameters.
fn three_epochs() -> String {
    let data = digits(0, 450, 130);
    let mut text = String::new();
    for estimator in TRAINED {
        let config = TrainConfig { estimator, ..TrainConfig::default() };
        let mut trainer = Trainer::new(config, &data).unwrap();
        if std::env::var_os(ROUND).is_some() {
            let (mut checkpoint, mut rng) = (trainer.checkpoint(), from_key(21));
            for w in &mut checkpoint.params {
                let up = rng::below(&mut rng, 2) == 1;
                *w *= 1.0 + if up { f32::EPSILON } else { -f32::EPSILON };
            }
            trainer = Trainer::resume(checkpoint, &data).unwrap();
        }
        for _ in 0..3 {
            let record = trainer.epoch(&mut |_| {}).unwrap();
            text += &format!("{:?} {:?}\n", record.train.loss, record.test.loss);
        }
        let mut record = Record::default();
        record.add("parameters", trainer.params().flat());
        text += &record.0;
    }
    text
}

/// Σ |difference| of the losses of two runs, relative to those losses' sum.
fn apart(a: &[String], b: &[String]) -> f64 {
    let losses = |lines: &[String]| -> Vec<f64> {
        let of_epochs = lines.iter().filter(|line| !line.contains("parameters"));
        of_epochs.flat_map(|line| line.split(' ').map(|x| x.parse().unwrap()).collect::<Vec<_>>()).collect()
    };
    let (a, b) = (losses(a), losses(b));
    assert_eq!((a.len(), b.len()), (6, 6));
    a.iter().zip(&b).map(|(a, b)| (a - b).abs()).sum::<f64>() / a.iter().sum::<f64>()
}

/// With AVX2 and AVX-512 the bits are identical. Without them, each term of a product is rounded
/// twice instead of once, in each of 15 steps, and training magnifies the difference. The
/// magnification is measured with a run whose weights are perturbed by one rounding at the start.
/// 15 independent perturbations of this kind amount to √15 < 4 of one; the second rounding of a
/// term contributes no more than the one that both runs have; and the distance between two runs
/// varies by a factor of less than 4. The tolerance is therefore 16 times the measured distance.
#[test]
fn three_epochs_agree_to_rounding() {
    if let Some(path) = std::env::var_os(OUT) {
        return std::fs::write(path, three_epochs()).unwrap();
    }
    let name = "widths::three_epochs_agree_to_rounding";
    let [plain, avx2, avx512] = WIDTHS.map(|width| lines(name, width, false));
    assert_eq!(avx2, avx512);
    let rounded = lines(name, "avx512", true);
    assert_eq!((plain.len(), rounded.len()), (8, 8));
    for (k, config) in TRAINED.iter().enumerate() {
        let run = |lines: &[String]| lines[4 * k..][..4].to_vec();
        let [plain, avx512, rounded] = [&plain, &avx512, &rounded].map(|lines| run(lines));
        let (distance, unit) = (apart(&plain, &avx512), apart(&rounded, &avx512));
        println!("{config:?}: {distance:e}, of one rounding {unit:e}");
        assert!(unit > 0.0 && unit < 1e-3, "{config:?}: one more rounding moves the losses by {unit:e}");
        assert!(distance < 16.0 * unit, "{config:?}: {distance:e} apart, of one rounding {unit:e}");
    }
}
