//! santa-proxy
fn main() {}
