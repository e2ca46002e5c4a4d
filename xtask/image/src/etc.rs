//! The files of the base layer that come from no package: users, name service,
//! certificates, mount points.

use super::tree::{Node, Tree};
use xtask::platform::Platform;

/// Who everything runs as.
pub(crate) const USER: u32 = 101;

/// One file with every authority, as OpenSSL reads it.
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";
const AUTHORITIES: &str = "usr/share/ca-certificates/mozilla/";

/// Adds everything to the files of the packages.
pub(crate) fn add(tree: &mut Tree, platform: Platform) {
    users(tree);
    certificates(tree);
    folders(tree, platform);
    tree.file("etc/nsswitch.conf", *b"passwd: files\ngroup: files\nhosts: files dns\n");
}

fn users(tree: &mut Tree) {
    let nowhere = "/nonexistent";
    let passwd = format!(
        "root:x:0:0:root:/root:{nowhere}\nsanta:x:{USER}:{USER}:SantaServer:/tmp:{nowhere}\n\
         nobody:x:65534:65534:nobody:{nowhere}:{nowhere}\n"
    );
    tree.file("etc/passwd", passwd.into_bytes());
    tree.file("etc/group", format!("root:x:0:\nsanta:x:{USER}:\nnogroup:x:65534:\n").into_bytes());
}

/// Python's `ssl` looks for `cert.pem` beside OpenSSL's configuration. The link
/// belongs to Debian's package `openssl`, which is not here: without it every
/// certificate is refused.
fn certificates(tree: &mut Tree) {
    let mut bundle = Vec::new();
    for (_, bytes) in tree.files().filter(|(path, _)| path.starts_with(AUTHORITIES)) {
        bundle.extend_from_slice(bytes);
        if !bundle.ends_with(b"\n") {
            bundle.push(b'\n');
        }
    }
    tree.retain(|path, _| !path.starts_with(AUTHORITIES.trim_end_matches("/mozilla/")));
    tree.file(BUNDLE, bundle);
    tree.link("usr/lib/ssl/cert.pem", &format!("/{BUNDLE}"));
    tree.link("usr/lib/ssl/certs", "/etc/ssl/certs");
}

fn folders(tree: &mut Tree, platform: Platform) {
    tree.directory("tmp", 0o1777);
    for mount in ["proc", "sys", "dev", "run"] {
        tree.directory(mount, 0o755);
    }
    for name in ["bin", "lib"] {
        tree.link(name, &format!("usr/{name}"));
    }
    if platform.loader.starts_with("lib64/") {
        tree.link("lib64", "usr/lib64");
    }
}

/// Whether the tree's bundle holds at least one certificate and OpenSSL finds it.
pub(crate) fn has_certificates(tree: &Tree) -> bool {
    let full = matches!(tree.get(BUNDLE), Some(Node::File { bytes, .. }) if bytes.starts_with(b"-----BEGIN CERTIFICATE"));
    full && tree.resolves("usr/lib/ssl/cert.pem")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_finds_the_certificates_although_there_is_no_openssl_package() {
        let mut tree = Tree::default();
        assert!(!has_certificates(&tree));
        for name in ["b", "a"] {
            tree.file(
                &format!("{AUTHORITIES}{name}.crt"),
                format!("-----BEGIN CERTIFICATE {name}").into_bytes(),
            );
        }
        add(&mut tree, Platform::named("linux/amd64").expect("known"));
        assert!(has_certificates(&tree));
        let Some(Node::File { bytes, .. }) = tree.get(BUNDLE) else { panic!("no bundle") };
        assert_eq!(&bytes[..], b"-----BEGIN CERTIFICATE a\n-----BEGIN CERTIFICATE b\n");
        assert!(!tree.resolves(AUTHORITIES));
    }

    #[test]
    fn everyone_may_write_to_tmp_and_nowhere_else() {
        let mut tree = Tree::default();
        add(&mut tree, Platform::named("linux/arm64").expect("known"));
        let writable: Vec<&str> = tree
            .entries()
            .filter(|(_, node)| match node {
                Node::Directory { mode } | Node::File { mode, .. } => mode & 0o022 != 0,
                Node::Link(_) => false,
            })
            .map(|(path, _)| path)
            .collect();
        assert_eq!(writable, ["tmp"]);
        assert!(tree.get("lib64").is_none());
    }
}
