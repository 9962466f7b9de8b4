//! Use of the library from another crate, which the test writes to a temporary directory and which
//! depends on this crate by path.

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
    // `default-features = false` avoids a second build of the thread pool and the decompressor.
    let manifest = format!(
        "[package]\nname = \"trial\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n\
         hardgrad = {{ path = {here:?}, default-features = false }}\n"
    );
    fs::create_dir(dir.path().join("src")).unwrap();
    fs::write(dir.path().join("Cargo.toml"), manifest).unwrap();
    fs::write(dir.path().join("src/main.rs"), PROGRAM).unwrap();
    // The versions of this crate's lock file, which are available without a network.
    if here.join("Cargo.lock").exists() {
        fs::copy(here.join("Cargo.lock"), dir.path().join("Cargo.lock")).unwrap();
    }
    // The build directory is kept between tests, so that later only the crate itself is compiled.
    // It is not the directory of the `cargo test` that runs this test, because that may be locked.
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
    // The loss of a decoder that ignores the code is at least the variance of the data, 0.0967. Two
    // choices among four categories can distinguish the four kinds of rows.
    assert!(first > 0.0967 && last < 0.07, "loss {first} at the start, {last} at the end");
    assert_eq!(same, "true", "the loaded parameters differ from the saved ones");
}
