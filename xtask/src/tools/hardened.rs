//! What every container of SantaServer is allowed, and what not: as docker/compose.yaml
//! restricts its service.

/// The restrictions that no start depends on.
pub const HARDENED: [&str; 6] = [
    "--read-only",
    "--tmpfs=/tmp:rw,noexec,nosuid,nodev,mode=1777,size=64m",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--memory=512m",
    "--pids-limit=128",
];

/// podman would put writable folders beside /tmp.
pub const PODMAN: &str = "--read-only-tmpfs=false";
