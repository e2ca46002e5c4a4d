//! The provenance beside an archive: whether it is about this image, and who signed it.

use std::path::Path;

use anyhow::{Context, Result};

use super::super::provenance::envelope::Envelope;
use super::super::provenance::key::VerifyingKey;
use super::super::provenance::{beside, mismatches};
use super::archive::Image;
use super::finding::Finding;
use xtask::repo;

const NAME: &str = "provenance";
const SIGNATURE: &str = "signature";

/// Two lines of the table: the statement and its signature.
pub(super) fn check(image: &Image, archive: &Path, key: Option<&Path>) -> Result<Vec<Finding>> {
    let key = key.map(VerifyingKey::read).transpose()?;
    let file = beside(archive);
    if !file.exists() {
        let lacking = format!("{} is missing", repo::shown(&file));
        return Ok(vec![match key {
            Some(_) => Finding::none(NAME, "", vec![lacking]),
            None => Finding::not_checked(NAME, lacking),
        }]);
    }
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}", repo::shown(&file)))?;
    Ok(findings(image, &text, key.as_ref()))
}

fn findings(image: &Image, text: &str, key: Option<&VerifyingKey>) -> Vec<Finding> {
    let opened = Envelope::parse(text).and_then(|envelope| Ok((envelope.statement()?, envelope)));
    let (statement, envelope) = match opened {
        Ok(opened) => opened,
        Err(error) => return vec![Finding::none(NAME, "", vec![format!("{error:#}")])],
    };
    let labels = &image.settings()["Labels"];
    let revision = labels["org.opencontainers.image.revision"].as_str().unwrap_or_default();
    let wrong = mismatches(&statement, &image.digest, revision);
    let about = Finding::none(NAME, format!("it was built from {revision}"), wrong);
    vec![about, signature(&envelope, key)]
}

fn signature(envelope: &Envelope, key: Option<&VerifyingKey>) -> Finding {
    let ids = envelope.key_ids();
    let Some(key) = key else {
        let why = match ids[..] {
            [] => "the provenance is not signed".to_owned(),
            _ => "--verify-key FILE with the public key checks it".to_owned(),
        };
        return Finding::not_checked(SIGNATURE, why);
    };
    let wrong = match (envelope.is_signed_by(key), &ids[..]) {
        (true, _) => vec![],
        (false, []) => vec!["the provenance is not signed".to_owned()],
        (false, _) => vec![format!("it is not signed by the key {}", key.id())],
    };
    Finding::none(SIGNATURE, format!("the provenance is signed by {}", key.id()), wrong)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::provenance::key::SigningKey;
    use super::super::finding::Verdict;
    use super::*;

    fn image() -> Image {
        let labels = json!({ "org.opencontainers.image.revision": "c0" });
        Image {
            config: json!({ "config": { "Labels": labels } }),
            digest: "sha256:ab".to_owned(),
            ..Image::default()
        }
    }

    fn statement(digest: &str) -> Value {
        json!({
            "_type": "https://in-toto.io/Statement/v1",
            "predicateType": "https://slsa.dev/provenance/v1",
            "subject": [{ "digest": { "sha256": digest } }],
            "predicate": { "buildDefinition": {
                "resolvedDependencies": [{ "digest": { "gitCommit": "c0" } }] } },
        })
    }

    fn verdicts(text: &str, key: Option<&VerifyingKey>) -> Vec<Verdict> {
        findings(&image(), text, key).iter().map(|one| one.verdict).collect()
    }

    #[test]
    fn a_signed_statement_about_the_image_holds() {
        use Verdict::{Failed, Holds, NotChecked};
        let (one, other) = (SigningKey::made(1), SigningKey::made(2));
        let signed = Envelope::seal(&statement("ab"), Some(&one)).to_text();
        let plain = Envelope::seal(&statement("ab"), None).to_text();
        let another = Envelope::seal(&statement("cd"), Some(&one)).to_text();
        assert_eq!(verdicts(&signed, Some(&one.public())), [Holds, Holds]);
        assert_eq!(verdicts(&signed, Some(&other.public())), [Holds, Failed]);
        assert_eq!(verdicts(&signed, None), [Holds, NotChecked]);
        assert_eq!(verdicts(&plain, None), [Holds, NotChecked]);
        assert_eq!(verdicts(&plain, Some(&one.public())), [Holds, Failed]);
        assert_eq!(verdicts(&another, Some(&one.public())), [Failed, Holds]);
        assert_eq!(verdicts("{}", None), [Failed]);
    }

    #[test]
    fn a_missing_file_fails_only_where_a_signature_is_asked_for() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let archive = folder.path().join("image.tar");
        let found = check(&image(), &archive, None).expect("checked");
        assert!(found[0].was_not_checked(), "{found:?}");
        let key = folder.path().join("key");
        assert!(check(&image(), &archive, Some(&key)).is_err(), "there is no such key");
    }
}
