"""What `cargo xtask bench sync` and `bench events` need from Python: a fleet in the database, and peers."""
