//! `train_vae` with errors of the file system.

use crate::command_line::{example, losses, stderr};
use crate::kill::write_small_digits;
use hardgrad::data::{Idx, IdxData};
use hardgrad::train::Checkpoint;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A temporary directory with small data and a path for results.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_small_digits(dir.path());
        Self(dir)
    }

    fn out(&self) -> PathBuf {
        self.0.path().join("out")
    }

    fn command(&self, out: &Path, options: &str) -> Command {
        let mut command = Command::new(example("train_vae"));
        command
            .args("--dataset mnist --quiet --data".split(' '))
            .arg(self.0.path())
            .arg("--out")
            .arg(out)
            .args(options.split_whitespace());
        command
    }

    fn train(&self, out: &Path, options: &str) -> Output {
        self.command(out, options).output().unwrap()
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

/// A file system of 10 MiB in memory, which only root can mount.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=10m", "none"]).arg(&at).output();
        mount.is_ok_and(|mount| mount.status.success()).then_some(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk() {
    let place = Place::new();
    let Some(disk) = SmallDisk::mount(place.0.path().join("disk")) else {
        eprintln!("skipped: mounting a small file system needs root");
        return;
    };
    // From the third checkpoint on, three files of 3.9 MB exist while one is written.
    let out = disk.0.join("out");
    let full = place.train(&out, "--epochs 3 --checkpoint-every 2");
    ends(&full, 1, &["cannot write", "checkpoint.bin.tmp: No space left on device"]);
    assert!(!out.join("checkpoint.bin.tmp").exists(), "the temporary file must be removed");
    let kept = Checkpoint::load(&out.join("checkpoint.bin")).unwrap();
    assert_eq!((kept.history.len(), kept.step), (0, 4));
    let again = place.train(&out, "--epochs 3 --checkpoint-every 2 --resume");
    ends(&again, 1, &["No space left on device"]);
    assert_eq!(Checkpoint::load(&out.join("checkpoint.bin")).unwrap(), kept);
    // With free space the run continues to its end, here after moving it to another disk.
    fs::create_dir(place.out()).unwrap();
    for file in ["checkpoint.bin", "config.json"] {
        fs::copy(out.join(file), place.out().join(file)).unwrap();
    }
    ends(&place.train(&place.out(), "--epochs 3 --resume"), 0, &[]);
    ends(&place.train(&place.0.path().join("whole"), "--epochs 3"), 0, &[]);
    assert_eq!(losses(&place.out()), losses(&place.0.path().join("whole")));
}

#[test]
fn a_directory_that_cannot_be_written() {
    let place = Place::new();
    let under_a_file = place.0.path().join("t10k-labels-idx1-ubyte").join("out");
    ends(&place.train(&under_a_file, ""), 2, &["--out: cannot make the directory ", "/out: "]);
    // A directory in which even root cannot write.
    if cfg!(target_os = "linux") {
        ends(&place.train(Path::new("/proc/self/out"), ""), 2, &["cannot make the directory /proc/self/out"]);
        ends(&place.train(Path::new("/proc/self"), ""), 2, &["cannot write /proc/self/run.lock: "]);
    }
}

#[test]
fn a_directory_where_a_file_should_be() {
    let place = Place::new();
    for name in ["config.json", "metrics.jsonl", "checkpoint.bin", "checkpoint.prev.bin", "samples.png"] {
        let out = place.0.path().join(format!("out-{name}"));
        fs::create_dir_all(out.join(name)).unwrap();
        for options in ["--epochs 1", "--epochs 1 --resume"] {
            ends(&place.train(&out, options), 2, &[name, "it is a directory; expected a file"]);
        }
    }
    let out = place.0.path().join("out-run.lock");
    fs::create_dir_all(out.join("run.lock")).unwrap();
    ends(&place.train(&out, "--epochs 1"), 2, &["run.lock: Is a directory"]);
    let images = place.0.path().join("train-images-idx3-ubyte");
    fs::remove_file(&images).unwrap();
    fs::create_dir(&images).unwrap();
    ends(&place.train(&place.out(), ""), 2, &["--data: cannot find"]);
}

#[test]
fn missing_or_damaged_data() {
    let place = Place::new();
    let images = place.0.path().join("train-images-idx3-ubyte");
    File::options().write(true).open(&images).unwrap().set_len(1000).unwrap();
    ends(&place.train(&place.out(), ""), 2, &["train-images-idx3-ubyte: at byte 1000", "expected 29416"]);
    fs::remove_file(&images).unwrap();
    ends(&place.train(&place.out(), ""), 2, &["--data: cannot find", "no file train-images-idx3-ubyte"]);
    std::os::unix::fs::symlink("nowhere", &images).unwrap();
    ends(&place.train(&place.out(), ""), 2, &["--data: cannot find"]);
}

/// If the directory is removed during the run, the program ends with an error.
#[test]
fn an_output_directory_that_is_removed() {
    let place = Place::new();
    let out = place.out();
    let options = "--epochs 1000 --checkpoint-every 1";
    let child = place.command(&out, options).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    while !out.join("checkpoint.prev.bin").exists() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // A file may be created while the others are removed.
    while fs::remove_dir_all(&out).is_err() && out.exists() {}
    let output = child.wait_with_output().unwrap();
    ends(&output, 1, &["cannot ", "No such file or directory"]);
}

#[test]
fn two_runs_into_one_directory() {
    let place = Place::new();
    let out = place.out();
    let mut first =
        place.command(&out, "--epochs 1000 --slow-writes 5").stdout(Stdio::null()).spawn().unwrap();
    while !out.join("config.json").exists() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let holder = format!("process {} is writing into", first.id());
    for options in ["--epochs 1", "--epochs 1000 --resume"] {
        ends(&place.train(&out, options), 2, &[&holder, "give another --out"]);
    }
    first.kill().unwrap();
    first.wait().unwrap();
    // The process has ended, and its lock with it.
    let taken = place.train(&out, "--epochs 1 --resume");
    ends(&taken, 0, &[&format!("note: process {} ended without unlocking", first.id()), "taking over"]);
    assert_eq!(fs::read(out.join("run.lock")).unwrap(), b"");
    assert!(!stderr(&place.train(&out, "--epochs 1 --resume")).contains("taking over"));
}

/// A damaged checkpoint is renamed with a warning, and the run ends with equal bits.
#[test]
fn a_damaged_checkpoint_and_the_one_before_it() {
    let place = Place::new();
    let (out, whole) = (place.out(), place.0.path().join("whole"));
    ends(&place.train(&whole, "--epochs 3"), 0, &[]);
    ends(&place.train(&out, "--epochs 2 --checkpoint-every 4"), 0, &[]);
    let newest = out.join("checkpoint.bin");
    let mut bytes = fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest, &bytes).unwrap();
    let resumed = place.train(&out, "--epochs 3 --resume");
    ends(
        &resumed,
        0,
        &["warning: ", "the checksum does not match", "resuming from the checkpoint before it", "prev.bin"],
    );
    assert!(fs::read(out.join("checkpoint.damaged.bin")).unwrap() == bytes);
    assert!(fs::read(&newest).unwrap() == fs::read(whole.join("checkpoint.bin")).unwrap());
    assert_eq!(losses(&out), losses(&whole));
}

/// A number that is not finite ends the run at its step, and the saved files do not change.
#[test]
fn a_number_that_is_not_finite() {
    let place = Place::new();
    let out = place.out();
    ends(&place.train(&out, "--epochs 2"), 0, &[]);
    let newest = out.join("checkpoint.bin");
    let mut checkpoint = Checkpoint::load(&newest).unwrap();
    // A NaN in a checkpoint, which no check of sizes detects.
    checkpoint.moments.mean[0] = f32::INFINITY;
    checkpoint.save(&newest).unwrap();
    let files = ["checkpoint.bin", "checkpoint.prev.bin", "metrics.jsonl", "samples.png"];
    let held = || files.map(|file| fs::read(out.join(file)).unwrap());
    let before = held();
    let failed = place.train(&out, "--epochs 3 --checkpoint-every 1 --resume");
    ends(
        &failed,
        1,
        &["encoder.0.weight is not finite at epoch 3, step 1", "--lr", "after epoch 2, step 0 is kept"],
    );
    assert!(held() == before);
}

/// `metrics.jsonl` and `config.json` are read only up to the largest size of a valid file.
#[test]
fn text_files_that_go_on_for_gigabytes() {
    let place = Place::new();
    let out = place.out();
    ends(&place.train(&out, "--epochs 1"), 0, &[]);
    File::create(out.join("metrics.jsonl")).unwrap().set_len(64 << 30).unwrap();
    ends(&place.train(&out, "--epochs 2 --resume"), 0, &[]);
    assert_eq!(losses(&out).len(), 2);
    File::options().write(true).open(out.join("config.json")).unwrap().set_len(64 << 30).unwrap();
    ends(
        &place.train(&out, "--epochs 2 --resume"),
        2,
        &["config.json", "cannot be read as the config of a run"],
    );
}

/// Writes IDX files with no images, and no labels, in the place of the training or the test ones.
fn empty(directory: &Path, stem: &str) {
    for (name, dims) in [("images-idx3", vec![0, 7, 7]), ("labels-idx1", vec![0])] {
        let idx = Idx::new(dims, IdxData::U8(vec![])).unwrap();
        idx.write(File::create(directory.join(format!("{stem}-{name}-ubyte"))).unwrap()).unwrap();
    }
}

/// Data without images are an error of every program, before it writes anything. The message names
/// the file.
#[test]
fn data_without_images() {
    for (stem, what) in [("train", "1 to train on"), ("t10k", "1 to test with")] {
        let place = Place::new();
        empty(place.0.path(), stem);
        let expected =
            format!("{stem}-images-idx3-ubyte: the file contains no images, expected at least {what}");
        for (program, args) in [
            ("train_vae", "--out out --data"),
            ("train_vae", "--out out --resume --data"),
            ("bias_variance", "--out out --data"),
            ("reproduce", "plan tables --no-estimate --out out --data"),
            ("step_time", "--data"),
            ("02_mlp_mnist", "--data"),
        ] {
            let mut command = Command::new(example(program));
            command.current_dir(place.0.path()).args(args.split(' ')).arg(".");
            ends(&command.output().unwrap(), 2, &["error: ", &expected]);
            assert!(!place.out().exists(), "{program} wrote to --out");
        }
    }
}

/// A path of the weights that cannot be written is an error before training.
#[test]
fn weights_that_cannot_be_written_are_an_error_before_training() {
    let place = Place::new();
    for file in ["nowhere/weights.safetensors", "."] {
        let output = place.train(&place.out(), &format!("--export-weights {file}"));
        ends(&output, 2, &["--export-weights", file]);
        assert!(!place.out().exists());
    }
}

/// A limit of the size of files is an error of the write. It does not end the program by SIGXFSZ
/// with a partly written file.
#[test]
fn a_file_size_limit_is_an_error_of_the_write() {
    let place = Place::new();
    let limited = Command::new("sh")
        .args(["-c", "ulimit -f 1000; exec \"$0\" \"$@\""])
        .arg(example("train_vae"))
        .args(["--quiet", "--data"])
        .arg(place.0.path())
        .arg("--out")
        .arg(place.out())
        .output()
        .unwrap();
    ends(&limited, 1, &["cannot write", "checkpoint.bin.tmp: File too large"]);
    assert!(!place.out().join("checkpoint.bin.tmp").exists());
}

/// `step_time` ends with every batch size, either with a time or with an error that states the
/// largest valid one.
#[test]
fn an_epoch_too_short_to_time() {
    let place = Place::new();
    let time = |args: &str| {
        let mut command = Command::new(example("step_time"));
        command.current_dir(place.0.path()).args("--data . --steps 1".split(' '));
        command.args(args.split_whitespace()).output().unwrap()
    };
    for size in [600, 301, 60_000] {
        let expected = format!("error: --batch-size: got {size}, expected at most 300, half the number of");
        ends(&time(&format!("--batch-size {size}")), 2, &[&expected]);
    }
    ends(&time("--batch-size 0"), 2, &["error: --batch-size: got 0, expected at least 1"]);
    let timed = time("--batch-size 300");
    ends(&timed, 0, &[]);
    assert!(String::from_utf8_lossy(&timed.stdout).starts_with("{\"allocations\""));
}
