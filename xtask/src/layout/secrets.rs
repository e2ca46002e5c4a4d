//! Names and secrets of the development loop.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::private;

/// The names and secrets that a first run makes up and later runs keep.
pub(crate) struct Secrets {
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) enrollment: String,
    pub(super) key: String,
}

impl Secrets {
    /// Those of an earlier run, or new ones.
    pub(super) fn keep(home: &Path) -> Result<Self> {
        let text = fs::read_to_string(home.join("credentials.json")).unwrap_or_default();
        let kept: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let old = |pointer: &str| {
            kept.pointer(pointer).and_then(serde_json::Value::as_str).map(str::to_owned)
        };
        let key_file = home.join("secret_key");
        let key = match fs::read_to_string(&key_file) {
            Ok(key) => key.trim().to_owned(),
            Err(_) => {
                fs::create_dir_all(home)?;
                let key = random(32)?;
                private::write(&key_file, &format!("{key}\n"))?;
                key
            }
        };
        let known = old("/admin/password").zip(old("/enrollment_secret"));
        let (password, enrollment) = match known {
            Some(pair) => pair,
            None => (random(9)?, random(24)?),
        };
        Ok(Self { username: "admin".to_owned(), password, enrollment, key })
    }
}

/// `bytes` random bytes as text that needs no quoting anywhere.
fn random(bytes: usize) -> Result<String> {
    use std::io::Read as _;
    let mut buffer = vec![0; bytes];
    let mut source = fs::File::open("/dev/urandom").context("cannot open /dev/urandom")?;
    source.read_exact(&mut buffer).context("cannot read /dev/urandom")?;
    Ok(buffer.iter().map(|byte| format!("{byte:02x}")).collect())
}
