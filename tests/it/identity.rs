//! Identity of a run: its config and its training and test images, regardless of their names. No
//! run is overwritten or mixed with another.

use crate::command_line::{example, losses, stderr};
use crate::kill::write_small_digits;
use hardgrad::data::{Idx, IdxData};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

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

    fn run_in(&self, dir: &str, program: &str, args: &str) -> Output {
        let mut command = Command::new(example(program));
        command.current_dir(self.path(dir)).env_remove("MNIST_DIR").env_remove("SLURM_ARRAY_TASK_ID");
        command.args(args.split_whitespace()).output().unwrap()
    }

    fn train(&self, args: &str) -> Output {
        self.run_in("", "train_vae", &format!("--quiet {args}"))
    }

    fn reproduce(&self, args: &str) -> Output {
        self.run_in("", "reproduce", args)
    }

    /// A directory with as many images, of which the first test image is white.
    fn other_test_images(&self, to: &str) {
        fs::create_dir(self.path(to)).unwrap();
        write_small_digits(&self.path(to));
        let file = self.path(to).join("t10k-images-idx3-ubyte");
        let (dims, data) = Idx::read(&file).unwrap().into_parts();
        let IdxData::U8(mut pixels) = data else { panic!() };
        pixels[..49].fill(0);
        Idx::new(dims, IdxData::U8(pixels)).unwrap().write(File::create(file).unwrap()).unwrap();
    }
}

#[track_caller]
fn ends(output: &Output, code: i32, parts: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in parts {
        assert!(text.contains(part), "{text:?} does not contain {part:?}");
    }
}

/// All files of a directory but its lock.
fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("run.lock"))
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

const PLAN: &str = "plan tables --methods st --configs 8x4 --seeds 1 --epochs 1 --no-estimate";

#[test]
fn other_test_images_make_another_run() {
    let place = Place::new();
    place.other_test_images("other");
    ends(&place.train("--data data --epochs 1 --out run"), 0, &[]);
    let before = files(&place.path("run"));
    let other = place.train("--data other --epochs 2 --out run --resume");
    ends(&other, 2, &["run holds a run with another config: dataset.test_crc32 is ", ", expected "]);
    assert!(files(&place.path("run")) == before);

    ends(&place.reproduce(&format!("{PLAN} --data data --out plan")), 0, &[]);
    let other = place.reproduce("run --data other --out plan");
    ends(&other, 2, &["--data: got other (600 ", "is planned on data (600 training images, CRC-32 "]);
    ends(&place.reproduce(&format!("{PLAN} --data other --out plan")), 0, &[]);
    let manifest = fs::read_to_string(place.path("plan/manifest.jsonl")).unwrap();
    assert_eq!(manifest.lines().count(), 2, "{manifest}");
}

/// Two test sets with one name are in two sections of a report, with headings that distinguish
/// them.
#[test]
fn a_report_separates_two_test_sets() {
    let place = Place::new();
    fs::create_dir(place.path("elsewhere")).unwrap();
    place.other_test_images("elsewhere/data");
    for (data, out) in [("data", "a"), ("elsewhere/data", "b")] {
        ends(&place.reproduce(&format!("{PLAN} --data {data} --out {out}")), 0, &[]);
        ends(&place.reproduce(&format!("run --data {data} --importance-samples 0 --out {out}")), 0, &[]);
        ends(&place.reproduce(&format!("merge --out {out}")), 0, &[]);
    }
    fs::create_dir(place.path("both")).unwrap();
    let both = ["a", "b"].map(|out| fs::read_to_string(place.path(out).join("results.jsonl")).unwrap());
    fs::write(place.path("both/results.jsonl"), both.concat()).unwrap();
    ends(&place.reproduce("report --out both"), 0, &[]);
    let report = fs::read_to_string(place.path("both/report/report.md")).unwrap();
    let headings: Vec<_> = report.lines().filter(|line| line.starts_with("## Other runs")).collect();
    assert_eq!(headings.len(), 2, "{report}");
    assert_ne!(headings[0], headings[1]);
}

#[test]
fn the_images_may_be_at_another_path() {
    let place = Place::new();
    ends(&place.train("--data data --epochs 2 --out whole"), 0, &[]);
    ends(&place.train("--data data --epochs 1 --out run"), 0, &[]);
    ends(&place.reproduce(&format!("{PLAN} --data data --out plan")), 0, &[]);
    let manifest = || fs::read_to_string(place.path("plan/manifest.jsonl")).unwrap();
    let planned = manifest();
    fs::rename(place.path("data"), place.path("moved")).unwrap();
    let resumed = place.run_in("moved", "train_vae", "--data . --epochs 2 --resume --out ../run");
    ends(&resumed, 0, &["resuming after epoch 1", "reinmax on moved"]);
    assert_eq!(losses(&place.path("run")), losses(&place.path("whole")));
    ends(&place.reproduce(&format!("{PLAN} --data moved --out plan")), 0, &[]);
    assert_eq!(manifest(), planned);
    ends(&place.reproduce("run --data moved --importance-samples 0 --out plan"), 0, &[]);
}

