//! `train_vae` as a user runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Path of an example program, which is in the directory beside that of the test binary. `cargo
/// test` builds it.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let binary = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(
        binary.exists(),
        "{} does not exist: build it with `cargo build --release --examples`",
        binary.display()
    );
    binary
}

/// Runs `train_vae` in `dir`, without `$MNIST_DIR`.
fn train_vae(dir: &Path, args: &str) -> Output {
    Command::new(example("train_vae"))
        .current_dir(dir)
        .env_remove("MNIST_DIR")
        .args(args.split_whitespace())
        .output()
        .unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The lines of `metrics.jsonl` without the wall times.
pub fn losses(dir: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(dir.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| line.split(",\"seconds\"").next().unwrap().to_string()).collect()
}

#[test]
fn a_run_leaves_its_files_and_resumes() {
    let dir = tempfile::tempdir().unwrap();
    let whole = train_vae(dir.path(), "--epochs 2 --out whole");
    assert!(whole.status.success(), "{}", stderr(&whole));
    assert!(stderr(&whole).contains("built-in digits instead (data/get-mnist.sh"), "{}", stderr(&whole));
    assert!(String::from_utf8_lossy(&whole.stdout).contains("test  loss "));
    for file in
        ["config.json", "metrics.jsonl", "curves.svg", "checkpoint.bin", "reconstructions.png", "samples.png"]
    {
        assert!(dir.path().join("whole").join(file).exists(), "{file}");
    }
    assert!(train_vae(dir.path(), "--dataset digits --epochs 1 --out parts --quiet").status.success());
    let resumed = train_vae(dir.path(), "--dataset digits --epochs 2 --out parts --resume --threads 1");
    assert!(stderr(&resumed).contains("resuming after epoch 1"), "{}", stderr(&resumed));
    assert_eq!(losses(&dir.path().join("whole")), losses(&dir.path().join("parts")));
    let checkpoint = |run| std::fs::read(dir.path().join(run).join("checkpoint.bin")).unwrap();
    assert!(checkpoint("whole") == checkpoint("parts"));
    assert_eq!(losses(&dir.path().join("parts")).len(), 2);
    let lines = losses(&dir.path().join("parts"));
    assert!(lines[0].starts_with("{\"epoch\":1,\"train\":{\"loss\":"));
    // The summary shows the usage of the last line: four variables of eight categories.
    let last: serde_json::Value = serde_json::from_str(&format!("{}}}", lines[1])).unwrap();
    let numbers = |name: &str| -> Vec<f64> {
        let numbers = last["usage"][name].as_array().unwrap();
        numbers.iter().map(|x| x.as_f64().unwrap()).collect()
    };
    let (perplexity, used) = (numbers("perplexity"), numbers("used"));
    let in_range = |(p, used): (&f64, &f64)| (1.0..=8.0).contains(used) && *p >= 1.0 && *p <= used + 1e-12;
    assert!(perplexity.len() == 4 && used.len() == 4, "{last}");
    assert!(perplexity.iter().zip(&used).all(in_range), "{last}");
    let shown: Vec<_> = perplexity.iter().map(|p| format!("{p:.1}")).collect();
    let stdout = String::from_utf8_lossy(&whole.stdout);
    assert!(stdout.contains(&format!("test codes: perplexity {} of 8 (mean ", shown.join(" "))), "{stdout}");

    let other = train_vae(dir.path(), "--dataset digits --out parts --seed 1 --tau 1");
    assert_eq!(other.status.code(), Some(2));
    for difference in ["estimator.reinmax.tau is 1.3, expected 1.0", "seed is 0, expected 1"] {
        assert!(stderr(&other).contains(difference), "{}", stderr(&other));
    }

    for file in ["parts/checkpoint.bin", "parts/checkpoint.prev.bin"] {
        std::fs::write(dir.path().join(file), b"HARDGRAD and invalid content").unwrap();
    }
    let damaged = train_vae(dir.path(), "--dataset digits --out parts --resume");
    assert_eq!(damaged.status.code(), Some(1));
    assert!(stderr(&damaged).contains("parts/checkpoint.bin: at byte 12"), "{}", stderr(&damaged));
}

/// Options that the config contains only where they differ from their defaults are compared, too,
/// and a run with all of them resumes.
#[test]
fn options_of_the_training_are_compared_on_resume() {
    let dir = tempfile::tempdir().unwrap();
    let options = "--dataset digits --latent 2x2 --estimator st --out run --quiet --optimizer adamw --weight-decay 0.1 \
                   --lr-schedule cosine:4:1:0.5:1e-5 --activation leaky-relu:0.2";
    assert!(train_vae(dir.path(), &format!("{options} --epochs 1")).status.success());
    let resumed = train_vae(dir.path(), &format!("{options} --epochs 2 --resume"));
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    let other = train_vae(dir.path(), "--dataset digits --latent 2x2 --estimator reinmax --out run --resume");
    assert_eq!(other.status.code(), Some(2));
    for difference in [
        "estimator is {\"st\":{\"tau\":1.3}}, expected {\"reinmax\":{\"tau\":1.3}}",
        "optimizer is \"adamw\", expected \"adam\"",
        "weight_decay is 0.1, expected the default",
        "lr_schedule is {\"min_lr\":0.00001,\"start_factor\":0.5,\"total\":4,\"warm_up\":1}, expected the default",
        "vae.activation is {\"leaky-relu\":0.2}, expected the default",
    ] {
        assert!(stderr(&other).contains(difference), "{difference}: {}", stderr(&other));
    }
}

#[test]
fn a_finished_run_is_evaluated() {
    let dir = tempfile::tempdir().unwrap();
    assert!(train_vae(dir.path(), "--dataset digits --epochs 1 --out run --quiet").status.success());
    let run = dir.path().join("run");
    assert!(!run.join("evaluation.json").exists());
    let checkpoint = std::fs::read(run.join("checkpoint.bin")).unwrap();
    let options = "--dataset digits --epochs 1 --out run --resume --evaluate --importance-samples 2";
    let output = train_vae(dir.path(), options);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(checkpoint == std::fs::read(run.join("checkpoint.bin")).unwrap());
    let stdout = String::from_utf8_lossy(&output.stdout);
    for line in ["after epoch 1", "nats per image", "with 2 samples", "exact -log p(x)"] {
        assert!(stdout.contains(line), "{line}: {stdout}");
    }
    let value: serde_json::Value =
        serde_json::from_slice(&std::fs::read(run.join("evaluation.json")).unwrap()).unwrap();
    let number = |pointer: &str| value.pointer(pointer).and_then(serde_json::Value::as_f64).unwrap();
    assert_eq!((number("/epoch"), number("/importance/samples")), (1.0, 2.0));
    let loss = serde_json::json!({"loss": number("/test/loss"), "bce": number("/test/bce"), "kl": number("/test/kl")});
    let metrics: serde_json::Value = serde_json::from_str(&format!("{}}}", losses(&run)[0])).unwrap();
    assert_eq!(metrics["test"], loss);
    for split in ["train", "test"] {
        let gap = number(&format!("/{split}/loss")) - number(&format!("/argmax/{split}/loss"));
        assert_eq!(number(&format!("/argmax/{split}_gap")), gap);
        assert!(stdout.contains(&format!("with argmax codes; sampled minus argmax {gap:.2}")));
    }
    assert!(number("/exact") < number("/importance/bound"), "{value}");
}

#[test]
fn wrong_arguments_exit_2_and_say_what_would_be_right() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    for (args, expected) in [
        ("--estimator gumbel", "expected one of st, stgs, gumbel-rao"),
        (
            "--estimator reinmax-cv --form eq27 --dataset digits",
            "one of shared, printed, coupled, author-code",
        ),
        (
            "--estimator st --eta 3 --dataset digits",
            "--eta: got 3 with --estimator st, expected only the hyper-parameters of this estimator: --tau",
        ),
        (
            "--estimator reinmax --form nonsense --dataset digits",
            "--form: got nonsense with --estimator reinmax, expected only the hyper-parameters of this estimator: --tau",
        ),
        ("--estimator exact --tau 1 --dataset digits", "with --estimator exact, expected no hyper-parameter"),
        (
            "--estimator reinmax-rk2 --tau-schedule linear:1:5 --dataset digits",
            "--tau-schedule: got linear:1:5, expected an estimator with a temperature or a λ",
        ),
        (
            "--estimator gumbel-rao --draws many --dataset digits",
            "--draws: got many, expected a whole number",
        ),
        ("--estimator gumbel-rao --draws 0 --dataset digits", "--draws: got 0, expected a number from 1 to"),
        ("--tau -1 --dataset digits", "--tau: got -1"),
        ("--estimator gst --gap=-1 --dataset digits", "gap: got -1, expected a finite number >= 0"),
        ("--estimator reinmax-rk2 --beta nan --dataset digits", "beta: got NaN"),
        ("--estimator exact --latent 8x5 --dataset digits", "at most 16384 codes"),
        ("--estimator exact --preset as-run --dataset digits", "for which --preset has hyper-parameters"),
        ("--estimator st --preset table4 --latent 8x5 --dataset digits", "8x4, 4x24"),
        (
            "--tau-schedule linear:0:5 --dataset digits",
            "--tau-schedule: got linear:0:5, expected as its last value a finite number > 0",
        ),
        ("--latent 8", "CxL"),
        ("--latent 0x4", "CxL"),
        ("--tau 0 --dataset digits", "tau: got 0, expected a finite number > 0"),
        ("--tau nan --dataset digits", "tau: got NaN"),
        ("--lr 0 --dataset digits", "lr: got 0, expected a finite number > 0"),
        ("--lr nan --dataset digits", "lr: got NaN"),
        ("--batch-size 0 --dataset digits", "--batch-size: got 0, expected at least 1"),
        ("--epochs 0 --dataset digits", "epochs: got 0, expected at least 1"),
        ("--threads 0", "1..=1024"),
        ("--clip-norm 0 --dataset digits", "--clip-norm: got 0, expected a finite number > 0"),
        ("--checkpoint-every 0", "expected a whole number >= 1"),
        ("--importance-samples 9", "--evaluate"),
        (
            "--estimator reinforce --baseline leave-one-out:99999999999 --dataset digits",
            "--baseline: got leave-one-out:99999999999, expected leave-one-out over 2 to 10000 samples",
        ),
        ("--optimizer sgd", "one of adam, adamw, radam"),
        (
            "--weight-decay 0.1 --dataset digits",
            "--weight-decay: got 0.1, expected no weight decay with the optimiser adam, only with adamw",
        ),
        (
            "--optimizer adamw --weight-decay=-1 --dataset digits",
            "weight-decay: got -1, expected a finite number",
        ),
        ("--lr-schedule cosine:10:10", "total: got 10, expected more than warm-up, 10"),
        ("--lr-schedule linear:10", "expected cosine:TOTAL[:WARM_UP[:START_FACTOR[:MIN_LR]]]"),
        ("--activation tanh", "expected one of identity, relu, leaky-relu:SLOPE"),
        ("--activation leaky-relu:2", "slope: got 2, expected a number in [0, 1]"),
        (
            "--estimator stgs --preset mve-table --dataset digits",
            "--estimator: got stgs, expected one of mve, reinmax, st, gumbel-rao with --preset mve-table",
        ),
        (
            "--preset mve-table --epochs 10 --dataset digits",
            "--lr-schedule: got cosine:10:10:0.001:0, expected a valid schedule (total: got 10, expected more than",
        ),
        ("--dataset mnist", "get-mnist.sh"),
        ("--dataset digits --data .", "--data: got . with --dataset digits, which are built in"),
        ("--data nowhere", "--data: got nowhere, expected a directory with the four files of MNIST"),
        ("--dataset digits --out file", "cannot make the directory file"),
    ] {
        let output = train_vae(dir.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{args}: {}", stderr(&output));
    }
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let output = train_vae(dir.path(), "--dataset digits --lr 1e30 --epochs 1 --out bad");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    for part in ["is not finite at epoch 1, step ", "--lr", "no epoch was finished"] {
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
    assert!(!dir.path().join("bad/checkpoint.bin").exists());
}

/// If `$MNIST_DIR` or an existing directory data/mnist lacks a file, that is an error.
#[test]
fn a_named_place_without_mnist_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("place");
    std::fs::create_dir(&place).unwrap();
    let train = |place: &str, args: &str| {
        let mut command = Command::new(example("train_vae"));
        command.current_dir(dir.path()).env("MNIST_DIR", place).args(["--quiet", "--epochs", "1"]);
        command.args(args.split_whitespace()).output().unwrap()
    };
    let refused = |output: Output, parts: &[&str]| {
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        parts.iter().for_each(|part| assert!(stderr(&output).contains(part), "{part}: {}", stderr(&output)));
        assert!(!dir.path().join("runs").exists());
    };
    refused(train("place", ""), &["MNIST_DIR: cannot find place/train-images-idx3-ubyte", "unset MNIST_DIR"]);
    refused(
        train("nowhere", ""),
        &["MNIST_DIR: got nowhere, expected a directory with the four files", "unset MNIST_DIR"],
    );
    crate::kill::write_small_digits(&place);
    assert!(train("place", "--out whole").status.success());
    std::fs::remove_file(place.join("t10k-labels-idx1-ubyte")).unwrap();
    refused(train("place", ""), &["MNIST_DIR: cannot find place/t10k-labels-idx1-ubyte"]);
    #[cfg(unix)]
    {
        // A file that exists and that even root cannot open.
        std::os::unix::fs::symlink("t10k-labels-idx1-ubyte", place.join("t10k-labels-idx1-ubyte")).unwrap();
        refused(
            train("place", ""),
            &["MNIST_DIR: cannot open place/t10k-labels-idx1-ubyte: ", "symbolic links"],
        );
    }
    // `--dataset digits` does not read it, and an empty name counts as none.
    assert!(train("place", "--dataset digits --out other").status.success());
    let fallen_back = train("", "--out none");
    assert!(stderr(&fallen_back).contains("training on the built-in digits instead"));
    std::fs::create_dir_all(dir.path().join("data/mnist")).unwrap();
    refused(train("", ""), &["cannot find data/mnist/train-images-idx3-ubyte", "remove it, or give --data"]);
}
