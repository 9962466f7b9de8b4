//! The error messages of the programs, each with a command line that causes it.
//!
//! `tests/data/messages.md` lists them for proof-reading: `HARDGRAD_WRITE_MESSAGES=1 cargo test
//! --release --test it messages` writes it, and without the variable the test compares it with what
//! the programs print.

use crate::command_line::{example, stderr};
use crate::kill::write_small_digits;
use hardgrad::data::{Idx, IdxData};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

/// A program, and its wrong arguments. Words like `NAME=value` before the arguments are environment
/// variables.
type Cases = &'static [(&'static str, &'static [&'static str])];

const CASES: Cases = &[
    ("01_tape", &["nonsense"]),
    (
        "02_mlp_mnist",
        &["--data nowhere", "--dataset letters", "--dataset digits --data ok", "--epochs x", "--data empty"],
    ),
    ("03_straight_through", &["--nonsense"]),
    ("04_estimators_compared", &["nonsense", "8x5"]),
    ("05_categorical_vae", &["--data nowhere", "--data part", "MNIST_DIR=nowhere", "nonsense"]),
    ("06_rebar", &["--nonsense"]),
    ("07_router", &["--nonsense"]),
    ("08_masked_actions", &["nonsense"]),
    ("custom_estimator", &["nonsense"]),
    (
        "polynomial",
        &[
            "nonsense",
            "--c 1",
            "--p 1",
            "--steps 0",
            "--lr x",
            "--lr -1",
            "--batch 0",
            "--seed -1",
            "--smoke --steps 1 --out file/polynomial",
        ],
    ),
    (
        "step_time",
        &[
            "--nonsense",
            "--threads 0",
            "--latent 8",
            "--estimator gumbel",
            "--tau 0",
            "--optimizer sgd",
            "--batch-size 0",
            "--batch-size 301 --data ok",
            "--steps 0",
            "--data nowhere",
            "--preset table5",
            "--tau-schedule 1",
        ],
    ),
    ("train_vae", TRAIN_VAE),
    ("bias_variance", BIAS_VARIANCE),
    (
        "explorer",
        &[
            "--nonsense",
            "--out nowhere/explorer.html",
            "--answer nowhere.json",
            "--answer junk/manifest.jsonl",
        ],
    ),
    ("reproduce", REPRODUCE),
];

const TRAIN_VAE: &[&str] = &[
    "--nonsense",
    "nonsense",
    // The estimator and its hyper-parameters.
    "--estimator gumbel",
    "--estimator st --eta 3",
    "--estimator exact --tau 1",
    "--tau -1",
    "--tau nan",
    "--tau many",
    "--estimator gumbel-rao --draws many",
    "--estimator gumbel-rao --draws 0",
    "--estimator gst --gap -1",
    "--estimator reinmax-cv --form eq27",
    "--estimator reinmax-cv --eta nan",
    "--estimator reinmax-rk2 --beta nan",
    "--estimator reinmax-blend --lambda x",
    "--estimator reinmax-blend --rao-tau 0",
    "--estimator mve --lambda -1",
    "--estimator reinforce --baseline nonsense",
    "--estimator reinforce --baseline leave-one-out:99999999999",
    "--estimator double-control-variate --samples 1",
    "--estimator double-control-variate --alpha x",
    "--estimator vimco --samples 0",
    "--tau-schedule nonsense",
    "--tau-schedule linear:0:5",
    "--tau-schedule linear:1:0",
    "--estimator mve --lambda 0 --tau-schedule linear:1:5",
    "--estimator reinmax-rk2 --tau-schedule linear:1:5",
    "--preset table5",
    "--estimator exact --preset as-run --data ok",
    "--estimator st --preset table4 --latent 8x5 --data ok",
    "--estimator stgs --preset mve-table --data ok",
    "--preset mve-table --epochs 10 --data ok",
    // The training.
    "--draw-tau 0 --data ok",
    "--latent 8",
    "--latent 0x4",
    "--activation tanh",
    "--activation leaky-relu:2",
    "--activation leaky-relu:x",
    "--estimator exact --latent 8x5 --data ok",
    "--optimizer sgd",
    "--weight-decay 0.1 --data ok",
    "--optimizer adamw --weight-decay -1 --data ok",
    "--weight-decay x",
    "--lr-schedule linear:10",
    "--lr-schedule cosine:x",
    "--lr-schedule cosine:0",
    "--lr-schedule cosine:10:10",
    "--lr-schedule cosine:10:1:2",
    "--lr-schedule cosine:10:1:0.1:-1",
    "--lr 0 --data ok",
    "--lr x",
    "--clip-norm 0 --data ok",
    "--epochs 0 --data ok",
    "--epochs -1",
    "--batch-size 0 --data ok",
    "--seed -1",
    "--threads 0",
    "--checkpoint-every 0",
    "--importance-samples 9",
    "--evaluate --importance-samples x",
    "--resume --resume",
    "--data ok --batch-size 100 --lr 1e30 --epochs 1 --out diverged",
    // The data.
    "--dataset letters",
    "--dataset mnist",
    "--dataset digits --data .",
    "--data",
    "--data nowhere",
    "--data part",
    "--data empty",
    "--data none",
    "--data cut",
    "--data junk-images",
    "--data gzip",
    "--data labels",
    "--data sizes",
    "--data names",
    "MNIST_DIR=nowhere",
    "MNIST_DIR=part",
    // The directory of the run.
    "--data ok --out file",
    "--data ok --out file/run",
    "--data ok --out /proc/self",
    "--data ok --out locked",
    "--data ok --out directory",
    "--data ok --out foreign",
    "--data ok --latent 2x2 --epochs 1 --out run",
    "--data ok --latent 2x2 --epochs 1 --out run --resume --lr 1",
    "--data other --latent 2x2 --epochs 1 --out run --resume",
    "--data ok --latent 2x2 --epochs 1 --out damaged --resume",
    "--data ok --latent 2x2 --epochs 1 --out version --resume",
    "--data ok --export-weights nowhere/weights",
    "--data ok --export-weights empty",
];

