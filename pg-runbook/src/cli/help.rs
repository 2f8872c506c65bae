//! What stands below the options of `--help`, and how `-?` ends.
//!
//! What must always hold: each line of an example that begins with a tool's name is a command that the tool takes
//! (`tests/tests/help.rs` parses them all).

use clap::Command;
use clap::builder::StyledStr;

/// A command line's texts name things as the code's documentation does, in backticks; a terminal and a manual page have
/// none.
#[must_use]
pub fn plain(mut command: Command) -> Command {
    let plainly = |text: &StyledStr| text.to_string().replace('`', "");
    if let Some(about) = command.get_about().map(plainly) {
        command = command.about(about);
    }
    if let Some(about) = command.get_long_about().map(plainly) {
        command = command.long_about(about);
    }
    let command = command.mut_args(|argument| {
        let (short, long) = (argument.get_help().map(plainly), argument.get_long_help().map(plainly));
        let argument = short.into_iter().fold(argument, clap::Arg::help);
        long.into_iter().fold(argument, clap::Arg::long_help)
    });
    command.mut_subcommands(plain)
}

/// The end of `-?`.
pub const SHORT: &str = "--help has all options, with more words and examples.";

const EXIT_CODES: &str = "Exit codes:
  0   done; with --detailed-exitcode, 10 where something changed
  1   tried, and it did not work
  2   the command line or the document can't be understood
  3   refused as unsafe; nothing was done
  4   a tool earlier in the pipeline failed; nothing was done
  5   gave up waiting: a lock, a timeout, a server; worth a retry";

/// The end of a tool's `--help`.
#[must_use]
pub fn tool(name: &str, examples: &str) -> String {
    format!(
        "Examples:\n{examples}\n\n{EXIT_CODES}\n\nEach verb has its own: {name} VERB --help\nThe manual: man {name}"
    )
}

/// The end of a verb's.
#[must_use]
pub fn verb(tool: &str, verb: &str, examples: &str) -> String {
    format!("Examples:\n{examples}\n\nExit codes: {tool} --help\nThe manual: man {tool}-{verb}")
}
