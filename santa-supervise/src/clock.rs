//! Wall-clock time for people: RFC 3339 in UTC. Nothing is ever decided by it.

use std::time::{SystemTime, UNIX_EPOCH};

use santa_config::calendar;
pub use santa_config::calendar::parse_rfc3339 as parse;

/// Milliseconds since 1970.
pub type Millis = u64;

/// The time now.
#[must_use]
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// `2024-02-29T12:00:00.000Z`
#[must_use]
pub fn rfc3339(at: Millis) -> String {
    let mut out = Vec::with_capacity(24);
    calendar::push_rfc3339(&mut out, at);
    String::from_utf8(out).unwrap_or_default()
}

/// `12:00:00`, in UTC.
#[must_use]
pub fn time_of_day(at: Millis) -> String {
    rfc3339(at).get(11..19).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_the_time_in_utc() {
        assert_eq!(rfc3339(951_782_461_123), "2000-02-29T00:01:01.123Z");
        assert_eq!(time_of_day(951_782_461_123), "00:01:01");
    }
}
