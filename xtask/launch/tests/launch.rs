//! The launcher from outside, with a package named xtask in a workspace of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn workspace(source: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("temporary folder");
    let manifest =
        "[package]\nname = \"xtask\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n";
    fs::create_dir(folder.path().join("src")).expect("folder");
    fs::write(folder.path().join("Cargo.toml"), manifest).expect("manifest");
    fs::write(folder.path().join("src/main.rs"), source).expect("source");
    folder
}

fn launch(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask-launch"))
        .args(args)
        .current_dir(folder)
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("CARGO_BUILD_TARGET_DIR")
        .output()
        .expect("started")
}

fn utf8(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

#[test]
fn the_first_run_shows_what_is_compiled_and_later_ones_add_nothing() {
    let folder = workspace(
        "fn main() { println!(\"{:?}\", std::env::args().skip(1).collect::<Vec<_>>()); std::process::exit(7) }",
    );
    let first = launch(folder.path(), &["dev", "--port", "9000"]);
    let shown = utf8(&first.stderr);
    assert!(shown.contains("compiling cargo xtask"), "{shown}");
    assert!(shown.contains("Compiling xtask v0.0.0"), "{shown}");
    let second = launch(folder.path(), &["dev", "-q"]);
    assert_eq!(utf8(&second.stderr), "");
    assert_eq!(utf8(&second.stdout), "[\"dev\", \"-q\"]\n");
    assert_eq!((first.status.code(), second.status.code()), (Some(7), Some(7)));
}

#[test]
fn what_the_compiler_says_is_shown_and_nothing_is_run() {
    let folder = workspace("fn main() { println!(\"ran\"); let broken: u8 = \"text\"; }");
    let output = launch(folder.path(), &["ci"]);
    assert!(utf8(&output.stderr).contains("mismatched types"), "{}", utf8(&output.stderr));
    assert_eq!((utf8(&output.stdout).as_str(), output.status.code()), ("", Some(1)));
}