const BIAS_VARIANCE: &[&str] = &[
    "--nonsense",
    "--dataset letters",
    "--data nowhere",
    "--reference nonsense",
    "--latent 64x8 --reference exact --data ok",
    "--reference local --reference-samples 40 --data ok",
    "--reference local --reference-samples x",
    "--tau 0 --data ok",
    "--tau x",
    "--epochs 0 --data ok",
    "--every 0 --data ok",
    "--seed x",
    "--seeds 0",
    "--samples 100 --data ok",
    "--batch 0 --data ok",
    "--batch 700 --data ok",
    "--draws 0 --data ok",
    "--k 0 --data ok",
    "--threads 0",
    "--data ok --out file",
];

const REPRODUCE: &[&str] = &[
    "",
    "nonsense",
    "plan",
    "plan nonsense --out new",
    "plan tables",
    "plan tables --data nowhere --out new",
    "plan tables --dataset letters --out new",
    "plan grid --data ok --methods st --out new",
    "plan grid --data ok --methods gumbel --out new",
    "plan grid --data ok --methods reinmax-rao:lr=1 --out new",
    "plan field --data ok --methods mve:10 --out new",
    "plan field --data ok --methods mve:tau=1 --out new",
    "plan field --data ok --methods mve:seed=1 --out new",
    "plan field --data ok --methods mve:lambda=-1 --out new",
    "plan field --data ok --methods mve:lr=x --out new",
    "plan tables --data ok --configs 8x5 --out new",
    "plan tables --data ok --configs 8 --out new",
    "plan beta --data ok --betas -0.2,x --out new",
    "plan tables --data ok --seeds 0 --out new",
    "plan tables --data ok --seeds 3..3 --out new",
    "plan tables --data ok --epochs 0 --out new",
    "plan tables --data ok --preset table5 --out new",
    "plan tables --data ok --preset mve-table --out new",
    "plan mve-table --data ok --preset as-run --out new",
    "plan mve-table --data ok --methods stgs --out new",
    "plan tables --data ok --no-estimate --out file",
    "plan tables --data ok --no-estimate --out junk",
    "run",
    "run --out nowhere",
    "run --out junk",
    "run --out twice",
    "run --out wrong-id",
    "run --out planned --data other",
    "run --out planned --data nowhere",
    "run --out planned --dataset letters",
    "run --out planned --shard 2/2",
    "run --out planned --jobs 0",
    "run --out planned --threads-per-job 0",
    "run --out planned --checkpoint-every 0",
    "run --out planned --importance-samples x",
    "SLURM_ARRAY_TASK_ID=x run --out planned --data ok",
    "SLURM_ARRAY_TASK_ID=5 SLURM_ARRAY_TASK_COUNT=2 run --out planned --data ok",
    "status --out nowhere",
    "merge --out nowhere",
    "merge --out planned --from nowhere",
    "report --out nowhere",
    "report --out planned",
    "report --out junk-results",
    "merge --out junk-results",
    "report --out planned --bias-variance nowhere.jsonl",
];

