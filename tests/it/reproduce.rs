//! `reproduce` as a user or a scheduler runs it, on small images.

use crate::command_line::{example, stderr};
use crate::kill::write_small_digits;
use serde_json::Value;
use sha2::{Digest, Sha256};
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

/// `results.jsonl` without the fields that may differ: wall times and threads.
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
fn stopped_sharded_and_resumed_runs_have_equal_numbers() {
    let data = tempfile::tempdir().unwrap();
    let (path, dir) = (data.path(), |name: &str| data.path().join(name));
    write_small_digits(path);
    plan(path, "whole");
    plan(path, "whole"); // planning twice must not change the manifest
    assert_eq!(fs::read_to_string(dir("whole/manifest.jsonl")).unwrap().lines().count(), 4);
    let whole = run(path, &format!("{RUN} whole --jobs 2"));
    assert!(whole.status.success(), "{}", stderr(&whole));
    assert!(run(path, "status --out whole").status.success());
    assert!(run(path, "merge --out whole").status.success());

    plan(path, "parts");
    #[cfg(unix)] // other systems have no `kill`
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
    // Two concurrent tasks of an array, one by the environment and one by the option, with another
    // number of threads.
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
    // The exact negative log-likelihood is below the bound, which is below that of single samples
    // up to the noise of the samples.
    let evaluation = &results(&dir("whole"))[0]["evaluation"];
    let bound = evaluation["importance"]["bound"].as_f64().unwrap();
    assert!(evaluation["exact"].as_f64().unwrap() < bound, "{evaluation}");
}

