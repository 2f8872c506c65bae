//! Bash, zsh and fish: how each is made to ask, what it sends, and how it takes an answer.
//!
//! What must always hold: the words end at the cursor; options are offered where there is nothing else, or a dash was
//! typed.

use super::{Candidate, LINE, Line, bash};
use clap::Command;
use clap_complete::engine::complete;
use clap_complete::env::EnvCompleter;
use std::ffi::OsString;
use std::io::{Result, Write};
use std::path::Path;

/// A shell of this name. Zsh and fish send the words without quotes; a line of their answer is a candidate, a tab, and what
/// is said beside it, for which bash has no room.
pub(super) struct Asking(pub &'static str);

/// The script that has a shell ask `program` whenever it completes `tool`.
pub(super) fn registration(shell: &str, tool: &str, program: &str) -> String {
    let script = match shell {
        "bash" => include_str!("bash.sh"),
        "zsh" => include_str!("zsh.sh"),
        _ => include_str!("fish.sh"),
    };
    let function = format!("{}_completion", tool.replace('-', "_"));
    let program = crate::invocation::shell_word(program.as_ref());
    script.replace("FUNCTION", &function).replace("NAME", tool).replace("TOOL", &program)
}

/// The words are the tool's name and what follows, up to the one that is completed.
fn candidates(command: &mut Command, words: Vec<OsString>, folder: Option<&Path>) -> Result<Vec<Candidate>> {
    let Some((current, before)) = words.split_last() else { return Ok(Vec::new()) };
    let current = current.clone();
    let _ = LINE.set(Line::read(command, before));
    let index = before.len();
    let mut found = complete(command, words, index, folder)?;
    let is_option = |candidate: &Candidate| candidate.get_value().as_encoded_bytes().starts_with(b"-");
    if !current.as_encoded_bytes().starts_with(b"-") && !found.iter().all(is_option) {
        found.retain(|candidate| !is_option(candidate));
    }
    Ok(found)
}

impl EnvCompleter for Asking {
    fn name(&self) -> &'static str {
        self.0
    }

    fn is(&self, name: &str) -> bool {
        name == self.0
    }

    fn write_registration(&self, _: &str, _: &str, tool: &str, program: &str, out: &mut dyn Write) -> Result<()> {
        out.write_all(registration(self.0, tool, program).as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut Command,
        words: Vec<OsString>,
        folder: Option<&Path>,
        out: &mut dyn Write,
    ) -> Result<()> {
        if self.0 == "bash" {
            return answer_bash(command, &words, folder, out);
        }
        for candidate in candidates(command, words, folder)? {
            let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
            writeln!(out, "{}\t{}", candidate.get_value().to_string_lossy(), help.lines().next().unwrap_or_default())?;
        }
        Ok(())
    }
}

/// Bash sends what it would replace, the line up to the cursor, and its parts of it.
fn answer_bash(command: &mut Command, sent: &[OsString], folder: Option<&Path>, out: &mut dyn Write) -> Result<()> {
    let sent: Vec<String> = sent.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let [replaced, line, parts @ ..] = sent.as_slice() else { return Ok(()) };
    let words = bash::joined(line, parts);
    let Some(current) = words.last() else { return Ok(()) };
    let plain = words.iter().map(|word| OsString::from(bash::unquoted(word))).collect();
    for candidate in candidates(command, plain, folder)? {
        writeln!(out, "{}", bash::reply(&candidate.get_value().to_string_lossy(), current, replaced))?;
    }
    Ok(())
}
