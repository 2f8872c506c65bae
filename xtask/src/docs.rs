//! `cargo xtask docs`: the JSON Schema, the Ansible modules, man pages and completions, all from the code.
//!
//! What must always hold: what is committed (the schema, the modules) is what the code says; `--check` fails where it
//! isn't.

mod ansible;
mod manual;
pub mod markdown;
mod schema;

use ansible::MODULES;
use clap::{Args, Command, CommandFactory};
use pg_runbook::completion::SHELLS;
use std::path::{Path, PathBuf};

/// What can be asked.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Only see whether what is committed is what the code says
    #[arg(long)]
    check: bool,
}

/// The five tools' command lines.
pub fn tools() -> [Command; 5] {
    [
        pg_role::Arguments::command(),
        pg_conf::Arguments::command(),
        pg_cluster::Arguments::command(),
        pg_pass::Arguments::command(),
        pg_basebackup_swap::Arguments::command(),
    ]
}

/// Makes them.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    if arguments.check {
        return check();
    }
    for (path, text) in committed()? {
        write(&path, text.as_bytes())?;
        println!("{}", path.display());
    }
    make_pages()?;
    println!("{}", folder().display());
    Ok(())
}

/// Where man pages and completions are made.
pub fn folder() -> PathBuf {
    root().join("target/docs")
}

/// Makes these alone.
pub fn make_pages() -> Result<(), String> {
    for page in manual::pages(&tools(), &root())? {
        write(&folder().join("man").join(page.name), &page.text)?;
    }
    for command in tools() {
        completions(&command, &folder().join("completions"))?;
    }
    Ok(())
}

/// Whether what is committed is what the code says.
pub fn check() -> Result<(), String> {
    let old = |(path, text): &(PathBuf, String)| std::fs::read_to_string(path).unwrap_or_default() != *text;
    match committed()?.iter().find(|file| old(file)) {
        Some((path, _)) => Err(format!("{} is not what the code says: cargo xtask docs", path.display())),
        None => Ok(()),
    }
}

/// What is made from the code and stands in the repository all the same, because people read it there.
fn committed() -> Result<Vec<(PathBuf, String)>, String> {
    let modules = root().join("examples/ansible/plugins/modules");
    let mut files = vec![(root().join("docs/pg-runbook-1.schema.json"), schema::text()?)];
    for module in MODULES {
        files.push((modules.join(module.name), module.script()));
        files.push((modules.join(format!("{}.yml", module.name)), module.documentation(&tools())));
    }
    Ok(files)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(PathBuf::from).unwrap_or_default()
}

/// Beside each other as packages install them, a folder for each shell.
fn completions(command: &Command, folder: &Path) -> Result<(), String> {
    let tool = command.get_name();
    for shell in SHELLS {
        write(&folder.join(shell.name).join(shell.file(tool)), shell.registration(tool).as_bytes())?;
    }
    Ok(())
}

/// Writes a file, and makes its folder.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let folder = path.parent().map(PathBuf::from).unwrap_or_default();
    std::fs::create_dir_all(&folder).map_err(|error| format!("make {}: {error}", folder.display()))?;
    std::fs::write(path, bytes).map_err(|error| format!("write {}: {error}", path.display()))
}
