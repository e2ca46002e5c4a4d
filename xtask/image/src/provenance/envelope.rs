//! DSSE, the envelope of in-toto: a payload, and signatures over it and its type.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::key::{SigningKey, VerifyingKey};

const TYPE: &str = "application/vnd.in-toto+json";

/// An envelope that was opened or is to be written.
#[derive(Debug)]
pub(crate) struct Envelope {
    payload: Vec<u8>,
    signatures: Vec<Signature>,
}

#[derive(Debug)]
struct Signature {
    key_id: String,
    bytes: Vec<u8>,
}

impl Envelope {
    /// Puts a statement into an envelope, signed when there is a key.
    pub(crate) fn seal(statement: &Value, key: Option<&SigningKey>) -> Self {
        let payload = statement.to_string().into_bytes();
        let signatures = key
            .iter()
            .map(|key| Signature { key_id: key.id(), bytes: key.sign(&signed_bytes(&payload)) })
            .collect();
        Self { payload, signatures }
    }

    /// The file.
    pub(crate) fn to_text(&self) -> String {
        let signatures: Vec<Value> = self
            .signatures
            .iter()
            .map(|one| json!({ "keyid": one.key_id, "sig": BASE64_STANDARD.encode(&one.bytes) }))
            .collect();
        let envelope = json!({
            "payloadType": TYPE,
            "payload": BASE64_STANDARD.encode(&self.payload),
            "signatures": signatures,
        });
        format!("{envelope}\n")
    }

    /// Reads a file.
    ///
    /// # Errors
    /// What makes it no envelope of a statement.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text).context("it is not JSON")?;
        let decoded = |value: &Value, what: &str| -> Result<Vec<u8>> {
            let text = value.as_str().with_context(|| format!("it has no {what}"))?;
            BASE64_STANDARD.decode(text).with_context(|| format!("its {what} is not base64"))
        };
        anyhow::ensure!(value["payloadType"] == TYPE, "its payload is not an in-toto statement");
        let signatures = value["signatures"].as_array().context("it has no signatures")?;
        let signatures = signatures.iter().map(|one| {
            let key_id = one["keyid"].as_str().unwrap_or_default().to_owned();
            Ok(Signature { key_id, bytes: decoded(&one["sig"], "signature")? })
        });
        Ok(Self {
            payload: decoded(&value["payload"], "payload")?,
            signatures: signatures.collect::<Result<_>>()?,
        })
    }

    /// The statement, whether anyone signed it or not.
    pub(crate) fn statement(&self) -> Result<Value> {
        serde_json::from_slice(&self.payload).context("its payload is not JSON")
    }

    /// The ids of the keys that are said to have signed it.
    pub(crate) fn key_ids(&self) -> Vec<&str> {
        self.signatures.iter().map(|one| one.key_id.as_str()).collect()
    }

    /// Whether this key signed it. The id in the envelope proves nothing and is not asked.
    pub(crate) fn is_signed_by(&self, key: &VerifyingKey) -> bool {
        let message = signed_bytes(&self.payload);
        self.signatures.iter().any(|one| key.verifies(&message, &one.bytes))
    }
}

/// What is signed: the pre-authentication encoding of DSSE 1.0.
fn signed_bytes(payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {TYPE} {} ", TYPE.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_has_lengths() {
        assert_eq!(signed_bytes(b"{}"), b"DSSEv1 28 application/vnd.in-toto+json 2 {}");
    }

    #[test]
    fn a_signature_holds_for_its_payload_and_key_only() {
        let (one, other) = (SigningKey::made(1), SigningKey::made(2));
        let statement = json!({ "a": 1 });
        let text = Envelope::seal(&statement, Some(&one)).to_text();
        let read = Envelope::parse(&text).expect("an envelope");
        assert_eq!(read.statement().expect("JSON"), statement);
        assert_eq!(read.key_ids(), [one.id()]);
        assert!(read.is_signed_by(&one.public()) && !read.is_signed_by(&other.public()));
        // The same signature, another payload; another key under the id of the first.
        let mut forged: Value = serde_json::from_str(&text).expect("JSON");
        forged["payload"] = BASE64_STANDARD.encode(br#"{"a":2}"#).into();
        assert!(
            !Envelope::parse(&forged.to_string()).expect("an envelope").is_signed_by(&one.public())
        );
        let mut renamed: Value =
            serde_json::from_str(&Envelope::seal(&statement, Some(&other)).to_text())
                .expect("JSON");
        renamed["signatures"][0]["keyid"] = one.id().into();
        assert!(
            !Envelope::parse(&renamed.to_string())
                .expect("an envelope")
                .is_signed_by(&one.public())
        );
    }

    #[test]
    fn what_is_no_envelope_is_refused() {
        let good = Envelope::seal(&json!({}), None).to_text();
        assert!(Envelope::parse(&good).expect("an envelope").key_ids().is_empty());
        for (from, to, words) in [
            ("{", "[", "not JSON"),
            ("vnd.in-toto", "vnd.other", "not an in-toto statement"),
            ("\"signatures\":[]", "\"signatures\":7", "no signatures"),
            ("\"signatures\":[]", "\"signatures\":[{\"sig\":\"*\"}]", "not base64"),
            ("\"payload\":\"", "\"payload\":\"*", "not base64"),
            ("\"payload\":", "\"load\":", "no payload"),
        ] {
            let error = Envelope::parse(&good.replacen(from, to, 1)).expect_err(to);
            assert!(format!("{error:#}").contains(words), "{error:#}");
        }
    }
}