#[test]
fn missing_damaged_duplicate_and_diverged_runs_are_reported() {
    let data = tempfile::tempdir().unwrap();
    let (path, dir) = (data.path(), |name: &str| data.path().join(name));
    write_small_digits(path);
    plan(path, "a");
    let (out, half) = (dir("a"), run(path, &format!("{RUN} a --shard 0/2")));
    assert!(half.status.success(), "{}", stderr(&half));
    let merged = run(path, "merge --out a");
    assert_eq!((merged.status.code(), results(&out).len()), (Some(0), 2));
    assert_eq!(stdout(&merged).matches("missing ").count(), 2);

    // One digit of a result is changed; the copy in results.jsonl is used in its place.
    let file = directory(&out, 0).join("result.json");
    let text = fs::read_to_string(&file).unwrap();
    let at = text.find("\"loss\":").unwrap() + 7;
    let digit = if &text[at..=at] == "1" { "2" } else { "1" };
    fs::write(&file, format!("{}{digit}{}", &text[..at], &text[at + 1..])).unwrap();
    let status = run(path, "status --out a");
    assert!(stdout(&status).contains("the line is damaged: its check is "), "{}", stdout(&status));
    let merged = run(path, "merge --out a");
    assert_eq!((merged.status.code(), results(&out).len()), (Some(1), 2));
    assert!(stderr(&merged).contains("the line is damaged: its check is "), "{}", stderr(&merged));
    // `run` computes it again from the checkpoint.
    assert!(run(path, &format!("{RUN} a --shard 0/2")).status.success());
    assert_eq!(
        fs::read_to_string(&file).unwrap().split("provenance").next(),
        text.split("provenance").next()
    );

    // Another machine executed the other half, and one run of the first half.
    plan(path, "b");
    assert!(run(path, &format!("{RUN} b --shard 1/2")).status.success());
    assert!(run(path, &format!("{RUN} b --shard 0/4")).status.success());
    let merged = run(path, "merge --out a --from b");
    assert!(merged.status.success(), "{}", stderr(&merged));
    // Two results of a/results.jsonl are also in the runs of a, and one is in those of b.
    assert!(stdout(&merged).contains("4 of 4 runs in a/results.jsonl; 3 duplicates"), "{}", stdout(&merged));

    // A line with a learning rate at which the run diverges: the error contains the id that it
    // needs.
    let manifest = out.join("manifest.jsonl");
    let text = fs::read_to_string(&manifest).unwrap().replace("\"lr\":0.0005", "\"lr\":1e30");
    fs::write(&manifest, &text).unwrap();
    let changed = run(path, "status --out a");
    assert_eq!(changed.status.code(), Some(2));
    let message = stderr(&changed);
    let id = message.split("replace the id by ").nth(1).unwrap().trim_end();
    let first = text.lines().next().unwrap();
    fs::write(&manifest, format!("{{\"id\":\"{id}\"{}\n", &first[20..])).unwrap();
    for _ in 0..2 {
        let diverged = run(path, &format!("{RUN} a"));
        assert!(diverged.status.success(), "{}", stderr(&diverged)); // divergence is a result
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
        ("run --out a --dataset digits", "--data: got digits"),
        ("run --out a --shard 2/2", "expected I/N with I from 0 to N-1"),
        ("run --out a --jobs 0", "--jobs"),
        (
            "plan grid --methods st --out b --dataset digits",
            "--methods: got st, expected estimators of this experiment: reinmax-rao, reinmax-cv",
        ),
        (
            "plan tables --configs 8x5 --out b --dataset digits",
            "--configs: got 8x5, expected one of 8x4, 4x24",
        ),
        (
            "plan grid --methods reinmax-rao:lr=1 --out b --dataset digits",
            "--methods: got reinmax-rao:lr=1, expected reinmax-rao alone",
        ),
        (
            "plan field --methods mve:10 --out b --dataset digits",
            "NAME[:KEY=VALUE]..., such as mve:lambda=10",
        ),
        (
            "plan field --methods mve:tau=1 --configs 8x4 --out b --dataset digits",
            "--methods: got mve:tau=1, expected valid options (config: got an option `tau`",
        ),
        (
            "plan field --methods mve:seed=1 --out b --dataset digits",
            "an option that neither --configs, --seeds nor",
        ),
        ("plan field --methods mve:lambda=-1 --out b --dataset digits", "--lambda: got -1"),
        ("plan field --seeds 3..3 --out b --dataset digits", "N or A..B, with 1 to 1000 seeds"),
        (
            "plan tables --preset mve-table --out b --dataset digits",
            "--preset: got mve-table, which only the experiment mve-table takes",
        ),
        ("plan beta --betas -0.2,x --out b --dataset digits", "invalid value 'x'"),
    ] {
        let output = run(data.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args}: {}", stderr(&output));
        assert!(stderr(&output).contains(expected), "{args}: {}", stderr(&output));
    }
    let task = [("SLURM_ARRAY_TASK_ID", "5"), ("SLURM_ARRAY_TASK_COUNT", "2")];
    let output = reproduce(data.path(), "run --out a").envs(task).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("submit such an array, or give --shard I/N"), "{}", stderr(&output));
}

/// Every command skips blank lines and reports a run that is in the manifest twice as an error.
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
        let expected = format!("a/manifest.jsonl, line 6: run {} is in line 1 already", &first[7..19]);
        assert!(stderr(&refused).contains(&expected), "{args}: {}", stderr(&refused));
    }
}