/// A config and a manifest from before the checksum of the test images was recorded.
#[test]
fn runs_of_an_earlier_version_are_continued() {
    let place = Place::new();
    ends(&place.train("--data data --epochs 1 --out run"), 0, &[]);
    let file = place.path("run/config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert!(config["dataset"].as_object_mut().unwrap().remove("test_crc32").is_some());
    fs::write(&file, config.to_string()).unwrap();
    ends(&place.train("--data data --epochs 2 --resume --out run"), 0, &[]);
    assert_eq!(losses(&place.path("run")).len(), 2);
    assert!(
        fs::read_to_string(&file).unwrap().contains("test_crc32"),
        "the checksum must be recorded when the run is resumed"
    );

    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/results/vae/manifest.jsonl");
    if stored.exists() {
        fs::create_dir(place.path("stored")).unwrap();
        fs::copy(&stored, place.path("stored/manifest.jsonl")).unwrap();
        let status = place.reproduce("status --out stored");
        ends(&status, 1, &[]);
        let planned = fs::read_to_string(stored).unwrap().lines().count();
        let expected = format!("0 complete, 0 diverged, 0 begun, {planned} missing, 0 damaged\n");
        assert!(String::from_utf8_lossy(&status.stdout).ends_with(&expected));
    }
}

/// A run that diverged or was killed before its first checkpoint does not prevent a new one.
#[test]
fn a_directory_without_a_checkpoint_is_overwritten() {
    let place = Place::new();
    ends(&place.train("--data data --epochs 1 --lr 1e30 --out run"), 1, &["no epoch was finished"]);
    ends(&place.train("--data data --epochs 1 --out run"), 0, &[]);
    let config = fs::read_to_string(place.path("run/config.json")).unwrap();
    assert!(config.contains("\"lr\": 0.0005"), "{config}");

    let options = ["--data", "data", "--epochs", "100000", "--batch-size", "1", "--out", "killed"];
    let mut child =
        Command::new(example("train_vae")).current_dir(place.path("")).args(options).spawn().unwrap();
    while !place.path("killed/config.json").exists() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let nothing = !place.path("killed/checkpoint.bin").exists();
    if nothing {
        ends(&place.train("--data data --epochs 1 --seed 1 --out killed"), 0, &[]);
    }

    // A checkpoint within the first epoch prevents a new run.
    let options = "--data data --epochs 1 --checkpoint-every 1 --lr 1e30 --out steps";
    ends(&place.train(options), 1, &["is kept in"]);
    ends(&place.train("--data data --epochs 1 --out steps"), 2, &["lr is 1e", ", expected 0.0005"]);
    // A `config.json` that is not the config of a run is not overwritten.
    fs::create_dir(place.path("foreign")).unwrap();
    fs::write(place.path("foreign/config.json"), "{\"port\": 80}").unwrap();
    let foreign = place.train("--data data --epochs 1 --out foreign");
    ends(&foreign, 2, &["config.json", "cannot be read as the config of a run: it has no \"vae\""]);
    assert_eq!(fs::read_to_string(place.path("foreign/config.json")).unwrap(), "{\"port\": 80}");
}

#[test]
fn a_run_is_not_overwritten_without_resume() {
    let place = Place::new();
    ends(&place.train("--data data --epochs 2 --out run"), 0, &[]);
    let before = files(&place.path("run"));
    for options in ["--epochs 2", "--epochs 4", "--epochs 1 --evaluate"] {
        let again = place.train(&format!("--data data {options} --out run"));
        ends(
            &again,
            2,
            &["run already holds this run: give --resume", "to start it again, remove that directory"],
        );
    }
    // The checkpoint before the newest one counts as a run, and so do losses without a checkpoint.
    fs::remove_file(place.path("run/checkpoint.bin")).unwrap();
    ends(&place.train("--data data --epochs 2 --out run"), 2, &["give --resume"]);
    fs::remove_file(place.path("run/checkpoint.prev.bin")).unwrap();
    ends(&place.train("--data data --epochs 2 --out run"), 2, &["give --resume"]);
    let names = |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|file| file.0.clone()).collect::<Vec<_>>();
    let kept: Vec<_> = before.into_iter().filter(|file| file.0.extension().unwrap() != "bin").collect();
    assert_eq!(names(&files(&place.path("run"))), names(&kept));
    assert!(files(&place.path("run")) == kept);
}

/// A new run removes the files that were derived from the checkpoints of an earlier run.
#[test]
fn nothing_of_an_earlier_run_stands_beside_a_new_one() {
    let place = Place::new();
    ends(&place.train("--data data --epochs 2 --evaluate --importance-samples 0 --out run"), 0, &[]);
    assert!(place.path("run/evaluation.json").exists());
    for name in ["checkpoint.bin", "checkpoint.prev.bin", "metrics.jsonl"] {
        fs::remove_file(place.path("run").join(name)).unwrap();
    }
    // The run ends before it writes pictures.
    ends(&place.train("--data data --epochs 1 --lr 1e30 --out run"), 1, &[]);
    let left: Vec<_> = files(&place.path("run")).into_iter().map(|file| file.0).collect();
    assert_eq!(left, [place.path("run/config.json")]);
    // An evaluation contains its epoch.
    ends(&place.train("--data data --epochs 1 --evaluate --importance-samples 0 --out run"), 0, &[]);
    ends(&place.train("--data data --epochs 2 --resume --out run"), 0, &[]);
    let evaluation = fs::read_to_string(place.path("run/evaluation.json")).unwrap();
    assert!(evaluation.starts_with("{\"epoch\":1,"), "{evaluation}");
}
