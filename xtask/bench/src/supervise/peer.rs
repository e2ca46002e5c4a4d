//! santa-supervise and its peers: how each is given the same children. The
//! configurations are in xtask/bench/supervise/.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::process::Signal;

/// Divides what stands once from what is repeated for each child.
const EACH: &str = "#### each child\n";

/// Where the text of a configuration goes.
enum Layout {
    /// All in one file of this name.
    File(&'static str),
    /// A file for each child in this folder, named after it.
    Files(&'static str),
    /// A folder for each child in this folder, with an executable `run`.
    Folders(&'static str),
}

/// A supervisor.
pub(super) struct Peer {
    pub(super) name: &'static str,
    /// Its programs' names; the first is the one that is started.
    programs: &'static [&'static str],
    layout: Layout,
    template: &'static str,
    /// Its arguments, with `{dir}`.
    arguments: &'static str,
    /// What asks it to stop everything and end.
    pub(super) stop: Signal,
    /// What asks it for its children's state, with `{dir}`; the program first.
    status: Option<&'static str>,
    /// Whether children's output goes through it.
    pub(super) carries_output: bool,
    /// What installs it, where this program cannot.
    pub(super) remedy: &'static str,
}

/// santa-supervise of an earlier commit.
pub(super) const BASELINE: &str = "baseline";

/// In the order of the table; ours first.
pub(super) const PEERS: [Peer; 7] = [
    Peer {
        name: "santa-supervise",
        programs: &["santa-supervise"],
        layout: Layout::File("santa.toml"),
        template: include_str!("../../supervise/santa.toml"),
        arguments: "run --config {dir}/santa.toml",
        stop: Signal::TERM,
        status: Some("santa-supervise status --config {dir}/santa.toml"),
        carries_output: true,
        remedy: "cargo build --release -p santa-supervise",
    },
    Peer {
        name: BASELINE,
        programs: &["santa-supervise"],
        layout: Layout::File("santa.toml"),
        template: include_str!("../../supervise/santa.toml"),
        arguments: "run --config {dir}/santa.toml",
        stop: Signal::TERM,
        status: Some("santa-supervise status --config {dir}/santa.toml"),
        carries_output: true,
        remedy: "--baseline CHECKOUT",
    },
    Peer {
        name: "supervisord",
        programs: &["supervisord", "supervisorctl"],
        layout: Layout::File("supervisord.conf"),
        template: include_str!("../../supervise/supervisord.conf"),
        arguments: "-c {dir}/supervisord.conf",
        stop: Signal::TERM,
        status: Some("supervisorctl -c {dir}/supervisord.conf status"),
        carries_output: true,
        remedy: "apt-get install supervisor",
    },
    Peer {
        name: "s6",
        programs: &["s6-svscan", "s6-svstat"],
        layout: Layout::Folders("scan"),
        template: include_str!("../../supervise/run"),
        arguments: "{dir}/scan",
        stop: Signal::TERM,
        status: Some("s6-svstat {dir}/scan/child0"),
        carries_output: false,
        remedy: "apt-get install s6",
    },
    Peer {
        name: "runit",
        programs: &["runsvdir", "sv"],
        layout: Layout::Folders("services"),
        template: include_str!("../../supervise/run"),
        arguments: "{dir}/services",
        stop: Signal::HUP,
        status: Some("sv status {dir}/services/child0"),
        carries_output: false,
        remedy: "apt-get install runit",
    },
    Peer {
        name: "circus",
        programs: &["circusd", "circusctl"],
        layout: Layout::File("circus.ini"),
        template: include_str!("../../supervise/circus.ini"),
        arguments: "{dir}/circus.ini",
        stop: Signal::TERM,
        status: Some("circusctl --endpoint ipc://{dir}/circus.sock status"),
        carries_output: true,
        remedy: "it is installed by `cargo xtask bench supervise`; its error is above",
    },
    Peer {
        name: "Horust",
        programs: &["horust"],
        layout: Layout::Files("services"),
        template: include_str!("../../supervise/horust.toml"),
        arguments: "--services-path {dir}/services",
        stop: Signal::TERM,
        status: None,
        carries_output: false,
        remedy: "cargo install horust",
    },
];

impl Peer {
    /// The programs that have to be found.
    pub(super) fn programs(&self) -> &[&'static str] {
        self.programs
    }

    /// Writes the configuration for `children` into `dir`.
    pub(super) fn configure(&self, dir: &Path, children: &[String]) -> Result<()> {
        let (once, each) = self.template.split_once(EACH).context("a template without children")?;
        let here = dir.display().to_string();
        let fill = |text: &str, name: &str| text.replace("{dir}", &here).replace("{name}", name);
        match self.layout {
            Layout::File(file) => {
                let all = children.iter().map(|name| fill(each, name));
                fs::write(dir.join(file), fill(once, "") + &all.collect::<String>())?;
            }
            Layout::Files(folder) => {
                fs::create_dir(dir.join(folder))?;
                for name in children {
                    let file = dir.join(folder).join(format!("{name}.toml"));
                    fs::write(file, fill(each, name))?;
                }
            }
            Layout::Folders(folder) => {
                for name in children {
                    let own = dir.join(folder).join(name);
                    fs::create_dir_all(&own)?;
                    fs::write(own.join("run"), fill(each, name))?;
                    fs::set_permissions(own.join("run"), fs::Permissions::from_mode(0o755))?;
                }
            }
        }
        Ok(())
    }

    /// The command that runs it, and the one that shows the state.
    pub(super) fn commands(&self, dir: &Path) -> (Vec<String>, Option<Vec<String>>) {
        let words = |text: &str| -> Vec<String> {
            let text = text.replace("{dir}", &dir.display().to_string());
            text.split(' ').map(str::to_owned).collect()
        };
        let run = [vec![self.programs[0].to_owned()], words(self.arguments)].concat();
        (run, self.status.map(words))
    }
}

/// Where a program is: in one of our folders, or in `PATH`.
pub(super) fn find(program: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let own = folders.iter().map(|folder| folder.join(program)).find(|path| path.is_file());
    own.or_else(|| xtask::run::find(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_gets_each_child_once() {
        for peer in &PEERS {
            let dir = tempfile::tempdir().expect("temporary directory");
            peer.configure(dir.path(), &["one".into(), "two".into()]).expect("configuration");
            let mut text = String::new();
            let mut folders = vec![dir.path().to_owned()];
            while let Some(folder) = folders.pop() {
                for entry in fs::read_dir(folder).expect("folder") {
                    let path = entry.expect("entry").path();
                    match path.is_dir() {
                        true => folders.push(path),
                        false => text += &fs::read_to_string(path).expect("text"),
                    }
                }
            }
            for name in ["one", "two"] {
                let script = format!("{}/{name}.sh", dir.path().display());
                assert!(text.contains(&script), "{} does not run {name}: {text}", peer.name);
            }
            assert!(!text.contains("{dir}") && !text.contains("{name}"), "{text}");
        }
    }
}
