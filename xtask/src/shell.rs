//! Commands, shown as they could be typed before they run.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a command said, and whether it went well.
pub struct Said {
    /// Whether its exit status was 0.
    pub success: bool,
    /// Its stdout and stderr, each line as it came.
    pub lines: Vec<String>,
}

/// The folder of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// A command in the workspace's folder; `words` are split at blanks.
pub fn command(words: &str) -> Command {
    let mut words = words.split_whitespace();
    let program = words.next().unwrap_or_default();
    // Cargo tells its children which cargo it is.
    let cargo = std::env::var_os("CARGO").filter(|_| program == "cargo");
    let mut command = Command::new(cargo.unwrap_or_else(|| program.into()));
    command.args(words).current_dir(workspace());
    command
}

/// Shows and runs a command; the terminal is its own. Returns whether it went well.
pub fn run(words: &str) -> Result<bool, String> {
    show(words);
    let status = command(words).stdin(Stdio::null()).status().map_err(|error| format!("start {words}: {error}"))?;
    Ok(status.success())
}

/// Shows and runs a command, shows what it says while it says it, and keeps that too.
pub fn run_and_keep(words: &str, mut command: Command) -> Result<Said, String> {
    show(words);
    let trouble = |error: std::io::Error| format!("run {words}: {error}");
    let (reader, writer) = std::io::pipe().map_err(trouble)?;
    let copy = writer.try_clone().map_err(trouble)?;
    let mut child = command.stdin(Stdio::null()).stdout(writer).stderr(copy).spawn().map_err(trouble)?;
    // The command holds copies of the pipe's end, without which its end would not be seen.
    drop(command);
    let mut lines = Vec::new();
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line.map_err(trouble)?).into_owned();
        println!("{line}");
        lines.push(line);
    }
    let status = child.wait().map_err(trouble)?;
    Ok(Said { success: status.success(), lines })
}

/// What a command says on stdout, where it goes well; its stderr is the terminal's.
pub fn said(words: &str) -> Result<String, String> {
    show(words);
    let output = command(words).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("start {words}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{words}: {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program can be started, by its `--version`.
pub fn exists(words: &str) -> bool {
    works(&format!("{words} --version"))
}

/// Whether a command goes well, whatever it says.
pub fn works(words: &str) -> bool {
    let quiet = command(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

fn show(words: &str) {
    println!("$ {words}");
    let _ = std::io::stdout().flush();
}
