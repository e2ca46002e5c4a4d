//! The names of a platform in container engines, Debian, OCI, Rust and Python.

use anyhow::{Context, Result, bail};

/// Debian's release of the image, and of all that is put beside it.
pub const DEBIAN: &str = "trixie";

/// A platform that images are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Platform {
    /// As container engines write it, such as `linux/amd64`.
    pub name: &'static str,
    /// As Debian and OCI call the architecture.
    pub debian: &'static str,
    /// As Rust, Python and the kernel call it.
    pub machine: &'static str,
    /// Debian's folder of libraries.
    pub multiarch: &'static str,
    /// The dynamic loader, as programs name it.
    pub loader: &'static str,
    /// What rustc builds for.
    pub rust: &'static str,
    /// Debian's package with a linker for it.
    pub linker_package: &'static str,
    /// That linker.
    pub linker: &'static str,
}

const ALL: [Platform; 2] = [
    Platform {
        name: "linux/amd64",
        debian: "amd64",
        machine: "x86_64",
        multiarch: "x86_64-linux-gnu",
        loader: "lib64/ld-linux-x86-64.so.2",
        rust: "x86_64-unknown-linux-gnu",
        linker_package: "gcc-x86-64-linux-gnu",
        linker: "x86_64-linux-gnu-gcc",
    },
    Platform {
        name: "linux/arm64",
        debian: "arm64",
        machine: "aarch64",
        multiarch: "aarch64-linux-gnu",
        loader: "lib/ld-linux-aarch64.so.1",
        rust: "aarch64-unknown-linux-gnu",
        linker_package: "gcc-aarch64-linux-gnu",
        linker: "aarch64-linux-gnu-gcc",
    },
];

impl Platform {
    /// All of them, in the order of the lock file.
    pub fn all() -> &'static [Platform] {
        &ALL
    }

    /// The one that container engines call `name`.
    pub fn named(name: &str) -> Result<Self> {
        match ALL.iter().find(|platform| platform.name == name) {
            Some(platform) => Ok(*platform),
            None => bail!("no image is made for {name}; choose one of linux/amd64, linux/arm64"),
        }
    }

    /// This machine's processor, whatever its operating system: containers on a
    /// Mac are Linux on the same processor.
    pub fn of_this_machine() -> Result<Self> {
        let machine = std::env::consts::ARCH;
        ALL.iter().find(|platform| platform.machine == machine).copied().with_context(|| {
            format!("no image is made for {machine}; choose one with --platform linux/amd64 or linux/arm64")
        })
    }

    /// Whether this machine can execute its programs.
    pub fn runs_here(self) -> bool {
        std::env::consts::OS == "linux" && std::env::consts::ARCH == self.machine
    }

    /// The platform of Python wheels; the C library is at least Debian's.
    pub fn wheels(self) -> String {
        format!("{}-manylinux_2_28", self.machine)
    }
}
