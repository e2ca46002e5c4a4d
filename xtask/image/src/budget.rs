//! How large the image may be, and the table that says how large it is.

use anyhow::{Result, bail};

use super::oci::Image;
use xtask::commands::image::Compression;

/// Largest image in bytes, compressed with zstd.
const COMPRESSED: u64 = 40_000_000;
/// The same with gzip, which is weaker.
const COMPRESSED_GZIP: u64 = 46_000_000;
/// Largest image in bytes, all files together.
const UNPACKED: u64 = 120_000_000;

/// The table, a line for each layer and the budget below.
pub(crate) fn table(image: &Image) -> String {
    let mut lines =
        vec![format!("{:<10} {:>8} {:>12} {:>12}", "layer", "entries", "compressed", "unpacked")];
    lines.extend(image.layers.iter().map(|layer| {
        format!(
            "{:<10} {:>8} {:>12} {:>12}",
            layer.name,
            layer.entries,
            megabytes(layer.size),
            megabytes(layer.unpacked)
        )
    }));
    let (compressed, unpacked) = (image.compressed(), image.unpacked());
    lines.push(format!(
        "{:<19} {:>12} {:>12}",
        "image",
        megabytes(compressed),
        megabytes(unpacked)
    ));
    lines.push(format!(
        "{:<19} {:>12} {:>12}",
        "budget",
        megabytes(limit(image)),
        megabytes(UNPACKED)
    ));
    lines.join("\n")
}

/// An error when the image is larger than it may be.
pub(crate) fn check(image: &Image) -> Result<()> {
    for (what, size, limit) in
        [("compressed", image.compressed(), limit(image)), ("unpacked", image.unpacked(), UNPACKED)]
    {
        if size > limit {
            bail!(
                "the image is {} {what}, over its budget of {}; the table shows which layer grew. Take less into it, or raise the budget in xtask/image/src/budget.rs and say why",
                megabytes(size),
                megabytes(limit)
            );
        }
    }
    Ok(())
}

/// Whether these sizes are within the budget of the weaker compression.
pub(crate) fn fits(compressed: u64, unpacked: u64) -> bool {
    compressed <= COMPRESSED_GZIP && unpacked <= UNPACKED
}

fn limit(image: &Image) -> u64 {
    let gzip = image.layers.iter().any(|layer| layer.compression == Compression::Gzip);
    if gzip { COMPRESSED_GZIP } else { COMPRESSED }
}

/// Bytes as people read them: `12.3 MB`.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}

#[cfg(test)]
mod tests {
    use super::super::layer::Layer;
    use super::*;
    use xtask::platform::Platform;

    fn image(compression: Compression, size: u64, unpacked: u64) -> Image {
        let layer = Layer {
            name: "packages".to_owned(),
            file: "unread".into(),
            diff_id: String::new(),
            digest: String::new(),
            size,
            unpacked,
            entries: 1,
            compression,
        };
        let platform = Platform::named("linux/amd64").expect("known");
        Image::new("x", platform, vec![layer], &serde_json::json!({}), "2025-01-01T00:00:00Z")
    }

    #[test]
    fn an_image_over_the_budget_fails_and_says_how_far() {
        for (compression, size, unpacked, expected) in [
            (Compression::Zstd, COMPRESSED, UNPACKED, None),
            (Compression::Zstd, COMPRESSED + 1_000_000, UNPACKED, Some("41.0 MB compressed")),
            (Compression::Gzip, COMPRESSED + 1_000_000, UNPACKED, None),
            (Compression::Gzip, COMPRESSED_GZIP + 1_000_000, UNPACKED, Some("47.0 MB compressed")),
            (Compression::Zstd, COMPRESSED, UNPACKED + 1_000_000, Some("121.0 MB unpacked")),
        ] {
            let image = image(compression, size, unpacked);
            let found = check(&image).err().map(|error| error.to_string());
            match (expected, found) {
                (None, found) => assert_eq!(found, None),
                (Some(expected), found) => {
                    assert!(found.is_some_and(|text| text.contains(expected)), "{expected}")
                }
            }
            assert!(table(&image).lines().any(|line| line.starts_with("packages ")));
        }
    }

    #[test]
    fn sizes_are_in_millions_of_bytes() {
        assert_eq!(megabytes(39_960_000), "39.9 MB");
        assert_eq!(megabytes(950), "0.0 MB");
    }
}
