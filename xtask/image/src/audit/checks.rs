//! What has to hold of an image, one function for each promise.

use anyhow::Result;
use serde_json::Value;

use super::super::tree::{Node, Tree};
use super::super::{budget, etc, settings};
use super::archive::Image;
use super::contents;
use super::finding::Finding;

const SHELLS: [&str; 11] =
    ["sh", "bash", "dash", "ash", "zsh", "ksh", "csh", "fish", "busybox", "toybox", "perl"];
const INSTALLERS: [&str; 10] =
    ["apt", "apt-get", "dpkg", "apk", "rpm", "dnf", "yum", "pip", "uv", "ensurepip"];
/// Text that only a secret begins with, cut in two so that no copy of this file is
/// a finding. A key's own bytes follow its header at once; a mere mention has none.
const SECRETS: [(&str, &str); 5] = [
    ("-----BEGIN RSA", " PRIVATE KEY-----\nMI"),
    ("-----BEGIN", " PRIVATE KEY-----\nMI"),
    ("-----BEGIN OPENSSH", " PRIVATE KEY-----\nb3"),
    ("-----BEGIN EC", " PRIVATE KEY-----\nMH"),
    ("-----BEGIN ENCRYPTED", " PRIVATE KEY-----\nMI"),
];
/// Names under which secrets and the history of sources lie.
const SECRET_FILES: [&str; 9] = [
    ".env",
    ".git",
    ".netrc",
    ".pypirc",
    ".npmrc",
    "id_rsa",
    "id_ed25519",
    "credentials.json",
    "secret_key",
];

/// All checks, in the order of the table.
pub(crate) fn all(image: &Image, machine_paths: &[String]) -> Result<Vec<Finding>> {
    let tree = &image.tree;
    Ok(vec![
        user(image),
        start(image),
        Finding::none(
            "owners",
            "everything is root's; no set-uid or set-gid bit",
            image.privileged.clone(),
        ),
        Finding::none("writable", "only /tmp can be written to", writable(tree)),
        Finding::none("shell", "no shell", named(tree, &SHELLS)),
        Finding::none("installer", "no package manager", named(tree, &INSTALLERS)),
        Finding::none(
            "secrets",
            "no secret in any layer, setting or line of the history",
            secrets(image),
        ),
        Finding::none(
            "machine",
            "no path of the machine that built it",
            machine(tree, machine_paths),
        ),
        contents::certificates(tree),
        contents::libraries(tree),
        contents::byte_code(tree),
        contents::licenses(tree),
        contents::bill(image),
        size(image),
    ])
}

fn user(image: &Image) -> Finding {
    let user = image.settings()["User"].as_str().unwrap_or_default().to_owned();
    let number = user.split(':').next().and_then(|number| number.parse::<u32>().ok());
    let known = image.text("etc/passwd").unwrap_or_default().contains(&format!("x:{}:", etc::USER));
    let right = number == Some(etc::USER) && known;
    let wrong = if right { vec![] } else { vec![format!("the user is \"{user}\"")] };
    Finding::none("user", format!("runs as {user}"), wrong)
}

/// The entry point is there, one port is offered, and the configuration is there.
fn start(image: &Image) -> Finding {
    let settings = image.settings();
    let mut wrong = Vec::new();
    let program = settings["Entrypoint"][0].as_str().unwrap_or_default();
    if !matches!(
        image.tree.get(program.trim_start_matches('/')),
        Some(Node::File { mode: 0o755, .. })
    ) {
        wrong.push(format!("the entry point \"{program}\" is no program"));
    }
    if image.text(settings::FILE.trim_start_matches('/')).is_none() {
        wrong.push(format!("there is no {}", settings::FILE));
    }
    let ports: Vec<String> = settings["ExposedPorts"]
        .as_object()
        .map(|ports| ports.keys().cloned().collect())
        .unwrap_or_default();
    if ports.len() != 1 {
        wrong.push(format!("{} ports are offered", ports.len()));
    }
    if settings["Healthcheck"]["Test"][1] != program {
        wrong.push("there is no health check".to_owned());
    }
    Finding::none("start", format!("{program}, port {}, health check", ports.join(", ")), wrong)
}

fn writable(tree: &Tree) -> Vec<String> {
    let entries = tree.entries().filter(|(path, node)| match node {
        Node::Directory { mode: 0o1777 } => *path != "tmp",
        Node::Directory { mode } | Node::File { mode, .. } => mode & 0o022 != 0,
        Node::Link(_) => false,
    });
    entries.map(|(path, _)| path.to_owned()).collect()
}

/// Entries with one of these names where programs or Python modules are.
fn named(tree: &Tree, names: &[&str]) -> Vec<String> {
    let entries = tree.entries().filter(|(path, _)| {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let place = folder.ends_with("bin")
            || folder
                .rsplit('/')
                .next()
                .is_some_and(|last| last.starts_with("python") || last.ends_with("-packages"))
            || folder == "app";
        place && names.contains(&name)
    });
    entries.map(|(path, _)| path.to_owned()).collect()
}

