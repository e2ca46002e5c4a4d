//! An image archive as plain data: its settings, its layers and the root
//! filesystem that they make. Every digest is recomputed on the way.

use std::collections::BTreeMap;
use std::io::Read as _;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::super::tree::{Node, Tree};
use super::super::{hash, layer};

/// An image.
#[derive(Default)]
pub(crate) struct Image {
    /// The whole configuration.
    pub(crate) config: Value,
    /// All layers put on each other.
    pub(crate) tree: Tree,
    /// Each layer for itself: what a later one hides can still be read in it.
    pub(crate) layers: Vec<Tree>,
    /// Paths of entries that are not root's, or have a set-uid or set-gid bit.
    pub(crate) privileged: Vec<String>,
    /// Bytes of all compressed layers; 0 when the archive has them as they are.
    pub(crate) compressed: u64,
    /// Of the manifest, with `sha256:`.
    pub(crate) digest: String,
}

/// Reads an archive that is an OCI layout and has docker's manifest as well.
pub(crate) fn read(bytes: &[u8]) -> Result<Image> {
    let blobs = entries(bytes)?;
    let json = |name: &str| -> Result<Value> {
        let bytes = blobs.get(name).with_context(|| format!("it has no {name}"))?;
        serde_json::from_slice(bytes).with_context(|| format!("{name} is not JSON"))
    };
    let blob = |value: &Value| -> Result<Vec<u8>> {
        let digest = value["digest"].as_str().unwrap_or_default().trim_start_matches("sha256:");
        let bytes = blobs.get(&format!("blobs/sha256/{digest}"));
        let bytes = bytes.with_context(|| format!("the blob {digest} is missing"))?;
        if hash::sha256(bytes) != digest {
            bail!("the blob {digest} does not match its digest");
        }
        Ok(bytes.clone())
    };
    json("oci-layout")?;
    let named = blob(&json("index.json")?["manifests"][0])?;
    let digest = format!("sha256:{}", hash::sha256(&named));
    let manifest: Value = serde_json::from_slice(&named)?;
    let config: Value = serde_json::from_slice(&blob(&manifest["config"])?)?;
    let parts = manifest["layers"].as_array().cloned().unwrap_or_default();
    let docker = json("manifest.json")?;
    let named = docker[0]["Layers"].as_array().map_or(0, Vec::len);
    if named != parts.len() {
        bail!("docker's manifest names {named} layers and the OCI manifest {}", parts.len());
    }
    let mut image = Image { config, digest, ..Image::default() };
    for (index, part) in parts.iter().enumerate() {
        let packed = blob(part)?;
        let archive = layer::decompress(&packed)?;
        if packed != archive {
            image.compressed += packed.len() as u64;
        }
        let diff_id = format!("sha256:{}", hash::sha256(&archive));
        if image.config["rootfs"]["diff_ids"][index] != diff_id.as_str() {
            bail!("layer {index} is not the one that the configuration names");
        }
        image.add(&archive)?;
    }
    Ok(image)
}

impl Image {
    fn add(&mut self, archive: &[u8]) -> Result<()> {
        for entry in tar::Archive::new(archive).entries()? {
            let entry = entry?;
            let header = entry.header();
            let special = header.mode()? & 0o6000 != 0;
            if special || header.uid()? != 0 || header.gid()? != 0 {
                self.privileged.push(entry.path()?.display().to_string());
            }
        }
        let tree = layer::unarchive(archive)?;
        for (path, _) in tree.entries() {
            if path.rsplit('/').next().is_some_and(|name| name.starts_with(".wh.")) {
                bail!("{path} hides a file of an earlier layer, which stays readable there");
            }
        }
        self.tree.merge(tree.clone());
        self.layers.push(tree);
        Ok(())
    }

    /// The settings of a container.
    pub(crate) fn settings(&self) -> &Value {
        &self.config["config"]
    }

    /// The text of a file.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        match self.tree.get(path)? {
            Node::File { bytes, .. } => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }
    }
}

fn entries(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(bytes).entries()? {
        let mut entry = entry?;
        let name = entry.path()?.display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        found.insert(name, content);
    }
    Ok(found)
}
