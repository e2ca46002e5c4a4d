//! `check`: is the configuration right, and in which order do services start?

use crate::cli::Common;
use crate::order::start_order;

use super::{Failure, config_path, exit, load};

pub(super) fn check(common: &Common, json: bool) -> Result<i32, Failure> {
    let path = config_path(common);
    let (config, _) = load(&path)?;
    let services: Vec<(&str, &[String])> = config
        .services
        .iter()
        .map(|service| (service.name.as_str(), service.depends_on.as_slice()))
        .collect();
    let order = start_order(&services).map_err(|ring| Failure {
        message: format!(
            "{}: services depend on each other in a circle: {}",
            path.display(),
            ring.join(", ")
        ),
        code: exit::CONFIG,
    })?;
    if json {
        println!("{}", serde_json::json!({ "ok": true, "start_order": order }));
        return Ok(exit::OK);
    }
    println!(
        "{} is right. Services start in this order and stop in the opposite one:",
        path.display()
    );
    for (number, group) in order.iter().enumerate() {
        println!("  {}. {}", number + 1, group.join(", "));
    }
    Ok(exit::OK)
}
