//! `check`: is the configuration right, and in which order do services start?

use std::io::{self, Write};

use santa_config::Service;

use crate::cli::Common;
use crate::order::order;

use super::{Failure, config_path, exit, load, print};

pub(super) fn check(common: &Common, json: bool) -> Result<i32, Failure> {
    let path = config_path(common);
    let (config, _) = load(&path)?;
    let circle = |ring: Vec<&str>| Failure {
        message: format!("{}: dependency cycle: {}", path.display(), ring.join(", ")),
        code: exit::CONFIG,
    };
    let services = &config.services;
    let starts =
        order(services.iter().map(|one| (&*one.name, needs_of(one))).collect()).map_err(circle)?;
    let stops =
        order(services.iter().map(|one| (&*one.name, stops_after(services, one))).collect())
            .map_err(circle)?;
    if json {
        let found = serde_json::json!({ "ok": true, "start_order": starts, "stop_order": stops });
        return print(exit::OK, |output| writeln!(output, "{found}"));
    }
    print(exit::OK, |output| {
        writeln!(output, "{} is valid. Services start in this order:", path.display())?;
        show(output, &starts)?;
        writeln!(output, "and stop in this one:")?;
        show(output, &stops)
    })
}

/// The services that `one` depends on.
fn needs_of(one: &Service) -> Vec<String> {
    one.depends_on.iter().map(|dependency| dependency.service.clone()).collect()
}

/// The services that must have stopped before `one` is asked to.
fn stops_after(services: &[Service], one: &Service) -> Vec<String> {
    let dependents = services.iter().filter(|other| needs_of(other).contains(&one.name));
    dependents.map(|other| other.name.clone()).chain(one.stop_after.iter().cloned()).collect()
}

fn show(output: &mut impl Write, groups: &[Vec<&str>]) -> io::Result<()> {
    let mut groups = (1..).zip(groups);
    groups.try_for_each(|(number, group)| writeln!(output, "  {number}. {}", group.join(", ")))
}
