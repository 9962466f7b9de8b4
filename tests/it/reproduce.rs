//! `reproduce` as a user or a scheduler runs it, on small images.

use crate::command_line::{example, stderr};
use crate::kill::write_small_digits;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn reproduce(data: &Path, args: &str) -> Command {
    let mut command = Command::new(example("reproduce"));
    command.current_dir(data).args(args.split(' ')).env_remove("SLURM_ARRAY_TASK_ID");
    command
}

fn run(data: &Path, args: &str) -> Output {
    reproduce(data, args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Four runs of two epochs of six steps.
fn plan(data: &Path, out: &str) {
    let args = "plan tables --methods reinmax,reinmax-rao --configs 8x4 --seeds 2 --epochs 2 --dataset mnist --data . --no-estimate";
    let planned = run(data, &format!("{args} --out {out}"));
    assert!(planned.status.success(), "{}", stderr(&planned));
}

const RUN: &str = "run --dataset mnist --data . --importance-samples 2 --out";

/// `results.jsonl` without what may differ: wall times and threads.
fn results(out: &Path) -> Vec<Value> {
    let text = fs::read_to_string(out.join("results.jsonl")).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &mut lines {
        let line = line.as_object_mut().unwrap();
        assert!(line.remove("provenance").is_some() && line.remove("check").is_some());
    }
    lines
}

/// Directory of the i-th run.
fn directory(out: &Path, i: usize) -> std::path::PathBuf {
    let text = fs::read_to_string(out.join("manifest.jsonl")).unwrap();
    let line: Value = serde_json::from_str(text.lines().nth(i).unwrap()).unwrap();
    out.join("runs").join(line["id"].as_str().unwrap())
}

#[test]
fn stopped_sharded_and_resumed_it_ends_with_the_same_numbers() {
    let data = tempfile::tempdir().unwrap();
    let (path, dir) = (data.path(), |name: &str| data.path().join(name));
    write_small_digits(path);
    plan(path, "whole");
    plan(path, "whole"); // a plan made twice is the same plan
    assert_eq!(fs::read_to_string(dir("whole/manifest.jsonl")).unwrap().lines().count(), 4);
    let whole = run(path, &format!("{RUN} whole --jobs 2"));
    assert!(whole.status.success(), "{}", stderr(&whole));
    assert!(run(path, "status --out whole").status.success());
    assert!(run(path, "merge --out whole").status.success());

    plan(path, "parts");
    #[cfg(unix)] // elsewhere there is no `kill`
    for signal in ["USR1", "TERM"] {
        let args = format!("{RUN} parts --jobs 2 --checkpoint-every 1 --slow-writes 3");
        let mut child = reproduce(path, &args).spawn().unwrap();
        while !directory(&dir("parts"), 1).join("checkpoint.bin.tmp").exists()
            && child.try_wait().unwrap().is_none()
        {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let kill =
            Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().unwrap();
        assert!(kill.success());
        assert_eq!(child.wait().unwrap().code(), Some(75), "{signal}");
        let status = run(path, "status --out parts");
        assert_eq!(status.status.code(), Some(1));
        assert!(stdout(&status).contains("begun     "), "{}", stdout(&status));
    }
    // Two tasks of an array at once, by the environment and by the option, with another number of threads.
    let first = reproduce(path, &format!("{RUN} parts --threads-per-job 2"))
        .envs([("SLURM_ARRAY_TASK_ID", "5"), ("SLURM_ARRAY_TASK_MIN", "5"), ("SLURM_ARRAY_TASK_COUNT", "2")])
        .spawn();
    let second = run(path, &format!("{RUN} parts --shard 1/2"));
    assert!(second.status.success(), "{}", stderr(&second));
    assert!(first.unwrap().wait().unwrap().success());
    let merged = run(path, "merge --out parts");
    assert!(merged.status.success(), "{}", stderr(&merged));
    assert_eq!(results(&dir("whole")), results(&dir("parts")));
    for i in 0..4 {
        let checkpoint = |out: &str| fs::read(directory(&dir(out), i).join("checkpoint.bin")).unwrap();
        assert!(checkpoint("whole") == checkpoint("parts"));
    }
    // The exact likelihood is above the bound, which is above the one of single samples, but for the samples' noise.
    let evaluation = &results(&dir("whole"))[0]["evaluation"];
    let bound = evaluation["importance"]["bound"].as_f64().unwrap();
    assert!(evaluation["exact"].as_f64().unwrap() < bound, "{evaluation}");
}

#[test]
fn what_is_missing_damaged_double_or_diverged_is_named() {
    let data = tempfile::tempdir().unwrap();
    let (path, dir) = (data.path(), |name: &str| data.path().join(name));
    write_small_digits(path);
    plan(path, "a");
    let (out, half) = (dir("a"), run(path, &format!("{RUN} a --shard 0/2")));
    assert!(half.status.success(), "{}", stderr(&half));
    let merged = run(path, "merge --out a");
    assert_eq!((merged.status.code(), results(&out).len()), (Some(0), 2));
    assert_eq!(stdout(&merged).matches("missing ").count(), 2);

    // One digit changed in a result; the other's copy in results.jsonl stands in for it.
    let file = directory(&out, 0).join("result.json");
    let text = fs::read_to_string(&file).unwrap();
    let at = text.find("\"loss\":").unwrap() + 7;
    let digit = if &text[at..=at] == "1" { "2" } else { "1" };
    fs::write(&file, format!("{}{digit}{}", &text[..at], &text[at + 1..])).unwrap();
    let status = run(path, "status --out a");
    assert!(stdout(&status).contains("damaged: its check is "), "{}", stdout(&status));
    let merged = run(path, "merge --out a");
    assert_eq!((merged.status.code(), results(&out).len()), (Some(1), 2));
    assert!(stderr(&merged).contains("damaged: its check is "), "{}", stderr(&merged));
    // `run` makes it again from the checkpoint.
    assert!(run(path, &format!("{RUN} a --shard 0/2")).status.success());
    assert_eq!(
        fs::read_to_string(&file).unwrap().split("provenance").next(),
        text.split("provenance").next()
    );

    // Another machine did the other half, and one of the same.
    plan(path, "b");
    assert!(run(path, &format!("{RUN} b --shard 1/2")).status.success());
    assert!(run(path, &format!("{RUN} b --shard 0/4")).status.success());
    let merged = run(path, "merge --out a --from b");
    assert!(merged.status.success(), "{}", stderr(&merged));
    // a/results.jsonl has two that stand in a's runs too, and b one.
    assert!(stdout(&merged).contains("4 of 4 runs in a/results.jsonl; 3 duplicates"), "{}", stdout(&merged));

    // A learning rate at which it diverges, by hand: the error tells the id that goes with it.
    let manifest = out.join("manifest.jsonl");
    let text = fs::read_to_string(&manifest).unwrap().replace("\"lr\":0.0005", "\"lr\":1e30");
    fs::write(&manifest, &text).unwrap();
    let changed = run(path, "status --out a");
    assert_eq!(changed.status.code(), Some(2));
    let message = stderr(&changed);
    let id = message.split("epochs have ").nth(1).unwrap().split(':').next().unwrap();
    let first = text.lines().next().unwrap();
    fs::write(&manifest, format!("{{\"id\":\"{id}\"{}\n", &first[20..])).unwrap();
    for _ in 0..2 {
        let diverged = run(path, &format!("{RUN} a"));
        assert!(diverged.status.success(), "{}", stderr(&diverged)); // it is a result
        assert!(stdout(&diverged).contains("0 of 1 runs complete, 1 diverged"), "{}", stdout(&diverged));
    }
    let merged = run(path, "merge --out a");
    assert!(stdout(&merged).contains("diverged after 0 epochs"), "{}", stdout(&merged));
    assert!(stdout(&merged).contains("4 results of unplanned runs left out"), "{}", stdout(&merged));
}

#[test]
fn wrong_arguments_exit_2_and_say_what_would_be_right() {
    let data = tempfile::tempdir().unwrap();
    write_small_digits(data.path());
    plan(data.path(), "a");
    for (args, expected) in [
        ("run --out nowhere", "nowhere/manifest.jsonl"),
        ("run --out a --dataset digits", "but the data here are"),
        ("run --out a --shard 2/2", "expected I/N with I from 0 to N-1"),
        ("run --out a --jobs 0", "--jobs"),
        (
            "plan grid --methods st --out b --dataset digits",
            "methods: got st, expected some of reinmax-rao, reinmax-cv",
        ),
        ("plan tables --configs 8x5 --out b --dataset digits", "8x4, 4x24"),
        ("plan beta --betas -0.2,x --out b --dataset digits", "invalid value 'x'"),
    ] {
        let output = run(data.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{args}: {}", stderr(&output));
    }
    let task = [("SLURM_ARRAY_TASK_ID", "5"), ("SLURM_ARRAY_TASK_COUNT", "2")];
    let output = reproduce(data.path(), "run --out a").envs(task).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("give --array=0-N or --shard"), "{}", stderr(&output));
}

/// Blank lines do not count, whoever reads; a run that stands twice is refused by all.
#[test]
fn a_manifest_is_read_by_one_rule() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path();
    write_small_digits(path);
    plan(path, "a");
    let manifest = path.join("a/manifest.jsonl");
    let lines = fs::read_to_string(&manifest).unwrap();
    assert!(run(path, &format!("{RUN} a --shard 0/4")).status.success());
    assert!(run(path, "merge --out a").status.success());
    fs::write(&manifest, format!("\n{}\r\n \n", lines.replace('\n', "\r\n\n"))).unwrap();
    let results = path.join("a/results.jsonl");
    fs::write(&results, format!("\n\n{}\n", fs::read_to_string(&results).unwrap())).unwrap();
    assert!(stdout(&run(path, "status --out a")).contains("1 complete, 0 diverged, 0 begun, 3 missing"));
    let merged = run(path, "merge --out a");
    assert!(merged.status.success(), "{}", stderr(&merged));
    assert!(stdout(&merged).contains("1 of 4 runs in a/results.jsonl; 1 duplicates"), "{}", stdout(&merged));
    fs::write(&results, format!("\n{}\n", fs::read_to_string(&results).unwrap())).unwrap();
    assert!(run(path, "report --out a").status.success());

    let first = lines.lines().next().unwrap();
    fs::write(&manifest, format!("{lines}\n{first}\n")).unwrap();
    for args in ["status --out a", "merge --out a", "report --out a", &format!("{RUN} a")] {
        let refused = run(path, args);
        assert_eq!(refused.status.code(), Some(2), "{args}: {}", stderr(&refused));
        let expected = format!("a/manifest.jsonl, line 6: run {} stands in line 1 already", &first[7..19]);
        assert!(stderr(&refused).contains(&expected), "{args}: {}", stderr(&refused));
    }
}

/// So few images that an epoch is one step: the time of a plan is then measured in epochs.
#[test]
fn an_epoch_of_one_step_has_a_time() {
    let data = tempfile::tempdir().unwrap();
    let split = |n: usize, stem: &str| {
        let images = hardgrad::data::Idx::new(vec![n, 28, 28], hardgrad::data::IdxData::U8(vec![9; n * 784]));
        let labels = hardgrad::data::Idx::new(vec![n], hardgrad::data::IdxData::U8(vec![0; n]));
        for (name, idx) in [("images-idx3", images), ("labels-idx1", labels)] {
            let file = fs::File::create(data.path().join(format!("{stem}-{name}-ubyte"))).unwrap();
            idx.unwrap().write(file).unwrap();
        }
    };
    split(100, "train");
    split(10, "t10k");
    // A million epochs, of which each takes more than a microsecond.
    let args = "plan tables --methods st --configs 8x4 --seeds 1 --epochs 1000000 --data . --out a";
    let planned = run(data.path(), args);
    assert!(planned.status.success(), "{}", stderr(&planned));
    assert!(!stdout(&planned).contains("about 0:00"), "{}", stdout(&planned));
}