/// Methods with changed options, seeds and schedules are planned. Each run has a different id, and
/// the plan of a part of an experiment adds nothing to the plan of the whole experiment.
#[test]
fn methods_with_options_are_planned() {
    let dir = tempfile::tempdir().unwrap();
    let plan = |args: &str| {
        let planned = run(dir.path(), &format!("plan {args} --dataset digits --no-estimate --out a"));
        assert!(planned.status.success(), "{args}: {}", stderr(&planned));
        stdout(&planned)
    };
    let latents = "--configs 8x4,16x12,64x8";
    assert!(plan(&format!("field {latents} --seeds 3..5")).contains("24 runs on "));
    let text = fs::read_to_string(dir.path().join("a/manifest.jsonl")).unwrap();
    let runs: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: std::collections::BTreeSet<_> = runs.iter().map(|run| run["id"].to_string()).collect();
    assert_eq!(ids.len(), 24);
    let names: Vec<_> = runs.iter().map(|run| run["name"].as_str().unwrap()).collect();
    assert_eq!(names[0], "8x4 mve lambda 5, adam 0.0005, seed 3");
    assert!(names.contains(&"16x12 mve lambda 1 exponential:1000:160, radam 0.0007, seed 4"), "{names:?}");
    assert!(runs.iter().all(|run| run["epochs"] == 160));
    let one = "field --configs 8x4 --seeds 3..4 --methods";
    assert!(plan(&format!("{one} mve:lambda=10")).contains(", 0 of them new"));
    let schedule = "mve:lambda=1:tau-schedule=exponential:1000:160";
    assert!(plan(&format!("{one} {schedule}")).contains(", 0 of them new"));
    // The run of ReinMax without changes is that of the tables.
    assert!(plan(&format!("{one} reinmax")).contains(", 1 of them new"));
    assert!(plan("tables --configs 8x4 --seeds 3..4 --methods reinmax").contains(", 0 of them new"));
    let other = plan("tables --configs 8x4 --seeds 1 --methods reinmax:tau=1.2:lr=1e-3:optimizer=adamw");
    assert!(other.contains(", 1 of them new"), "{other}");

    assert!(plan("mve-table --seeds 1").contains("75 runs on ")); // 5 methods, 5 rates, 3 latent spaces
    assert!(plan("mve-table --seeds 1 --configs 4x128 --methods mve:lr=0.001").contains("1 runs on "));
    let text = fs::read_to_string(dir.path().join("a/manifest.jsonl")).unwrap();
    let line = text.lines().find(|line| line.contains("4x128 mve") && line.contains("adamw 0.001")).unwrap();
    for part in [
        r#""epochs":500"#,
        r#""activation":{"leaky-relu":0.2}"#,
        r#""lr_schedule":{"warm_up":10,"start_factor":0.001,"total":500,"min_lr":0.0}"#,
        r#""tau_schedule":{"shape":"exponential","to":1000000.0,"over":500}"#,
        r#""batch_size":200"#,
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

fn sha256(text: &str, bytes: usize) -> String {
    Sha256::digest(text)[..bytes].iter().map(|b| format!("{b:02x}")).collect()
}

/// A manifest of an earlier version, whose ids are hashes of the whole config as JSON, and one with
/// the checksum of the test images, which a later version recorded. The ids of the latter are
/// computed here from their description.
#[test]
fn earlier_ids_are_read_and_the_same_runs_are_not_planned_twice() {
    const FIRST: &str = include_str!("../data/manifest-earlier.jsonl");
    let dir = tempfile::tempdir().unwrap();
    let with_test_images = |line: &str| {
        let (start, config) = line.split_once(",\"config\":").unwrap();
        let canonical = format!("[{},[10000,\"6b74e08c\",2000,\"bcf79aca\"],2]", &config[..config.len() - 1]);
        let start = start.replace("\"6b74e08c\"", "\"6b74e08c\",\"test_crc32\":\"bcf79aca\"");
        format!("{{\"id\":\"{}\"{},\"config\":{config}\n", sha256(&canonical, 6), &start[20..])
    };
    let second: String = FIRST.lines().map(with_test_images).collect();
    for (out, text) in [("first", FIRST), ("second", &second)] {
        fs::create_dir(dir.path().join(out)).unwrap();
        let manifest = dir.path().join(out).join("manifest.jsonl");
        fs::write(&manifest, text).unwrap();
        for experiment in ["tables", "forms", "beta --betas 0.3"] {
            let args = "--configs 8x4 --seeds 1 --epochs 2 --dataset digits --no-estimate --out";
            let planned = run(dir.path(), &format!("plan {experiment} {args} {out}"));
            assert!(stdout(&planned).contains(" 0 of them new: 13 in "), "{}", stderr(&planned));
        }
        fs::write(&manifest, text.replacen("\"lr\":0.0003", "\"lr\":0.0004", 1)).unwrap();
        let other = run(dir.path(), &format!("status --out {out}"));
        assert!(stderr(&other).contains("manifest.jsonl, line 1: the id is "), "{}", stderr(&other));
    }
}

/// Files from before an option was added to the config, simulated by removing `clip_norm` and
/// `draws`.
#[test]
fn an_option_that_was_added_later_breaks_no_file() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path();
    write_small_digits(path);
    plan(path, "a");
    assert!(run(path, &format!("{RUN} a --shard 0/4")).status.success());
    let edit = |file: &Path| {
        let text = fs::read_to_string(file).unwrap();
        let changed = text.replace("\"clip_norm\":null,", "").replace(",\"draws\":100", "");
        assert_ne!(changed, text);
        fs::write(file, &changed).unwrap();
        changed
    };
    edit(&path.join("a/manifest.jsonl"));
    let result = directory(&path.join("a"), 0).join("result.json");
    let text = edit(&result);
    let start = &text[..text.rfind(":\"").unwrap()];
    let check = sha256(&format!("{start}:\"\"}}\n"), 8);
    fs::write(&result, format!("{start}:\"{check}\"}}\n")).unwrap();
    assert!(stdout(&run(path, "status --out a")).contains("1 complete, 0 diverged, 0 begun, 3 missing"));
    for _ in 0..2 {
        let merged = run(path, "merge --out a"); // the second call reads the file of the first one
        assert!(merged.status.success() && results(&path.join("a")).len() == 1, "{}", stderr(&merged));
    }

    let train = |options: &str| {
        let mut command = Command::new(example("train_vae"));
        command.current_dir(path).args("--quiet --data . --out run".split(' ')).args(options.split(' '));
        command.output().unwrap()
    };
    assert!(train("--epochs 1").status.success());
    let config = path.join("run/config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("  \"clip_norm\": null,\n", "")).unwrap();
    assert_ne!(text, fs::read_to_string(&config).unwrap());
    let resumed = train("--epochs 2 --resume");
    assert!(resumed.status.success(), "{}", stderr(&resumed));
}

