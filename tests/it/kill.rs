//! `train_vae` killed at random moments, most of them while it writes a checkpoint, and resumed.

use crate::command_line::{example, losses};
use hardgrad::data::{Idx, IdxData, Split, digits};
use hardgrad::rng::{from_key, uniform};
use hardgrad::train::Checkpoint;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
#[cfg(unix)] // used by the tests that send signals
use std::time::Duration;
use std::time::Instant;

/// Writes small images in MNIST's format: 600 digits for training and 100 for testing, of 7×7
/// pixels.
pub fn write_small_digits(dir: &Path) {
    let data = digits(0, 600, 100);
    let write = |stem: &str, split: &Split| {
        let n = split.len();
        let pooled = split.images().pixels().chunks(784).flat_map(|image| {
            (0..49).map(|k| {
                let (top, left) = (k / 7 * 4, k % 7 * 4);
                let ink = (0..16).map(|p| u32::from(image[(top + p / 4) * 28 + left + p % 4])).sum::<u32>();
                (ink / 16) as u8
            })
        });
        let images = Idx::new(vec![n, 7, 7], IdxData::U8(pooled.collect())).unwrap();
        images.write(File::create(dir.join(format!("{stem}-images-idx3-ubyte"))).unwrap()).unwrap();
        let labels = Idx::new(vec![n], IdxData::U8(vec![0; n])).unwrap();
        labels.write(File::create(dir.join(format!("{stem}-labels-idx1-ubyte"))).unwrap()).unwrap();
    };
    write("train", &data.train);
    write("t10k", &data.test);
}

/// Starts a run of four epochs of six steps, with a checkpoint of about 4 MB after each step. It
/// sleeps at eleven places while it writes a checkpoint.
fn train(data: &Path, out: &Path) -> Child {
    let options =
        "--dataset mnist --epochs 4 --checkpoint-every 1 --slow-writes 3 --threads 1 --quiet --resume";
    Command::new(example("train_vae"))
        .args(options.split(' '))
        .args(["--data".as_ref(), data, "--out".as_ref(), out])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills runs until `kills` processes were killed and the last run is complete. Each run must end
/// with the bits of an uninterrupted one.
fn kill_and_resume(kills: usize, seed: u64) {
    let dir = tempfile::tempdir().unwrap();
    write_small_digits(dir.path());
    let whole = dir.path().join("whole");
    let start = Instant::now();
    assert!(train(dir.path(), &whole).wait().unwrap().success());
    let usual = start.elapsed() / 3;
    let wanted = (fs::read(whole.join("checkpoint.bin")).unwrap(), losses(&whole));
    let mut rng = from_key(seed);
    let (mut killed, mut while_writing, mut runs) = (0, 0, 0);
    while killed < kills {
        let out = dir.path().join(format!("run-{runs}"));
        runs += 1;
        // The kill happens after a time up to `latest`, which grows while no step is gained, so
        // that the test ends on a slow machine too.
        let (mut latest, mut reached) = (usual, 0);
        loop {
            let mut child = train(dir.path(), &out);
            std::thread::sleep(latest.mul_f64(uniform(&mut rng)));
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                break;
            }
            child.kill().unwrap();
            if child.wait().unwrap().success() {
                break; // the process has ended meanwhile
            }
            killed += 1;
            while_writing += usize::from(out.join("checkpoint.bin.tmp").exists());
            let steps = readable(&out);
            latest = if steps > reached { usual } else { latest.mul_f64(1.2) };
            reached = steps;
        }
        let got = (fs::read(out.join("checkpoint.bin")).unwrap(), losses(&out));
        assert!(got == wanted, "run {runs}, after {killed} kills: other bits");
        fs::remove_dir_all(out).unwrap();
    }
    println!(
        "{killed} kills, {while_writing} of them while a file was half written; {runs} runs, all with the same bits"
    );
}

/// Checks that all files that exist are complete. Returns the number of steps in the newest
/// checkpoint.
fn readable(out: &Path) -> u64 {
    let newest = out.join("checkpoint.bin");
    for file in [&newest, &Checkpoint::previous(&newest)] {
        if file.exists() {
            Checkpoint::load(file).unwrap();
        }
    }
    let newest = Checkpoint::load_newest(&newest).unwrap();
    newest.map_or(0, |newest| newest.checkpoint.moments.step)
}

#[test]
fn killed_and_resumed() {
    kill_and_resume(10, 1);
}

/// `cargo test --release --test it 200_times -- --ignored --nocapture`: a few minutes.
#[test]
#[ignore = "takes minutes"]
fn killed_and_resumed_200_times() {
    kill_and_resume(200, 2);
}

/// After a signal the program finishes the step, saves the run, and returns 128 plus the number of
/// the signal.
#[test]
#[cfg(unix)] // other systems have no `kill`, and Ctrl-C of a console also reaches the tests
fn asked_to_stop() {
    let dir = tempfile::tempdir().unwrap();
    write_small_digits(dir.path());
    let whole = dir.path().join("whole");
    assert!(train(dir.path(), &whole).wait().unwrap().success());
    let out = dir.path().join("stopped");
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU};
    for (name, number) in [
        ("INT", SIGINT),
        ("TERM", SIGTERM),
        ("HUP", SIGHUP),
        ("USR1", SIGUSR1),
        ("USR2", SIGUSR2),
        ("XCPU", SIGXCPU),
    ] {
        if number == SIGHUP && crate::lab::stop::is_ignored(SIGHUP) {
            continue; // the tests themselves run under nohup
        }
        let mut child = train(dir.path(), &out);
        let begun = out.join("checkpoint.bin.tmp");
        while !begun.exists() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let kill = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        assert_eq!(child.wait().unwrap().code(), Some(128 + number), "{name}");
        assert_eq!(fs::read(out.join("run.lock")).unwrap(), b"", "the lock must be released");
    }
    assert!(train(dir.path(), &out).wait().unwrap().success());
    let checkpoint = |run: &Path| fs::read(run.join("checkpoint.bin")).unwrap();
    assert!(checkpoint(&whole) == checkpoint(&out));
    assert_eq!(losses(&whole), losses(&out));
}

/// `nohup` starts a program with SIGHUP ignored, and the program must not change that.
#[test]
#[cfg(unix)] // other systems have no SIGHUP
fn a_hangup_that_is_ignored() {
    let dir = tempfile::tempdir().unwrap();
    write_small_digits(dir.path());
    let out = dir.path().join("out");
    let options = "--epochs 2 --checkpoint-every 1 --slow-writes 3 --quiet";
    let mut child = Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$0\" \"$@\""])
        .arg(example("train_vae"))
        .args(options.split(' '))
        .args(["--data".as_ref(), dir.path(), "--out".as_ref(), &out])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !out.join("checkpoint.bin.tmp").exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let kill = Command::new("kill").args(["-HUP".to_string(), child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert!(child.wait().unwrap().success());
    assert_eq!(losses(&out).len(), 2);
}
