//! Every program with outputs that cannot be written: closed pipes, full devices, closed
//! descriptors; and terminals without bars.

use crate::command_line::{example, losses, stderr};
use crate::kill::write_small_digits;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// Destination of the output of a program.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sink {
    /// A pipe whose reader has closed it.
    Gone,
    /// A full device.
    Full,
    /// A closed descriptor.
    Closed,
    /// A pipe that is read.
    Read,
}

const BAD: [Sink; 3] = [Sink::Gone, Sink::Full, Sink::Closed];

impl Sink {
    fn stdio(self) -> Stdio {
        match self {
            Self::Gone => std::io::pipe().unwrap().1.into(),
            Self::Full => File::options().write(true).open("/dev/full").unwrap().into(),
            Self::Closed => Stdio::null(), // the shell closes it
            Self::Read => Stdio::piped(),
        }
    }
}

/// A directory to work in, with small data in `data`.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("data")).unwrap();
        write_small_digits(&dir.path().join("data"));
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a program with these destinations of its outputs.
    fn run(&self, program: &str, args: &str, out: Sink, err: Sink) -> Output {
        let close = |sink, descriptor| if sink == Sink::Closed { descriptor } else { "" };
        let script = format!("exec \"$0\" \"$@\" {} {}", close(out, ">&-"), close(err, "2>&-"));
        Command::new("sh")
            .args(["-c", &script])
            .arg(example(program))
            .args(args.split_whitespace())
            .current_dir(self.0.path())
            .env_remove("MNIST_DIR")
            .env_remove("SLURM_ARRAY_TASK_ID")
            .stdout(out.stdio())
            .stderr(err.stdio())
            .output()
            .unwrap()
    }

    #[track_caller]
    fn ends(&self, program: &str, args: &str, sinks: [Sink; 2], code: i32) -> Output {
        let output = self.run(program, args, sinks[0], sinks[1]);
        assert_eq!(output.status.code(), Some(code), "{program} {args} {sinks:?}: {}", stderr(&output));
        output
    }
}

/// Programs whose only result is their output end with the status of a broken pipe, or with a
/// message about a full device. A closed descriptor is no error, because the user closed it.
#[test]
fn programs_without_result_files_end_with_an_error() {
    if !Path::new("/dev/full").exists() {
        eprintln!("skipped: there is no /dev/full");
        return;
    }
    let place = Place::new();
    fs::write(place.path("settings.json"), "[]").unwrap();
    let plan =
        "plan tables --methods st --configs 8x4 --seeds 1 --epochs 1 --data data --no-estimate --out plan";
    place.ends("reproduce", plan, [Sink::Read; 2], 0);
    for (program, args, success) in [
        ("01_tape", "", 0),
        ("03_straight_through", "", 0),
        ("07_router", "", 0),
        ("08_masked_actions", "", 0),
        ("custom_estimator", "", 0),
        ("explorer", "--answer settings.json", 0),
        ("step_time", "--steps 1 --data data", 0),
        ("reproduce", "status --out plan", 1), // a run is missing
    ] {
        let quiet = place.ends(program, args, [Sink::Gone, Sink::Read], 141);
        assert_eq!(stderr(&quiet), "", "{program}");
        let full = place.ends(program, args, [Sink::Full, Sink::Read], 1);
        let message = "error: cannot write to standard output: No space left on device";
        assert!(stderr(&full).starts_with(message), "{program}: {}", stderr(&full));
        place.ends(program, args, [Sink::Full, Sink::Full], 1);
        place.ends(program, args, [Sink::Closed, Sink::Read], success);
        for err in BAD {
            let output = place.ends(program, args, [Sink::Read, err], success);
            assert!(!output.stdout.is_empty(), "{program}");
        }
    }
}

/// The result files of a program do not depend on whether its output is read.
#[test]
fn programs_with_result_files_write_them_without_a_reader() {
    if !Path::new("/dev/full").exists() {
        eprintln!("skipped: there is no /dev/full");
        return;
    }
    let place = Place::new();
    let train = |out: &str, sinks| {
        let options = "--data data --epochs 2 --evaluate --importance-samples 2 --out";
        place.ends("train_vae", &format!("{options} {out}"), sinks, 0);
        let evaluation = fs::read_to_string(place.path(out).join("evaluation.json")).unwrap();
        (losses(&place.path(out)), evaluation, fs::read(place.path(out).join("samples.png")).unwrap())
    };
    let wanted = train("wanted", [Sink::Read; 2]);
    let plan = "plan tables --methods st --configs 8x4 --seeds 1 --epochs 1 --data data --out";
    for (i, sinks) in [[Sink::Gone; 2], [Sink::Full; 2], [Sink::Closed; 2]].into_iter().enumerate() {
        assert!(train(&format!("run-{i}"), sinks) == wanted, "{sinks:?}");
        let out = format!("plan-{i}");
        place.ends("reproduce", &format!("{plan} {out}"), sinks, 0);
        place.ends("reproduce", &format!("run --data data --importance-samples 0 --out {out}"), sinks, 0);
        place.ends("reproduce", &format!("merge --out {out}"), sinks, 0);
        place.ends("reproduce", &format!("report --out {out}"), sinks, 0);
        assert_eq!(fs::read_to_string(place.path(&out).join("results.jsonl")).unwrap().lines().count(), 1);
        assert!(place.path(&out).join("report/report.html").exists());
        place.ends("explorer", &format!("--out page-{i}.html"), sinks, 0);
        assert!(place.path(&format!("page-{i}.html")).exists());
    }
}

