//! A bar for each subject of each case: its first compared figure, relative
//! to the first subject's. Pure.

use super::table::{Case, Row};

const WIDTH: f64 = 860.0;
const BAR: f64 = 16.0;
const GAP: f64 = 14.0;
/// Where the bars begin, behind the names.
const LEFT: f64 = 190.0;
/// How wide a ratio of 1 is.
const ONE: f64 = 240.0;
/// The longest bar; what is longer is cut off and shows its figure.
const LONGEST: f64 = 2.2;
const COLORS: [&str; 5] = ["#8c8c8c", "#1668b8", "#c2571a", "#2e7d32", "#7b3fa0"];

/// The plot as an SVG document.
pub(crate) fn svg(cases: &[&Case]) -> String {
    let mut body = String::new();
    let mut y = GAP;
    for case in cases {
        let Some(metric) = case.metrics().into_iter().find(|metric| metric.compared) else {
            continue;
        };
        let title = format!("{}: {} ({})", case.name, metric.name, metric.unit);
        y += BAR;
        body.push_str(&text(8.0, y, "bold", &title));
        y += 6.0;
        let bars = case.rows.iter().zip(COLORS.iter().cycle());
        for (row, color) in bars {
            let (Some(value), Some(ratio)) = (row.median(metric), case.ratio(row, metric)) else {
                continue;
            };
            body.push_str(&bar(y, row, value, ratio, color));
            y += BAR + 3.0;
        }
        y += GAP;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y}\" \
         viewBox=\"0 0 {WIDTH} {y}\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n\
         <title>Benchmarks relative to the first subject; shorter is better</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

fn bar(y: f64, row: &Row, value: f64, ratio: f64, color: &str) -> String {
    let width = ratio.min(LONGEST) * ONE;
    let label = format!("{value:.1} ({ratio:.2})");
    let rect = format!(
        "<rect x=\"{LEFT}\" y=\"{y:.0}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{color}\"/>\n"
    );
    let base = y + BAR - 4.0;
    rect + &text(24.0, base, "normal", &row.name)
        + &text(LEFT + width + 6.0, base, "normal", &label)
}

fn text(x: f64, y: f64, weight: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<text x=\"{x:.0}\" y=\"{y:.0}\" font-weight=\"{weight}\" fill=\"#222222\">{text}</text>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::CPU;

    #[test]
    fn each_subject_has_a_bar_as_long_as_its_ratio() {
        let names = ["nginx", "a<b"].map(str::to_owned);
        let mut case = Case::new("1 KiB", names.into_iter());
        case.add(0, vec![(CPU, 10.0)]);
        case.add(1, vec![(CPU, 5.0)]);
        let svg = svg(&[&case]);
        assert!(svg.contains("width=\"240.0\"") && svg.contains("width=\"120.0\""), "{svg}");
        assert!(svg.contains("a&lt;b") && svg.contains("5.0 (0.50)"), "{svg}");
    }
}
