//! Compresses files that the build has left as they are, once at each load. The
//! build's own forms are smaller still and cost nothing here.

use std::io::{self, Write};

use crate::http::coding::Coding;

/// Below this size, the head is most of a response.
const LEAST: usize = 512;
/// Levels that take well under a second for a megabyte.
const BROTLI: i32 = 9;
const ZSTD: i32 = 15;

/// Whether files of this kind are worth compressing: text is; images, modern fonts
/// and archives are compressed already.
fn is_text(media_type: &str) -> bool {
    let kind = media_type.split(';').next().unwrap_or_default();
    kind.starts_with("text/")
        || kind.ends_with("json")
        || kind.ends_with("xml")
        || matches!(kind, "application/wasm" | "font/ttf" | "font/otf" | "image/x-icon")
}

/// The forms of `content` that are smaller by a tenth or more.
///
/// # Errors
/// When there is no memory for them.
pub(super) fn forms(media_type: &str, content: &[u8]) -> io::Result<Vec<(Coding, Vec<u8>)>> {
    if content.len() < LEAST || !is_text(media_type) {
        return Ok(Vec::new());
    }
    let mut forms = vec![
        (Coding::Br, brotli(content)?),
        (Coding::Zstd, zstd::bulk::compress(content, ZSTD)?),
        (Coding::Gzip, gzip(content)?),
    ];
    forms.retain(|(_, form)| form.len() <= content.len() - content.len() / 10);
    Ok(forms)
}

fn brotli(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let params = brotli::enc::BrotliEncoderParams { quality: BROTLI, ..Default::default() };
    brotli::BrotliCompress(&mut &*content, &mut out, &params)?;
    Ok(out)
}

fn gzip(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(content)?;
    out.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn text_is_compressed_three_ways_and_comes_back() {
        let text = "the quick brown fox jumps over the lazy dog; ".repeat(200);
        let forms = forms("text/javascript; charset=utf-8", text.as_bytes()).expect("forms");
        assert_eq!(forms.len(), 3);
        for (coding, form) in forms {
            let mut back = Vec::new();
            let read = match coding {
                Coding::Br => brotli::Decompressor::new(&*form, 4096).read_to_end(&mut back),
                Coding::Zstd => {
                    zstd::Decoder::new(&*form).and_then(|mut d| d.read_to_end(&mut back))
                }
                _ => flate2::read::GzDecoder::new(&*form).read_to_end(&mut back),
            };
            assert!(read.is_ok() && back == text.as_bytes(), "{coding:?}");
        }
    }

    #[test]
    fn what_would_not_gain_stays_as_it_is() {
        let mut state = 1u32;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[0]
        };
        let noise: Vec<u8> = (0..4000).map(|_| next()).collect();
        assert!(forms("text/plain", &noise).expect("forms").is_empty(), "noise");
        assert!(forms("text/plain", &[b'x'; 100]).expect("forms").is_empty(), "short");
        assert!(forms("image/png", &[b'x'; 9000]).expect("forms").is_empty(), "a picture");
    }
}
