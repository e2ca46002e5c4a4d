//! `cargo xtask image`.

fn main() -> std::process::ExitCode {
    santa_image::main()
}
