//! Reconstructions in the terminal: the characters by hand, and the program with and without a
//! terminal.

use crate::command_line::{example, losses};
use crate::lab::preview::half_blocks;
use std::path::Path;
use std::process::{Command, Output};

#[test]
fn two_pixels_in_a_character() {
    // 2 × 3 pixels: black over white, white over black, grey 23 · 0.5 = 11.5 rounded to 12 over
    // black
    let image = [0.0, 1.0, 0.5, 1.0, 0.0, 0.0];
    let wanted = "\x1b[38;5;232;48;5;255m▀\x1b[38;5;255;48;5;232m▀\x1b[38;5;244;48;5;232m▀\x1b[0m";
    assert_eq!(half_blocks(&[vec![&image[..]]], 2, 3), wanted);
    assert_eq!(half_blocks(&[vec![&image[..], &image[..]]], 2, 3), format!("{wanted} {wanted}"));
    // An odd number of lines ends on black; one colour is named once.
    assert_eq!(half_blocks(&[vec![&[1.0, 1.0][..]]], 1, 2), "\x1b[38;5;255;48;5;232m▀▀\x1b[0m");
}

#[test]
fn wide_images_are_halved() {
    // 4 × 18 pixels, the left half ink: 2 × 9 squares, of which the fifth is half ink.
    let image: Vec<f32> = (0..4 * 18).map(|i| if i % 18 < 9 { 1.0 } else { 0.0 }).collect();
    let text = half_blocks(&[vec![&image[..]]], 4, 18);
    assert_eq!(text.matches('▀').count(), 9);
    assert_eq!(text.lines().count(), 1);
    assert!(
        text.starts_with("\x1b[38;5;255;48;5;255m▀▀▀▀\x1b[38;5;244;48;5;244m▀\x1b[38;5;232;48;5;232m▀▀▀▀")
    );
}

const OPTIONS: &str = "--dataset digits --latent 4x2 --epochs 2 --threads 1";

fn ends(command: &mut Command, dir: &Path) -> Output {
    let output = command.current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

#[test]
fn without_a_terminal_nothing_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let with = |options: &str| {
        let args = format!("{OPTIONS} {options}");
        ends(Command::new(example("train_vae")).args(args.split_whitespace()), dir.path())
    };
    let (plain, preview) = (with("--out plain"), with("--preview --out preview"));
    assert!(!plain.stderr.contains(&0x1b) && !preview.stderr.contains(&0x1b));
    assert_eq!(losses(&dir.path().join("plain")), losses(&dir.path().join("preview")));
}

#[test]
fn on_a_terminal_images_are_drawn_anew_after_each_epoch() {
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("skipped: there is no `script` to make a terminal with");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let shown = |options: &str| {
        let program = example("train_vae");
        let command = format!("stty cols 100 rows 50; {} {OPTIONS} {options}", program.display());
        let mut terminal = Command::new("script");
        let output = ends(terminal.args(["-qec", &command, "/dev/null"]).env("TERM", "xterm"), dir.path());
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(!shown("--out plain").contains('▀'));
    let text = shown("--preview --out preview");
    // Two rows of five images of 28 × 28 pixels, halved to 14 columns and 7 lines of characters. They
    // are drawn for each epoch, and again with the bar.
    let (drawn, whole) = (text.matches('▀').count(), 2 * 5 * 7 * 14);
    assert!(drawn >= 2 * whole && drawn.is_multiple_of(whole), "{drawn} characters");
    assert_eq!(losses(&dir.path().join("plain")), losses(&dir.path().join("preview")));
}
