//! What has to hold of an image, one function for each promise.

use anyhow::Result;
use serde_json::Value;

use super::super::tree::{Node, Tree};
use super::super::{budget, elf, etc, sbom, settings};
use super::archive::Image;
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
        certificates(tree),
        libraries(tree),
        byte_code(tree),
        licences(tree),
        bill(image),
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

/// The entry point is there, one port is offered, and the plan names it.
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
    if image.text(settings::PLAN.trim_start_matches('/')).is_none() {
        wrong.push(format!("there is no {}", settings::PLAN));
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

fn certificates(tree: &Tree) -> Finding {
    let missing = vec!["OpenSSL finds no authority: TLS to other servers would fail".to_owned()];
    let wrong = if etc::has_certificates(tree) { vec![] } else { missing };
    Finding::none("certificates", "OpenSSL finds the authorities", wrong)
}

/// Every loader and library that a file names is in the tree.
fn libraries(tree: &Tree) -> Finding {
    let mut wrong = Vec::new();
    let mut count = 0;
    for (path, bytes) in tree.files().filter(|(_, bytes)| elf::is_elf(bytes)) {
        count += 1;
        let Ok(wants) = elf::wants(bytes) else {
            wrong.push(format!("{path} cannot be read"));
            continue;
        };
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let own =
            wants.run_path.iter().map(|place| place.replace("$ORIGIN", &format!("/{folder}")));
        let places: Vec<String> =
            own.chain([format!("/usr/lib/{}-linux-gnu", wants.machine)]).collect();
        let found =
            |name: &String| places.iter().any(|place| tree.resolves(&format!("{place}/{name}")));
        wrong.extend(
            wants
                .libraries
                .iter()
                .filter(|name| !found(name))
                .map(|name| format!("{path} lacks {name}")),
        );
        wrong.extend(
            wants
                .interpreter
                .iter()
                .filter(|loader| !tree.resolves(loader))
                .map(|loader| format!("{path} lacks {loader}")),
        );
    }
    Finding::none(
        "libraries",
        format!("{count} programs and libraries find all that they name"),
        wrong,
    )
}

/// Every module has byte code that is loaded without looking at the source.
fn byte_code(tree: &Tree) -> Finding {
    const UNCHECKED_HASH: [u8; 4] = [1, 0, 0, 0];
    let mut wrong = Vec::new();
    let sources: Vec<&str> =
        tree.files().map(|(path, _)| path).filter(|path| path.ends_with(".py")).collect();
    for path in &sources {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let compiled =
            format!("{folder}/__pycache__/{}.cpython-313.pyc", name.trim_end_matches(".py"));
        let unchecked = |node: &Node| matches!(node, Node::File { bytes, .. } if bytes.get(4..8) == Some(&UNCHECKED_HASH));
        if !tree.get(&compiled).is_some_and(unchecked) {
            wrong.push((*path).to_owned());
        }
    }
    Finding::none(
        "byte code",
        format!("{} modules load without being compiled", sources.len()),
        wrong,
    )
}

fn licences(tree: &Tree) -> Finding {
    let statuses = tree.files().filter_map(|(path, _)| path.strip_prefix("var/lib/dpkg/status.d/"));
    let names: Vec<&str> = statuses.collect();
    let lacking =
        names.iter().filter(|name| !tree.resolves(&format!("usr/share/doc/{name}/copyright")));
    Finding::none(
        "licences",
        format!("{} Debian packages with theirs", names.len()),
        lacking.map(|name| (*name).to_owned()).collect(),
    )
}

/// The bill of materials lists what is there.
fn bill(image: &Image) -> Finding {
    let text = image.text(sbom::PATH).unwrap_or_default();
    let document: Value = serde_json::from_str(&text).unwrap_or_default();
    let components = document["components"].as_array().cloned().unwrap_or_default();
    let count = |kind: &str| {
        let start = format!("pkg:{kind}/");
        components
            .iter()
            .filter(|part| part["purl"].as_str().is_some_and(|url| url.starts_with(&start)))
            .count()
    };
    let there = |start: &str, end: &str| {
        image
            .tree
            .files()
            .filter(|(path, _)| path.starts_with(start) && path.ends_with(end))
            .count()
    };
    let mut wrong = Vec::new();
    for (kind, present) in [
        ("deb", there("var/lib/dpkg/status.d/", "")),
        ("pypi", there("app/", ".dist-info/METADATA")),
    ] {
        if count(kind) != present {
            wrong.push(format!("{} of {present} packages of kind {kind} are listed", count(kind)));
        }
    }
    if count("cargo") == 0 || count("npm") == 0 {
        wrong.push("what the programs and the console are compiled of is not listed".to_owned());
    }
    Finding::none("materials", format!("{} components", components.len()), wrong)
}

fn size(image: &Image) -> Finding {
    let (compressed, unpacked) = (image.compressed, image.tree.size());
    let text = format!(
        "{} compressed, {} unpacked",
        budget::megabytes(compressed),
        budget::megabytes(unpacked)
    );
    let wrong = if budget::fits(compressed, unpacked) {
        vec![]
    } else {
        vec![format!("{text}: over the budget")]
    };
    Finding::none("size", text, wrong)
}

#[cfg(test)]
mod tests {
    use super::super::super::platform::Platform;
    use super::super::finding::Verdict;
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

    #[test]
    fn missing_or_checked_byte_code_is_found() {
        let source = ("app/x.py", "1");
        let compiled = |flags: u8| format!("mmmm{}\0\0\0hashhash", char::from(flags));
        let pyc = "app/__pycache__/x.cpython-313.pyc";
        assert_eq!(byte_code(&tree(&[source])).verdict, Verdict::Failed);
        assert_eq!(byte_code(&tree(&[source, (pyc, &compiled(3))])).verdict, Verdict::Failed);
        assert_eq!(byte_code(&tree(&[source, (pyc, &compiled(1))])).verdict, Verdict::Holds);
    }

    #[test]
    fn an_image_without_authorities_is_found() {
        let mut found = Tree::default();
        assert_eq!(certificates(&found).verdict, Verdict::Failed);
        found.file("usr/share/ca-certificates/mozilla/a.crt", *b"-----BEGIN CERTIFICATE-----");
        etc::add(&mut found, Platform::named("linux/amd64").expect("known"));
        assert_eq!(certificates(&found).verdict, Verdict::Holds);
    }
}