/// Files and directories that the command lines name.
fn make_files(dir: &Path) {
    let at = |name: &str| dir.join(name);
    let make = |name: &str| fs::create_dir_all(at(name)).unwrap();
    let write = |name: &str, text: &str| fs::write(at(name), text).unwrap();
    let data = |name: &str| {
        make(name);
        write_small_digits(&at(name));
    };
    write("file", "");
    make("empty");
    for name in ["ok", "part", "other", "none", "cut", "junk-images", "gzip", "labels", "sizes", "names"] {
        data(name);
    }
    let images = "train-images-idx3-ubyte";
    let idx = |name: &str, file: &str, shape: &[usize]| {
        let data = IdxData::U8(vec![1; shape.iter().product()]);
        Idx::new(shape.to_vec(), data).unwrap().write(File::create(at(name).join(file)).unwrap()).unwrap();
    };
    fs::remove_file(at("part/train-labels-idx1-ubyte")).unwrap();
    idx("other", "t10k-images-idx3-ubyte", &[100, 7, 7]);
    idx("none", images, &[0, 7, 7]);
    idx("none", "train-labels-idx1-ubyte", &[0]);
    let whole = fs::read(at("cut").join(images)).unwrap();
    fs::write(at("cut").join(images), &whole[..1000]).unwrap();
    fs::write(at("junk-images").join(images), "<!DOCTYPE html>").unwrap();
    fs::write(at("gzip").join(images), b"\x1f\x8b\x08 and no more").unwrap();
    idx("labels", "train-labels-idx1-ubyte", &[5]);
    idx("sizes", "t10k-images-idx3-ubyte", &[100, 6, 7]);
    idx("names", images, &[600, 49]);

    make("locked/run.lock");
    make("directory/checkpoint.bin");
    make("foreign");
    write("foreign/config.json", "{}");
    let run = |args: &str| {
        let output = command(dir, args).output().unwrap();
        assert!(output.status.success(), "{args}: {}", stderr(&output));
    };
    for out in ["run", "damaged", "version"] {
        run(&format!("train_vae --data ok --latent 2x2 --epochs 1 --quiet --out {out}"));
    }
    for file in ["checkpoint.bin", "checkpoint.prev.bin"] {
        write(&format!("damaged/{file}"), "HARDGRAD, and nothing that can be read");
    }
    let mut checkpoint = fs::read(at("version/checkpoint.bin")).unwrap();
    checkpoint[8] = 99;
    fs::write(at("version/checkpoint.bin"), checkpoint).unwrap();
    let _ = fs::remove_file(at("version/checkpoint.prev.bin"));

    run(
        "reproduce plan tables --data ok --configs 8x4 --methods st --seeds 1 --epochs 1 --no-estimate --out planned",
    );
    let manifest = fs::read_to_string(at("planned/manifest.jsonl")).unwrap();
    for (name, text) in [
        ("junk", "{\"a\": 1}\n".to_owned()),
        ("twice", manifest.repeat(2)),
        ("wrong-id", manifest.replace("\"epochs\":1,", "\"epochs\":2,")),
        ("junk-results", manifest.clone()),
    ] {
        make(name);
        write(&format!("{name}/manifest.jsonl"), &text);
    }
    write("junk-results/results.jsonl", "nonsense\n");
}

/// A command from a line of environment variables, the program and its arguments.
fn command(dir: &Path, line: &str) -> Command {
    let mut words = line.split_whitespace().peekable();
    let mut variables = Vec::new();
    while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
        variables.push((name, value));
        words.next();
    }
    let mut command = Command::new(example(words.next().unwrap()));
    command.current_dir(dir).args(words);
    for name in ["MNIST_DIR", "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_COUNT"] {
        command.env_remove(name);
    }
    command.envs(variables);
    command
}

