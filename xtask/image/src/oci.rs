//! Layers as an image: configuration, manifest and index, in one archive that is
//! an OCI layout and what `docker load` reads at the same time.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::hash;
use super::layer::{self, Layer, TIME};
use xtask::platform::Platform;
use xtask::{files, repo};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An image that is ready to be written.
pub(crate) struct Image {
    tag: String,
    pub(crate) layers: Vec<Layer>,
    config: String,
    manifest: String,
    pub(crate) platform: Platform,
}

impl Image {
    /// Puts layers together. `settings` is the `config` object of the image,
    /// `created` a time as in RFC 3339.
    pub(crate) fn new(
        tag: &str,
        platform: Platform,
        layers: Vec<Layer>,
        settings: &Value,
        created: &str,
    ) -> Self {
        let history: Vec<Value> = layers
            .iter()
            .map(|layer| json!({ "created": created, "created_by": format!("cargo xtask image: {}", layer.name) }))
            .collect();
        let diff_ids: Vec<String> = layers.iter().map(|layer| sha(&layer.diff_id)).collect();
        let config = json!({
            "architecture": platform.debian,
            "os": "linux",
            "created": created,
            "config": settings,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": history,
        })
        .to_string();
        let described: Vec<Value> = layers
            .iter()
            .map(|layer| {
                descriptor(layer::media_type(layer.compression), &layer.digest, layer.size)
            })
            .collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &hash::sha256(config.as_bytes()), config.len() as u64),
            "layers": described,
        })
        .to_string();
        Self { tag: tag.to_owned(), layers, config, manifest, platform }
    }

    /// The digest of the manifest, by which registries know the image.
    pub(crate) fn digest(&self) -> String {
        sha(&hash::sha256(self.manifest.as_bytes()))
    }

    /// Its name and tag as engines complete it.
    pub(crate) fn full_tag(&self) -> String {
        full_name(&self.tag)
    }

    /// Bytes of all compressed layers.
    pub(crate) fn compressed(&self) -> u64 {
        self.layers.iter().map(|layer| layer.size).sum()
    }

    /// Bytes of all files.
    pub(crate) fn unpacked(&self) -> u64 {
        self.layers.iter().map(|layer| layer.unpacked).sum()
    }

    /// The small files of the layout with their names.
    fn documents(&self) -> Vec<(String, String)> {
        let mut described = descriptor(
            MANIFEST,
            &hash::sha256(self.manifest.as_bytes()),
            self.manifest.len() as u64,
        );
        described["platform"] = json!({ "architecture": self.platform.debian, "os": "linux" });
        described["annotations"] = json!({
            "org.opencontainers.image.ref.name": self.tag,
            "io.containerd.image.name": full_name(&self.tag),
        });
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [described] });
        let config = blob(&hash::sha256(self.config.as_bytes()));
        let layers: Vec<String> = self.layers.iter().map(|layer| blob(&layer.digest)).collect();
        let docker = json!([{ "Config": config, "RepoTags": [self.tag], "Layers": layers }]);
        vec![
            ("oci-layout".to_owned(), json!({ "imageLayoutVersion": "1.0.0" }).to_string()),
            ("index.json".to_owned(), index.to_string()),
            ("manifest.json".to_owned(), docker.to_string()),
            (config, self.config.clone()),
            (blob(&hash::sha256(self.manifest.as_bytes())), self.manifest.clone()),
        ]
    }

    /// Writes the archive.
    pub(crate) fn write_archive(&self, file: &Path) -> Result<()> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let partial = file.with_extension("partial");
        let written = File::create(&partial).map_err(anyhow::Error::from).and_then(|target| {
            let mut builder = tar::Builder::new(BufWriter::new(target));
            for (name, text) in self.documents() {
                builder.append_data(&mut header(text.len() as u64), name, text.as_bytes())?;
            }
            for layer in self.different_layers() {
                let content = File::open(&layer.file)?;
                builder.append_data(&mut header(layer.size), blob(&layer.digest), content)?;
            }
            Ok(builder.into_inner()?.flush()?)
        });
        written
            .and_then(|()| Ok(fs::rename(&partial, file)?))
            .with_context(|| format!("cannot write {}", repo::shown(file)))
    }

    /// Writes the same as a folder, from which an engine takes only what it does
    /// not have yet. Layers are links to the cache where that is possible.
    pub(crate) fn write_folder(&self, folder: &Path) -> Result<()> {
        let partial: PathBuf = folder.with_extension("partial");
        files::remove(&partial)?;
        fs::create_dir_all(partial.join("blobs/sha256"))?;
        for (name, text) in self.documents() {
            fs::write(partial.join(name), text)?;
        }
        for layer in self.different_layers() {
            let target = partial.join(blob(&layer.digest));
            fs::hard_link(&layer.file, &target)
                .or_else(|_| fs::copy(&layer.file, &target).map(drop))?;
        }
        files::remove(folder)?;
        fs::rename(&partial, folder)
            .with_context(|| format!("cannot write {}", repo::shown(folder)))
    }

    fn different_layers(&self) -> Vec<&Layer> {
        let mut layers: Vec<&Layer> = self.layers.iter().collect();
        layers.sort_by(|one, other| one.digest.cmp(&other.digest));
        layers.dedup_by(|one, other| one.digest == other.digest);
        layers
    }
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_mtime(TIME);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header
}