/// The slower programs, each once with a closed pipe and once with a full device.
#[test]
fn numbered_examples_write_their_files_without_a_reader() {
    if !Path::new("/dev/full").exists() {
        eprintln!("skipped: there is no /dev/full");
        return;
    }
    let place = Place::new();
    for (program, args, file) in [
        ("02_mlp_mnist", "--smoke", "runs/02_mlp_mnist/metrics.jsonl"),
        ("04_estimators_compared", "--smoke", "runs/04_estimators_compared/estimators.jsonl"),
        ("05_categorical_vae", "--smoke", "runs/05_categorical_vae/metrics.jsonl"),
        ("06_rebar", "--smoke", "runs/06_rebar/rebar.jsonl"),
        ("polynomial", "--steps 1", "runs/polynomial/polynomial.jsonl"),
        (
            "bias_variance",
            "--dataset digits --latent 2x2 --epochs 1 --every 1 --samples 128 --batch 5 --draws 2",
            "runs/bias_variance/bias_variance.jsonl",
        ),
    ] {
        for sinks in [[Sink::Gone; 2], [Sink::Full; 2]] {
            let _ = fs::remove_file(place.path(file));
            place.ends(program, args, sinks, 0);
            assert!(place.path(file).exists(), "{program}");
        }
    }
}

/// The status of a wrong argument does not depend on whether the message can be written.
#[test]
fn a_usage_error_exits_2() {
    let place = Place::new();
    for (program, args) in [
        ("train_vae", "--tau -1 --data data"),
        ("train_vae", "--no-such-option"),
        ("reproduce", "run --out nowhere"),
        ("bias_variance", "--dataset digits --samples 1"),
        ("step_time", "--batch-size 0 --data data"),
        ("02_mlp_mnist", "--data nowhere"),
        ("04_estimators_compared", "8"),
        ("polynomial", "--p 0"),
    ] {
        for err in [Sink::Read, Sink::Gone, Sink::Full, Sink::Closed] {
            if err != Sink::Full || Path::new("/dev/full").exists() {
                place.ends(program, args, [Sink::Read, err], 2);
            }
        }
    }
}

/// Output of a program on a terminal of this kind, by the program `script`. `None` if `script` is
/// not installed.
fn on_a_terminal(place: &Place, term: &str, program: &str, args: &str) -> Option<String> {
    let command = format!("{term} {} {args}", example(program).display());
    let mut script = Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).current_dir(place.0.path()).stdin(Stdio::null());
    let Ok(output) = script.output() else {
        eprintln!("skipped: there is no program `script` to make a terminal");
        return None;
    };
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where no bar is drawn, lines are printed, and every terminal shows the reason why a run failed.
#[test]
fn terminals_without_bars_get_lines() {
    let place = Place::new();
    let plan = "plan tables --methods st --configs 8x4 --seeds 1 --epochs 1 --data data --no-estimate --out";
    for (i, term) in ["TERM=dumb", "env -u TERM", "TERM=xterm"].into_iter().enumerate() {
        let args = format!("--data data --epochs 1 --out run-{i}");
        let Some(text) = on_a_terminal(&place, term, "train_vae", &args) else { return };
        assert!(text.contains("epoch 1/1: train "), "{term}: {text}");
        let out = format!("plan-{i}");
        place.ends("reproduce", &format!("{plan} {out}"), [Sink::Read; 2], 0);
        // A file has the name of the directory of the run.
        fs::write(place.path(&out).join("runs"), "").unwrap();
        let args = format!("run --data data --out {out}");
        let text = on_a_terminal(&place, term, "reproduce", &args).unwrap();
        assert!(text.contains("error: --out: cannot make the directory"), "{term}: {text}");
        assert!(text.contains("1 failed"), "{term}: {text}");
    }
}
