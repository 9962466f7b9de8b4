//! The library as a stranger uses it: a crate of its own in a temporary directory that depends on this one by path.

use std::fs;
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = include_str!("../data/new_user.rs");

#[test]
fn a_dependent_crate_trains_saves_and_loads() {
    assert!(PROGRAM.lines().count() < 60, "{} lines", PROGRAM.lines().count());
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let found = Command::new(&cargo).arg("--version").output();
    if !found.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: the new-user trial needs cargo, and {} does not run", cargo.display());
        return;
    }
    let (dir, here) = (tempfile::tempdir().unwrap(), Path::new(env!("CARGO_MANIFEST_DIR")));
    // `default-features = false` spares the trial a second build of the thread pool and the compressor.
    let manifest = format!(
        "[package]\nname = \"trial\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n\
         hardgrad = {{ path = {here:?}, default-features = false }}\n"
    );
    fs::create_dir(dir.path().join("src")).unwrap();
    fs::write(dir.path().join("Cargo.toml"), manifest).unwrap();
    fs::write(dir.path().join("src/main.rs"), PROGRAM).unwrap();
    // The same versions as here, which are at hand without a network.
    if here.join("Cargo.lock").exists() {
        fs::copy(here.join("Cargo.lock"), dir.path().join("Cargo.lock")).unwrap();
    }
    // A directory that stays from test to test: the second time, only the trial itself is compiled. Not the one in which the
    // `cargo test` that runs this may hold its lock.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new_user");
    let output = Command::new(&cargo)
        .args(["run", "--offline", "--quiet", "--release", "--manifest-path"])
        .arg(dir.path().join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", target)
        .env_remove("RUSTFLAGS")
        .current_dir(dir.path())
        .output()
        .unwrap();
    let (text, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{errors}");
    assert!(!errors.contains("warning"), "{errors}");
    let words: Vec<_> = text.split_whitespace().collect();
    let [first, last, same] = words[..] else { panic!("{text}") };
    let (first, last): (f32, f32) = (first.parse().unwrap(), last.parse().unwrap());
    // A decoder that ignores the code gets the variance of the data at best: 0.0967. Two choices among four can tell the four
    // kinds of row apart.
    assert!(first > 0.0967 && last < 0.07, "loss {first} at the start, {last} at the end");
    assert_eq!(same, "true", "what was loaded is not what was saved");
}