/// With so few images that an epoch is one step, the time of a plan is measured in epochs.
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
    // A million epochs, each of which takes more than a microsecond.
    let args = "plan tables --methods st --configs 8x4 --seeds 1 --epochs 1000000 --data . --out a";
    let planned = run(data.path(), args);
    assert!(planned.status.success(), "{}", stderr(&planned));
    assert!(!stdout(&planned).contains("about 0:00"), "{}", stdout(&planned));
}

/// Merged results are sufficient: if the directories of the runs are missing, nothing is computed
/// again.
#[test]
fn a_merged_result_counts_as_complete() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path();
    write_small_digits(path);
    plan(path, "a");
    assert!(run(path, &format!("{RUN} a --shard 0/2")).status.success());
    assert!(run(path, "merge --out a").status.success());
    let merged = fs::read_to_string(path.join("a/results.jsonl")).unwrap();
    fs::remove_dir_all(path.join("a/runs")).unwrap();
    let status = run(path, "status --out a");
    assert!(stdout(&status).contains("2 complete, 0 diverged, 0 begun, 2 missing"), "{}", stdout(&status));
    let rest = run(path, &format!("{RUN} a"));
    assert!(stdout(&rest).contains("4 of 4 runs complete"), "{}", stdout(&rest));
    assert_eq!([0, 1, 2, 3].map(|i| directory(&path.join("a"), i).exists()), [false, true, false, true]);
    assert!(run(path, "status --out a").status.success());

    // A run without a line is computed again and gives equal numbers.
    let lines: Vec<&str> = merged.lines().collect();
    fs::write(path.join("a/results.jsonl"), format!("{}\n{}", lines[0], &lines[1][..100])).unwrap();
    let status = run(path, "status --out a");
    assert!(stderr(&status).contains("a/results.jsonl, line 2: not a result: "), "{}", stderr(&status));
    assert!(stdout(&status).contains("3 complete, 0 diverged, 0 begun, 1 missing"), "{}", stdout(&status));
    assert!(run(path, &format!("{RUN} a")).status.success());
    let again = run(path, "merge --out a");
    assert_eq!(results(&path.join("a")).len(), 4, "{}", stderr(&again));
    let (a, b) = (results(&path.join("a")), serde_json::from_str::<Value>(lines[1]).unwrap());
    assert_eq!(a[2]["history"], b["history"]);
}

