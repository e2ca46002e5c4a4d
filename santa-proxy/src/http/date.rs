//! HTTP dates (RFC 9110 §5.6.7): written as IMF-fixdate, read in all three
//! forms. Whole seconds since 1970; knows nothing of clocks.

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const LONG_DAYS: [&str; 7] =
    ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A day in the proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Year.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: i64,
    /// Day of the month, 1 to 31.
    pub day: i64,
}

/// The day that lies `days` after 1970-01-01 (days-to-civil by era of 400 years).
#[must_use]
pub fn civil(days: i64) -> Civil {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    Civil { year: year_of_era + era * 400 + i64::from(month <= 2), month, day }
}

/// Days from 1970-01-01 to the given day.
fn days_since_1970(date: Civil) -> i64 {
    let year = date.year - i64::from(date.month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = (date.month + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5 + date.day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn name<'n>(names: &[&'n str], index: i64) -> &'n str {
    usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default()
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
#[must_use]
pub fn format(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(0);
    let (days, time) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let Civil { year, month, day } = civil(days);
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        name(&DAYS, days.rem_euclid(7)),
        name(&MONTHS, month - 1),
        time / 3_600,
        time / 60 % 60,
        time % 60
    )
}

/// Reads any of the three forms; `now` (seconds) places two-digit years.
#[must_use]
pub fn parse(text: &[u8], now: u64) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    imf_fixdate(text).or_else(|| rfc850(text, now)).or_else(|| asctime(text))
}

fn imf_fixdate(text: &str) -> Option<u64> {
    let rest = text.get(3..)?.strip_prefix(", ")?;
    let [day, month, year, time, "GMT"] = fields(rest, ' ')? else { return None };
    if year.len() != 4 || day.len() != 2 {
        return None;
    }
    timestamp(number(year)?, month, number(day)?, time, (text.get(..3)?, &DAYS))
}

fn rfc850(text: &str, now: u64) -> Option<u64> {
    let (weekday, rest) = text.split_once(", ")?;
    let [date, time, "GMT"] = fields(rest, ' ')? else { return None };
    let [day, month, year] = fields(date, '-')?;
    if year.len() != 2 || day.len() != 2 {
        return None;
    }
    let this_year = civil(i64::try_from(now / 86_400).ok()?).year;
    let mut year = this_year - this_year % 100 + number(year)?;
    // More than 50 years ahead means the most recent past year with these digits.
    if year > this_year + 50 {
        year -= 100;
    }
    timestamp(year, month, number(day)?, time, (weekday, &LONG_DAYS))
}

fn asctime(text: &str) -> Option<u64> {
    let (start, day, rest) = (text.get(..8)?, text.get(8..10)?, text.get(10..)?);
    let [weekday, month, ""] = fields(start, ' ')? else { return None };
    let ["", time, year] = fields(rest, ' ')? else { return None };
    if year.len() != 4 {
        return None;
    }
    timestamp(number(year)?, month, number(day.trim_start())?, time, (weekday, &DAYS))
}

fn fields<const N: usize>(text: &str, separator: char) -> Option<[&str; N]> {
    let parts: Vec<&str> = text.split(separator).collect();
    parts.try_into().ok()
}

fn number(text: &str) -> Option<i64> {
    super::bytes::decimal(text.as_bytes()).and_then(|number| i64::try_from(number).ok())
}

fn timestamp(year: i64, month: &str, day: i64, time: &str, week: (&str, &[&str])) -> Option<u64> {
    let month = i64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()? + 1;
    let [hour, minute, second] = fields(time, ':')?;
    if [hour, minute, second].iter().any(|part| part.len() != 2) {
        return None;
    }
    let (hour, minute, second) = (number(hour)?, number(minute)?, number(second)?);
    let date = Civil { year, month, day };
    let days = days_since_1970(date);
    let exists = civil(days) == date && week.1.contains(&week.0);
    if !exists || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    u64::try_from(days * 86_400 + hour * 3_600 + minute * 60 + second).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_700_000_000;

    #[test]
    fn all_three_forms_are_read() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), Some(784_111_777), "{text}");
        }
        assert_eq!(format(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn what_is_no_date_is_not_read() {
        for text in [
            "",
            "0",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Xxx, 06 Nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "1994-11-06T08:49:37Z",
            "Sun, 06 Nov 1994 8:49:37 GMT",
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(seconds in 0u64..4_102_444_800) {
            prop_assert_eq!(parse(format(seconds).as_bytes(), NOW), Some(seconds));
        }

        #[test]
        fn any_text_is_decided(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse(&text, NOW);
        }
    }
}
