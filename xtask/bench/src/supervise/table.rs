//! The results as Markdown and as JSON.

use serde_json::{Value, json};

use super::figures::{FIGURES, Figure};
use super::requests::Outcome;
use super::{Measured, medians};

fn number(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value.abs() >= 100.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

fn promise(figure: &Figure) -> String {
    match figure.promise {
        None => String::new(),
        Some((value, true)) => format!("≥ {value}"),
        Some((value, false)) => format!("≤ {value}"),
    }
}

/// Medians: a row for each figure, a column for each supervisor.
pub(super) fn processes(measured: &[Measured]) -> String {
    let rounds = measured.iter().map(|one| one.rounds.len()).max().unwrap_or(0);
    let names: String = measured.iter().map(|one| format!(" {} |", one.peer.name)).collect();
    let rule = "---:|".repeat(measured.len());
    let mut text = format!(
        "## Supervisors beside each other\n\nMedians of {rounds} rounds in turn.\n\n\
         | | promised |{names}\n|---|---|{rule}\n"
    );
    let columns: Vec<_> = measured.iter().map(|one| medians(&one.rounds)).collect();
    for (index, figure) in FIGURES.iter().enumerate() {
        let cells: String =
            columns.iter().map(|column| format!(" {} |", number(column[index]))).collect();
        text += &format!("| {} | {} |{cells}\n", figure.name, promise(figure));
    }
    text + "\nA dash: it does not do that, or left children alive after its stop.\n\n"
}

/// Every value of every round.
pub(super) fn json(measured: &[Measured]) -> Value {
    let one = |one: &Measured| {
        let figures: serde_json::Map<String, Value> = FIGURES
            .iter()
            .enumerate()
            .map(|(index, figure)| {
                let values: Vec<_> = one.rounds.iter().map(|round| round[index]).collect();
                (figure.name.to_owned(), json!(values))
            })
            .collect();
        json!({ "name": one.peer.name, "rounds": figures })
    };
    measured.iter().map(one).collect()
}

/// What became of the requests.
pub(super) fn requests(outcomes: &[Outcome]) -> String {
    let mut text = "## Requests while the backend is restarted\n\n\
         | what | through | times | requests | failed | of them refused | p50 ms | p99 ms | longest ms |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|\n"
        .to_owned();
    for one in outcomes {
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            one.what,
            one.through,
            one.times,
            one.requests(),
            one.failed,
            one.refused,
            number(one.quantile(0.5)),
            number(one.quantile(0.99)),
            number(one.quantile(1.0)),
        );
    }
    text
}
