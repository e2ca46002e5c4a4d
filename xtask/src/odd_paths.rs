//! A clone may lie in a folder of any name. Here is what keeps odd characters from the
//! configuration, from `PATH` and from Vite, all of which take some for their own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::repo;

/// Begins a reference in the configuration, or ends an entry of `PATH`.
const ODD: &[u8] = b"{:";

/// The same place by a path without odd characters: a link with a plain name stands
/// for the folders that have them.
pub(crate) fn alias(path: &Path) -> Result<PathBuf> {
    let odd = path.ancestors().find(|folder| {
        folder
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().iter().any(|byte| ODD.contains(byte)))
    });
    let Some(odd) = odd else { return Ok(path.to_owned()) };
    let link = repo::short(odd).with_extension("link");
    if fs::read_link(&link).ok().as_deref() != Some(odd) {
        let _ = fs::remove_file(&link);
        symlink(odd, &link)
            .with_context(|| format!("cannot link {} to {}", link.display(), odd.display()))?;
    }
    Ok(link.join(path.strip_prefix(odd)?))
}

/// A path as it is written into the configuration, where a dollar sign is doubled.
pub(crate) fn literal(path: &Path) -> Result<String> {
    let alias = alias(path)?;
    let text = alias.to_str().with_context(|| {
        format!("{} is not UTF-8, which the configuration is; move the clone", path.display())
    })?;
    Ok(text.replace('$', "$$"))
}

/// Vite takes these for the end of a path, or of its first part.
const NOT_FOR_VITE: &[u8] = b"#?:\\";

/// How Vite is started in the folder of the console. Where the path of the clone is
/// not for Vite, it sees the clone at a plain one: mounted there for Vite alone.
pub(crate) fn vite_command(root: &Path, node: &Path) -> Result<(String, Vec<String>)> {
    let vite = ["node_modules/vite/bin/vite.js", "dev"];
    if !root.as_os_str().as_encoded_bytes().iter().any(|byte| NOT_FOR_VITE.contains(byte)) {
        return Ok((literal(node)?, vite.map(str::to_owned).to_vec()));
    }
    let namespace = ["--user", "--map-root-user", "--mount"];
    let tried = Command::new("unshare").args(namespace).arg("true").stderr(Stdio::null()).status();
    ensure!(
        tried.is_ok_and(|status| status.success()),
        "the console's development server cannot work below {}: no folder's name may have # ? : or \\ in it; move the clone",
        root.display()
    );
    let plain = repo::short(root).with_extension("root");
    fs::create_dir_all(&plain).with_context(|| format!("cannot create {}", plain.display()))?;
    let script = "mount --bind \"$$1\" \"$$2\" && cd \"$$2/frontend\" && shift 2 && exec \"$$@\"";
    let mut args = namespace.map(str::to_owned).to_vec();
    args.extend(["sh", "-c", script, "vite"].map(str::to_owned));
    args.extend([literal(root)?, literal(&plain)?, literal(node)?]);
    args.extend(vite.map(str::to_owned));
    Ok(("unshare".to_owned(), args))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stands_for_the_innermost_odd_folder() {
        let base = tempfile::tempdir().expect("temporary folder");
        let odd = base.path().join("a:b/{fd:x}");
        fs::create_dir_all(odd.join("bin")).expect("made");
        let plain = alias(&odd.join("bin/node")).expect("linked");
        assert!(!plain.to_string_lossy().contains([':', '{']), "{plain:?}");
        let link = plain.parent().and_then(Path::parent).expect("a folder");
        assert_eq!(fs::read_link(link).expect("a link"), odd);
        fs::remove_file(link).expect("removed");
        assert_eq!(alias(base.path()).expect("as it is"), base.path());
    }

    #[test]
    fn vite_is_started_as_ever_where_it_can_be() {
        let node = Path::new("/usr/bin/node");
        let (command, args) = vite_command(Path::new("/home/me/a %+&$,'b"), node).expect("works");
        assert_eq!((command.as_str(), args.len()), ("/usr/bin/node", 2));
    }
}
