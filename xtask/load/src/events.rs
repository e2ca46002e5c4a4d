//! Made-up events in the size and spelling of real ones: signed, with a chain of
//! three certificates, some 1.7 kB each as JSON.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};

/// The content of an upload of `count` events; no two events are the same.
pub(crate) fn upload(machine: u32, count: u32, programs: u32, now: f64) -> Vec<u8> {
    let mut body = "{\"events\":[".to_owned();
    let mut random = fastrand::Rng::with_seed(now.to_bits() ^ u64::from(machine) << 20);
    for number in 0..count {
        if number > 0 {
            body.push(',');
        }
        // Few programs cause most events.
        let program = (random.f64().powi(3) * f64::from(programs)) as u32;
        event(&mut body, machine, program, now - f64::from(number) * 0.01, random.u16(..));
    }
    let _ = write!(body, "],\"machine_id\":\"bench-{machine}\"}}");
    body.into_bytes()
}

fn event(body: &mut String, machine: u32, program: u32, at: f64, pid: u16) {
    let publisher = program % 97;
    let team = format!("TEAM{publisher:06}");
    let decision = if program.is_multiple_of(10) { "BLOCK_UNKNOWN" } else { "ALLOW_UNKNOWN" };
    // Writing to a string cannot fail.
    let _ = write!(
        body,
        "{{\"file_sha256\":\"{}\",\"file_path\":\"/Applications/Program {program}.app/Contents/MacOS\",\
         \"file_name\":\"Program {program}\",\"executing_user\":\"user{machine}\",\"execution_time\":{at:.6},\
         \"logged_in_users\":[\"user{machine}\"],\"current_sessions\":[\"user{machine}@console\",\
         \"user{machine}@ttys001\"],\"decision\":\"{decision}\",\"file_bundle_id\":\"com.example.program{program}\",\
         \"file_bundle_path\":\"/Applications/Program {program}.app\",\"file_bundle_name\":\"Program {program}\",\
         \"file_bundle_version\":\"2669\",\"file_bundle_version_string\":\"4.5\",\"pid\":{},\"ppid\":1,\
         \"parent_name\":\"launchd\",\"team_id\":\"{team}\",\"signing_id\":\"{team}:com.example.program{program}\",\
         \"cdhash\":\"{}\",\"signing_chain\":[",
        hex(u64::from(program), 64),
        u32::from(pid) + 1,
        hex(u64::from(program) + 1_000_000, 40),
    );
    let own = format!("Publisher {publisher}");
    // Everybody's chain ends in the same two certificates, about which all Macs agree.
    for (place, (name, key, organization, unit)) in [
        ("Developer ID Application", 2_000_000 + u64::from(publisher), own.as_str(), team.as_str()),
        ("Developer ID Certification Authority", 3_000_001, "Vendor Incorporated", "Certification"),
        ("Root CA", 3_000_002, "Vendor Incorporated", "Certification"),
    ]
    .into_iter()
    .enumerate()
    {
        let comma = if place == 0 { "" } else { "," };
        let _ = write!(
            body,
            "{comma}{{\"sha256\":\"{}\",\"cn\":\"{name}: {organization}\",\"org\":\"{organization}\",\
             \"ou\":\"{unit}\",\"valid_from\":1600000000,\"valid_until\":1900000000}}",
            hex(key, 64),
        );
    }
    body.push_str(
        "],\"entitlementInfo\":{\"entitlementsFiltered\":false,\"entitlements\":[{\"key\":\
         \"com.apple.application-identifier\",\"value\":\"\\\"TEAM.com.example\\\"\"}]},\"csFlags\":570491653,\
         \"signingStatus\":\"SIGNING_STATUS_PRODUCTION\",\"secureSigningTime\":1703479812,\"signingTime\":1703479812}",
    );
}

/// A stable digest-like text for a number.
fn hex(number: u64, digits: usize) -> String {
    let mut text = String::with_capacity(digits + 16);
    let mut random = fastrand::Rng::with_seed(number);
    while text.len() < digits {
        let _ = write!(text, "{:016x}", random.u64(..));
    }
    text.truncate(digits);
    text
}

/// Undoes gzip as servers write it: a plain head, nothing after the data.
pub(crate) fn gunzip(content: &[u8]) -> Result<Vec<u8>> {
    ensure!(content.len() > 18 && content[..4] == [0x1f, 0x8b, 8, 0], "not plain gzip");
    miniz_oxide::inflate::decompress_to_vec(&content[10..content.len() - 8])
        .ok()
        .context("the response's gzip is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_json_of_a_real_size() {
        let body = upload(7, 10, 2_000, 1_763_900_000.5);
        let read: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        let events = read["events"].as_array().expect("a list");
        assert_eq!(events.len(), 10);
        assert_eq!(events[0]["file_sha256"].as_str().map(str::len), Some(64));
        assert!((1_500..2_000).contains(&(body.len() / 10)), "{}", body.len() / 10);
    }
}
