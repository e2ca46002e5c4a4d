//! Pure: in which order services start and stop. Works on names alone; the
//! live decisions are made in [`crate::machine`], this order is what `check`
//! shows.

use std::collections::BTreeSet;

/// Groups of services such that every service comes after all it depends on;
/// those in one group start side by side. Names inside a group keep their
/// order.
///
/// # Errors
/// The names that go round in a circle (the configuration refuses them before;
/// this is the second lock on that door).
pub fn start_order<'a>(
    services: &[(&'a str, &'a [String])],
) -> Result<Vec<Vec<&'a str>>, Vec<&'a str>> {
    let mut left: Vec<_> = services.to_vec();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut groups = Vec::new();
    while !left.is_empty() {
        let (now, later): (Vec<_>, Vec<_>) = left
            .into_iter()
            .partition(|(_, needs)| needs.iter().all(|need| done.contains(need.as_str())));
        if now.is_empty() {
            return Err(later.into_iter().map(|(name, _)| name).collect());
        }
        let group: Vec<&str> = now.into_iter().map(|(name, _)| name).collect();
        done.extend(&group);
        groups.push(group);
        left = later;
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(services: &[(&str, &[&str])], expected: &str) {
        let owned: Vec<(&str, Vec<String>)> = services
            .iter()
            .map(|(name, needs)| (*name, needs.iter().map(|need| (*need).to_owned()).collect()))
            .collect();
        let view: Vec<(&str, &[String])> =
            owned.iter().map(|(name, needs)| (*name, needs.as_slice())).collect();
        let shown = match start_order(&view) {
            Ok(groups) => {
                groups.iter().map(|group| group.join(" ")).collect::<Vec<_>>().join(" | ")
            }
            Err(ring) => format!("circle: {}", ring.join(" ")),
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn dependencies_come_first_and_independent_services_side_by_side() {
        check(&[], "");
        check(&[("a", &[]), ("b", &[])], "a b");
        check(&[("web", &["app"]), ("app", &["db"]), ("db", &[]), ("x", &[])], "db x | app | web");
    }

    #[test]
    fn a_circle_is_named() {
        check(&[("a", &["b"]), ("b", &["a"]), ("c", &[])], "circle: a b");
        check(&[("a", &["a"])], "circle: a");
    }
}
