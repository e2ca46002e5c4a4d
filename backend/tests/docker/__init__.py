"""The container image in a real Docker; `cargo xtask ci dockerfile docker` make it and run these."""