/// A row's variables, program and arguments as one line.
fn line(program: &str, args: &str) -> String {
    let variables: Vec<_> = args.split_whitespace().take_while(|word| word.contains('=')).collect();
    let rest = args.split_whitespace().skip(variables.len());
    variables.iter().copied().chain([program]).chain(rest).collect::<Vec<_>>().join(" ")
}

/// The error or warning in a program's standard error, without the notes before it and the usage
/// behind it.
fn message(text: &str) -> &str {
    let start = ["error: ", "warning: "].iter().filter_map(|kind| text.find(kind)).min().unwrap_or(0);
    let text = &text[start..];
    let end = ["\n\nUsage:", "\n\nFor more"].iter().filter_map(|usage| text.find(usage)).min();
    text[..end.unwrap_or(text.len())].trim_end()
}

fn table(dir: &Path) -> String {
    let mut table = "# Error messages of the programs\n\nEach row is a command line, its exit status and the message that it prints. \
                     `tests/it/messages.rs` writes and checks this table.\n"
        .to_owned();
    for (program, cases) in CASES {
        let _ = write!(table, "\n## `{program}`\n\n| command | status | message |\n|---|---|---|\n");
        for args in *cases {
            let line = line(program, args);
            let output = command(dir, &line).output().unwrap();
            let (status, error) = (output.status.code(), stderr(&output));
            let message = message(&error);
            assert!(matches!(status, Some(1 | 2)), "{line}: status {status:?}: {error}");
            assert!(!message.is_empty(), "{line}: no message");
            assert!(!error.contains("panicked"), "{line}: {error}");
            let cell = message.replace('|', "\\|").replace('\n', " ⏎ ").replace('<', "\\<");
            let _ = writeln!(table, "| `{line}` | {} | {cell} |", status.unwrap());
        }
    }
    let place = dir.canonicalize().unwrap();
    for place in [dir, &place] {
        assert!(!table.contains(&*place.to_string_lossy()), "a message names the temporary directory");
    }
    table
}

#[test]
fn every_message_is_as_the_table_has_it() {
    let dir = tempfile::tempdir().unwrap();
    make_files(dir.path());
    let table = table(dir.path());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/messages.md");
    if std::env::var_os("HARDGRAD_WRITE_MESSAGES").is_some() {
        fs::write(file, table).unwrap();
        return;
    }
    let written = fs::read_to_string(file).unwrap();
    for (now, then) in table.lines().zip(written.lines()) {
        assert_eq!(now, then, "after an intended change write the table with HARDGRAD_WRITE_MESSAGES=1");
    }
    assert_eq!(table.lines().count(), written.lines().count());
}

/// Programs without a row, and options that take a value and are in no row, fail here.
#[test]
fn every_program_and_option_has_a_row() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let is_program =
        |path: &Path| path.extension().is_some_and(|e| e == "rs") || path.join("main.rs").exists();
    let programs: BTreeSet<String> = fs::read_dir(examples)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| is_program(path))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let cases: BTreeMap<_, _> = CASES.iter().copied().collect();
    assert_eq!(
        programs.iter().map(String::as_str).collect::<Vec<_>>(),
        cases.keys().copied().collect::<Vec<_>>()
    );

    let commands = ["plan", "run", "merge", "status", "report"].map(|command| ("reproduce", command));
    let alone = cases.keys().filter(|&&program| !["reproduce", "04_estimators_compared"].contains(&program));
    for (program, subcommand) in alone.map(|&program| (program, "")).chain(commands) {
        let help = Command::new(example(program))
            .args(subcommand.split_whitespace())
            .arg("--help")
            .output()
            .unwrap();
        assert!(help.status.success(), "{program} {subcommand} --help");
        let help = String::from_utf8(help.stdout).unwrap();
        let options = help.lines().filter_map(|line| line.trim().strip_prefix("--")?.split_once(" <"));
        for option in options.map(|(name, _)| format!("--{name}")) {
            let has = |args: &&str| args.split_whitespace().any(|word| word == option);
            let of_command = |args: &&&str| {
                args.split_whitespace().any(|word| word == subcommand) || subcommand.is_empty()
            };
            let shared = program == "step_time"; // its options for the estimator are train_vae's
            let rows = cases[program].iter().filter(of_command).chain(TRAIN_VAE.iter().filter(|_| shared));
            assert!(rows.copied().any(|args| has(&args)), "{program} {subcommand}: no row with {option}");
        }
    }
}