fn sha(digits: &str) -> String {
    format!("sha256:{digits}")
}

fn blob(digits: &str) -> String {
    format!("blobs/sha256/{digits}")
}

fn descriptor(kind: &str, digits: &str, size: u64) -> Value {
    json!({ "mediaType": kind, "digest": sha(digits), "size": size })
}

/// A tag as engines complete it.
fn full_name(tag: &str) -> String {
    let first = tag.split('/').next().unwrap_or_default();
    if tag.contains('/') && (first.contains(['.', ':']) || first == "localhost") {
        tag.to_owned()
    } else {
        format!("localhost/{tag}")
    }
}

#[cfg(test)]
mod tests {
    use xtask::commands::image::Compression;

    use super::*;

    fn image(folder: &Path) -> Image {
        let file = folder.join("layer");
        fs::write(&file, "layer").expect("written");
        let digest = hash::sha256(b"layer");
        let layer = Layer {
            name: "base".to_owned(),
            file,
            diff_id: hash::sha256(b"archive"),
            size: 5,
            unpacked: 10,
            entries: 1,
            compression: Compression::Zstd,
            digest,
        };
        let platform = Platform::named("linux/amd64").expect("known");
        Image::new(
            "santaserver:x",
            platform,
            vec![layer.clone(), layer],
            &json!({}),
            "2025-01-01T00:00:00Z",
        )
    }

    #[test]
    fn one_archive_is_an_oci_layout_and_what_docker_loads() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("image.tar");
        image(folder.path()).write_archive(&file).expect("written");
        let mut archive = tar::Archive::new(File::open(&file).expect("there"));
        let names: Vec<String> = archive
            .entries()
            .expect("entries")
            .map(|entry| entry.expect("an entry").path().expect("a path").display().to_string())
            .collect();
        for name in ["oci-layout", "index.json", "manifest.json"] {
            assert!(names.contains(&name.to_owned()), "{name} in {names:?}");
        }
        // A layer that occurs twice is stored once; docker refuses doubled entries.
        assert_eq!(names.len(), 6, "{names:?}");
    }

    #[test]
    fn the_same_layers_give_the_same_bytes() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let write = |name: &str| {
            let file = folder.path().join(name);
            image(folder.path()).write_archive(&file).expect("written");
            fs::read(file).expect("there")
        };
        assert_eq!(write("one.tar"), write("two.tar"));
    }

    #[test]
    fn a_tag_is_completed_as_engines_do() {
        assert_eq!(full_name("santaserver:unified"), "localhost/santaserver:unified");
        assert_eq!(full_name("registry.example:5000/s:1"), "registry.example:5000/s:1");
        assert_eq!(full_name("team/s:1"), "localhost/team/s:1");
    }
}
