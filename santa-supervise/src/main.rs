//! santa-supervise
fn main() {}
