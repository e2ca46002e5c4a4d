//! `cargo xtask codegen`: the contract flows one way, from the backend's schemas
//! to openapi.json to the console's typed client; from Santa's protocol to the
//! backend's protobuf classes; and from the types of the configuration to their
//! reference page.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xshell::cmd;

use crate::tools::{node, python};
use crate::{progress, repo, run};

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask codegen          after changing a schema or permission of the backend, or a key of the configuration"
)]
/// Write openapi.json, the typed client, the protobuf classes, docs/configuration.md and docs/permissions.md
pub(crate) struct Args {
    /// Change nothing; fail when a generated file is out of date
    #[arg(long)]
    check: bool,
}

/// Where the backend speaks Santa's protocol.
const PROTOCOL: &str = "backend/santaserver/protocol";

/// A generated file and what it should hold.
struct Generated {
    path: PathBuf,
    text: String,
}

/// Writes or checks every generated file.
pub(crate) fn run(args: &Args) -> Result<()> {
    run::catch_interrupts()?;
    if args.check { check() } else { write() }
}

fn write() -> Result<()> {
    for file in generate(&repo::path("backend/openapi.json"))? {
        let before = fs::read_to_string(&file.path).unwrap_or_default();
        if before != file.text {
            fs::write(&file.path, &file.text)
                .with_context(|| format!("cannot write {}", repo::shown(&file.path)))?;
            progress::note(&format!("{} written", repo::shown(&file.path)));
        }
    }
    Ok(())
}

/// Fails when a generated file is not what would be generated now.
pub(crate) fn check() -> Result<()> {
    let scratch = repo::dev("codegen.json");
    let files = generate(&scratch);
    let _ = fs::remove_file(&scratch);
    let stale: Vec<String> = files?
        .iter()
        .filter(|file| fs::read_to_string(&file.path).unwrap_or_default() != file.text)
        .map(|file| repo::shown(&file.path))
        .collect();
    if !stale.is_empty() {
        bail!("out of date: {}; run cargo xtask codegen and commit the result", stale.join(", "));
    }
    Ok(())
}

/// Everything that is generated. The document goes to `document` on the way,
/// because the client's generator reads a file.
fn generate(document: &Path) -> Result<Vec<Generated>> {
    let openapi = openapi()?;
    fs::create_dir_all(repo::dev(""))?;
    fs::write(document, &openapi)
        .with_context(|| format!("cannot write {}", repo::shown(document)))?;
    let client = client(document)?;
    let [classes, types] = protobuf()?;
    Ok(vec![
        Generated { path: repo::path(PROTOCOL).join("santa_v1_pb2.py"), text: classes },
        Generated { path: repo::path(PROTOCOL).join("santa_v1_pb2.pyi"), text: types },
        Generated { path: repo::path("backend/openapi.json"), text: openapi },
        Generated { path: repo::path("frontend/src/lib/api/schema.ts"), text: client },
        Generated { path: repo::path("docs/configuration.md"), text: configuration() },
        Generated { path: repo::path("docs/permissions.md"), text: permissions()? },
    ])
}

fn openapi() -> Result<String> {
    let python = python::ensure_installed()?;
    let shell = run::shell_in(&repo::path("backend"))?;
    run::output("write the OpenAPI document", cmd!(shell, "{python} -m santaserver openapi"))
}

fn permissions() -> Result<String> {
    let python = python::ensure_installed()?;
    let shell = run::shell_in(&repo::path("backend"))?;
    run::output(
        "write the table of permissions",
        cmd!(shell, "{python} -m santaserver permissions"),
    )
}

/// The classes of `santa_v1.proto` and their types, in a folder of their own
/// on the way.
fn protobuf() -> Result<[String; 2]> {
    let python = python::ensure_installed()?;
    let scratch = repo::dev("protobuf");
    fs::create_dir_all(&scratch)?;
    let shell = run::shell_in(&repo::path(PROTOCOL))?;
    let command = cmd!(
        shell,
        "{python} -m grpc_tools.protoc -I . --python_out={scratch} --pyi_out={scratch} santa_v1.proto"
    );
    run::output("generate the protobuf classes", command)?;
    let read = |name: &str| {
        let path = scratch.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", repo::shown(&path)))
    };
    let made = [read("santa_v1_pb2.py")?, read("santa_v1_pb2.pyi")?];
    fs::remove_dir_all(&scratch)?;
    Ok(made)
}

fn client(document: &Path) -> Result<String> {
    let node = node::ensure_installed()?;
    node.console_packages()?;
    let frontend = repo::path("frontend");
    let shell = node.shell_in(&frontend)?;
    let program = node.program();
    let command = cmd!(
        shell,
        "{program} node_modules/openapi-typescript/bin/cli.js {document} --alphabetize"
    );
    let text = run::output("generate the typed client", command)?;
    Ok(text)
}

fn configuration() -> String {
    let intro = "<!-- Generated by cargo xtask codegen from docker/config/src/sections.rs. -->\n\n\
        # Configuration reference\n\n\
        Every key of `docker/santa.toml`. In values, `${NAME}`, `${NAME:-default}` and `${NAME:?message}` stand for\n\
        environment variables and `{paths.NAME}` for a key of `[paths]`. Any value can be replaced by an environment\n\
        variable `SANTA__SECTION__KEY`; entries of `[[service]]` are addressed by name, as in\n\
        `SANTA__SERVICE__BACKEND__STOP_TIMEOUT`. Unknown keys are refused.\n\n";
    format!("{intro}{}", santa_config::reference()).trim_end().to_owned() + "\n"
}
