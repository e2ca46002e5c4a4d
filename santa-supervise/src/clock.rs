//! Wall-clock time for people: RFC 3339 in UTC. Nothing is ever decided by it.

use std::time::{SystemTime, UNIX_EPOCH};

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
    let (days, of_day) = (at / 86_400_000, at % 86_400_000);
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02}T{}.{:03}Z", time(of_day), of_day % 1_000)
}

/// Reads what [`rfc3339`] writes; other forms of the standard are not needed.
#[must_use]
pub fn parse(text: &str) -> Option<Millis> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    // From the March that began this year of the calendar used in `date`.
    let (from_march, year) =
        if month > 2 { (month - 3, year) } else { (month + 9, year.checked_sub(1)?) };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * from_march + 2) / 5 + day.checked_sub(1)?;
    let days = (era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year)
        .checked_sub(719_468)?;
    let seconds = number(11..13)? * 3_600 + number(14..16)? * 60 + number(17..19)?;
    Some((days * 86_400 + seconds) * 1_000 + number(20..23).unwrap_or(0))
}

/// `12:00:00`, in UTC.
#[must_use]
pub fn time_of_day(at: Millis) -> String {
    time(at % 86_400_000)
}

fn time(of_day: u64) -> String {
    let seconds = of_day / 1_000;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// Year, month and day of a number of days since 1970: counted in 400-year
/// cycles of years that begin in March, so that the leap day comes last.
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_are_written_as_everybody_writes_them() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_709_164_799_999, "2024-02-28T23:59:59.999Z"),
            (1_709_251_199_000, "2024-02-29T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ];
        for (at, expected) in cases {
            assert_eq!(rfc3339(at), expected);
            assert_eq!(parse(expected), Some(at));
        }
        assert_eq!(time_of_day(951_782_461_123), "00:01:01");
    }
}