/// A result of an earlier version with the id of its time belongs to the run that this version
/// plans, for `merge` and for `report`.
#[test]
fn merge_keeps_a_result_with_an_earlier_id() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path();
    write_small_digits(path);
    plan(path, "a");
    assert!(run(path, &format!("{RUN} a --shard 0/4")).status.success());
    let file = directory(&path.join("a"), 0).join("result.json");
    let text = fs::read_to_string(&file).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let config = text.split_once("\"config\":").unwrap().1.split_once(",\"history\":").unwrap().0;
    let of = |name: &str| value["dataset"][name].to_string();
    let images = ["train", "crc32", "test", "test_crc32"].map(of).join(",");
    let earlier = sha256(&format!("[{config},[{images}],{}]", value["epochs"]), 6);
    let (id, check) = (value["id"].as_str().unwrap(), value["check"].as_str().unwrap());
    assert_ne!(id, earlier);
    let unchecked = text.replace(id, &earlier).replace(check, "");
    let line = unchecked.replace("\"check\":\"\"", &format!("\"check\":\"{}\"", sha256(&unchecked, 8)));
    fs::create_dir(path.join("earlier")).unwrap();
    fs::write(path.join("earlier/results.jsonl"), line).unwrap();
    fs::remove_file(&file).unwrap();
    for from in [" --from earlier", ""] {
        let merged = run(path, &format!("merge --out a{from}"));
        assert!(stdout(&merged).contains("1 of 4 runs in "), "{}{}", stdout(&merged), stderr(&merged));
        let kept = fs::read_to_string(path.join("a/results.jsonl")).unwrap();
        assert!(kept.lines().count() == 1 && kept.contains(&earlier), "{kept}");
    }
    let report = run(path, "report --out a");
    assert!(report.status.success(), "{}", stderr(&report));
    let report = fs::read_to_string(path.join("a/report/report.md")).unwrap();
    assert!(report.contains("3 runs of the manifest missing:"), "{report}");
}

/// The line with a correct checksum.
fn sealed(line: &str) -> String {
    let value: Value = serde_json::from_str(line).unwrap();
    let unchecked = line.replace(&format!("\"check\":{}", value["check"]), "\"check\":\"\"");
    unchecked.replace("\"check\":\"\"", &format!("\"check\":\"{}\"", sha256(&unchecked, 8)))
}

/// A result of an earlier version, without the usage of the codes and the losses with argmax codes,
/// is kept without any change, belongs to the run with its id, and agrees with a new result of that
/// run.
#[test]
fn merge_keeps_a_result_without_later_numbers() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path();
    write_small_digits(path);
    plan(path, "a");
    assert!(run(path, &format!("{RUN} a --shard 0/4")).status.success());
    let text = fs::read_to_string(directory(&path.join("a"), 0).join("result.json")).unwrap();
    let mut earlier = text.clone();
    for (start, end, kept) in
        [(",\"usage\":{", "}", ""), (",\"argmax\":{", ",\"importance\":", ",\"importance\":")]
    {
        assert!(earlier.contains(start), "{earlier}");
        while let Some((before, rest)) = earlier.split_once(start) {
            let (_, after) = rest.split_once(end).unwrap();
            earlier = format!("{before}{kept}{after}");
        }
    }
    let earlier = sealed(&earlier);
    fs::create_dir(path.join("earlier")).unwrap();
    fs::write(path.join("earlier/results.jsonl"), &earlier).unwrap();
    let merged = run(path, "merge --out a --from earlier");
    assert!(merged.status.success(), "{}{}", stdout(&merged), stderr(&merged));
    plan(path, "b");
    assert!(run(path, "merge --out b --from earlier").status.success());
    assert_eq!(fs::read_to_string(path.join("b/results.jsonl")).unwrap(), earlier);
    assert!(run(path, "report --out b").status.success());
    // A number that both have has to agree.
    let other = sealed(&earlier.replacen("\"bce\":", "\"bce\":1", 1));
    fs::write(path.join("earlier/results.jsonl"), other).unwrap();
    let merged = run(path, "merge --out a --from earlier");
    assert!(stderr(&merged).contains("differs from the one found before"), "{}", stderr(&merged));
}
