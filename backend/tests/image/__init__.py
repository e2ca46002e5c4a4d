"""The container image in a real engine; `cargo xtask ci image` makes it and runs these."""