fn secrets(image: &Image) -> Vec<String> {
    let mut found = Vec::new();
    let needles: Vec<String> =
        SECRETS.iter().map(|(start, rest)| format!("{start}{rest}")).collect();
    for tree in &image.layers {
        for (path, bytes) in tree.files() {
            let name = path.rsplit('/').next().unwrap_or_default();
            let inside = || needles.iter().any(|needle| contains(bytes, needle.as_bytes()));
            if path.split('/').any(|part| SECRET_FILES.contains(&part))
                || name.ends_with(".key")
                || inside()
            {
                found.push(path.to_owned());
            }
        }
    }
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let lines = list(&image.settings()["Env"]).into_iter().chain(list(&image.config["history"]));
    found.extend(lines.map(|line| line.to_string()).filter(|line| {
        let upper = line.to_uppercase();
        ["PASSWORD", "SECRET", "TOKEN"].iter().any(|word| upper.contains(word))
    }));
    found
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else { return false };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(needle) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// Paths in what is compiled here; foreign wheels carry those of their own makers.
fn machine(tree: &Tree, paths: &[String]) -> Vec<String> {
    let ours = |file: &str| {
        file.ends_with(".pyc")
            || ["usr/bin/santa-", "app/santaserver/", "srv/", "etc/"]
                .iter()
                .any(|start| file.starts_with(start))
    };
    let found = paths.iter().filter(|path| path.len() > 4).flat_map(|path| {
        let files =
            tree.files().filter(|(file, bytes)| ours(file) && contains(bytes, path.as_bytes()));
        files.map(move |(file, _)| format!("{file} names {path}"))
    });
    found.collect()
}

fn size(image: &Image) -> Finding {
    let (compressed, unpacked) = (image.compressed, image.tree.size());
    let unpacked_text = budget::megabytes(unpacked);
    let text = match compressed {
        // As `docker save` writes it; in a registry it is smaller.
        0 => format!("not compressed in this archive, {unpacked_text} unpacked"),
        _ => format!("{} compressed, {unpacked_text} unpacked", budget::megabytes(compressed)),
    };
    let wrong = if budget::fits(compressed, unpacked) {
        vec![]
    } else {
        vec![format!("{text}: over the budget")]
    };
    Finding::none("size", text, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (path, text) in files {
            tree.file(path, text.as_bytes().to_vec());
        }
        tree
    }

    fn image(files: &[(&str, &str)]) -> Image {
        let tree = tree(files);
        Image { layers: vec![tree.clone()], tree, ..Image::default() }
    }

    #[test]
    fn a_shell_or_an_installer_is_found_where_it_could_be_run() {
        let mut found = tree(&[("usr/share/doc/sh", ""), ("app/fastapi/apt", "")]);
        assert!(named(&found, &SHELLS).is_empty() && named(&found, &INSTALLERS).is_empty());
        found.link("usr/bin/sh", "busybox");
        found.program("usr/lib/python3.13/ensurepip", *b"");
        assert_eq!(named(&found, &SHELLS), ["usr/bin/sh"]);
        assert_eq!(named(&found, &INSTALLERS), ["usr/lib/python3.13/ensurepip"]);
    }

    #[test]
    fn a_tmp_of_the_wrong_mode_or_another_writable_place_is_found() {
        let mut found = Tree::default();
        found.directory("tmp", 0o1777);
        assert!(writable(&found).is_empty());
        found.directory("run/x", 0o1777);
        found.put("etc/x", Node::File { mode: 0o664, bytes: (*b"").into() });
        found.directory("tmp", 0o777);
        assert_eq!(writable(&found), ["etc/x", "run/x", "tmp"]);
    }

    #[test]
    fn a_secret_is_found_in_a_layer_that_another_one_covers() {
        let key = format!("{}{}IE", SECRETS[1].0, SECRETS[1].1);
        let mut found = image(&[("app/x.py", "")]);
        found.layers.insert(0, tree(&[("app/x.py", &key)]));
        assert_eq!(secrets(&found), ["app/x.py"]);
        assert_eq!(secrets(&image(&[("app/.env", "")])), ["app/.env"]);
        let mut found = image(&[]);
        found.config = serde_json::json!({"config": {"Env": ["API_TOKEN=1"]}, "history": []});
        assert_eq!(secrets(&found).len(), 1);
        // A package that speaks of keys holds none.
        assert!(secrets(&image(&[("x.py", "b'-----BEGIN RSA PRIVATE KEY-----'")])).is_empty());
    }

    #[test]
    fn a_path_of_the_machine_is_found_in_what_is_made_here() {
        let paths = ["/home/someone/.cargo".to_owned()];
        let text = "at /home/someone/.cargo/registry";
        assert_eq!(machine(&tree(&[("usr/bin/santa-proxy", text)]), &paths).len(), 1);
        assert!(machine(&tree(&[("app/foreign/_x.so", text)]), &paths).is_empty());
    }
}
