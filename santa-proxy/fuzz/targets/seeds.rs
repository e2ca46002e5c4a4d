//! Writes what libFuzzer starts from into FOLDER/TARGET/.

use std::path::PathBuf;

use santa_proxy_fuzz::TARGETS;

fn main() -> std::io::Result<()> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(std::io::Error::other("usage: fuzz-seeds FOLDER"));
    };
    for target in TARGETS {
        let folder = folder.join(target.name);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number:04}")), seed)?;
        }
        let dictionary: String =
            target.dictionary.iter().map(|token| format!("{}\n", quoted(token))).collect();
        std::fs::write(folder.with_extension("dictionary"), dictionary)?;
    }
    Ok(())
}

/// As libFuzzer's dictionaries want it.
fn quoted(token: &[u8]) -> String {
    format!("\"{}\"", token.iter().map(|byte| format!("\\x{byte:02X}")).collect::<String>())
}
