"""The container image in a real Docker; `cargo xtask ci docker` makes it and runs these."""
