//! Moments as both programs write them into their logs: RFC 3339 in UTC with
//! milliseconds, `2024-02-29T12:00:00.000Z`. A moment is a number of milliseconds since
//! 1970.
//!
//! A library would be compiled into both programs for these two functions, and a log
//! writes a time with every line.

const DAY: u64 = 86_400_000;

/// Appends a moment.
pub fn push_rfc3339(out: &mut Vec<u8>, millis: u64) {
    let (year, month, day) = date(millis / DAY);
    let seconds = millis / 1_000;
    push_padded(out, year, 4);
    for (separator, number) in [
        (b'-', month),
        (b'-', day),
        (b'T', seconds / 3_600 % 24),
        (b':', seconds / 60 % 60),
        (b':', seconds % 60),
    ] {
        out.push(separator);
        push_padded(out, number, 2);
    }
    out.push(b'.');
    push_padded(out, millis % 1_000, 3);
    out.push(b'Z');
}

/// Reads what [`push_rfc3339`] writes; other forms of the standard are not needed.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    let days = days(number(0..4)?, number(5..7)?, number(8..10)?)?;
    let seconds = number(11..13)? * 3_600 + number(14..16)? * 60 + number(17..19)?;
    Some(days * DAY + seconds * 1_000 + number(20..23).unwrap_or(0))
}

/// Appends a number with leading zeros.
pub fn push_padded(out: &mut Vec<u8>, number: u64, digits: u32) {
    for place in (0..digits).rev() {
        out.push(b'0' + u8::try_from(number / 10u64.pow(place) % 10).unwrap_or(0));
    }
}

/// Days of 400 years, and those from 1 March of the year 0 to 1970. Years are counted
/// from March, so that the leap day comes last.
const DAYS_OF_ERA: u64 = 146_097;
const BEFORE_1970: u64 = 719_468;

/// Year, month and day of a number of days since 1970.
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + BEFORE_1970;
    let (era, of_era) = (shifted / DAYS_OF_ERA, shifted % DAYS_OF_ERA);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Days since 1970 of a date.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (from_march, year) =
        if month > 2 { (month - 3, year) } else { (month + 9, year.checked_sub(1)?) };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * from_march + 2) / 5 + day.checked_sub(1)?;
    (era * DAYS_OF_ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year)
        .checked_sub(BEFORE_1970)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc3339(millis: u64) -> String {
        let mut out = Vec::new();
        push_rfc3339(&mut out, millis);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn known_moments_are_written_as_everybody_writes_them() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (784_111_777_007, "1994-11-06T08:49:37.007Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_709_164_799_999, "2024-02-28T23:59:59.999Z"),
            (1_709_251_199_000, "2024-02-29T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ];
        for (at, expected) in cases {
            assert_eq!(rfc3339(at), expected);
            assert_eq!(parse_rfc3339(expected), Some(at));
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let long = [1, 3, 5, 7, 8, 10, 12];
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for number in 0..700 * 366 {
            assert_eq!(date(number), (year, month, day));
            assert_eq!(days(year, month, day), Some(number));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 => 28 + u64::from(leap),
                _ => 30 + u64::from(long.contains(&month)),
            };
            (year, month, day) = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (_, day) if day == last => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in ["", "1970-01-01", "1969-12-31T23:59:59.000Z", "x024-01-01T00:00:00.000Z", "é"]
        {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
        assert_eq!(parse_rfc3339("1970-00-00T00:00:00Z"), None);
    }
}
