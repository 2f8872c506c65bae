//! How a password comes in: by file, command, standard input, environment or prompt; never as an argument.

use super::input::{Awaited, read_stdin};
use crate::failure::{Attempt, Failure};
use crate::invocation::{Completed, Invocation, shell_word};
use crate::owner::{self, Owner};
use crate::secret::Secret;
use clap::{Args, ValueHint};
use std::io::{ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// A password manager that asks a person takes about so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Flattened into the verbs that take a password.
#[derive(Args, Clone, Debug, Default)]
#[group(multiple = false)]
pub struct PasswordArguments {
    /// The first line of this file
    #[arg(long, value_name = "FILE", help_heading = "Password", value_hint = ValueHint::FilePath)]
    pub password_file: Option<PathBuf>,
    /// The first line that this command prints
    ///
    /// A shell runs it in /, as whoever runs this tool: under sudo that is root, with root's secrets.
    #[arg(long, value_name = "COMMAND", help_heading = "Password")]
    pub password_command: Option<String>,
    /// The first line of standard input
    ///
    /// No document is read then.
    #[arg(long, help_heading = "Password")]
    pub password_stdin: bool,
}

impl PasswordArguments {
    /// The password that an option names, if one does. Read with the rights that the tool was started with.
    pub fn named(&self, tell: &dyn Fn(&str)) -> Result<Option<Secret>, Failure> {
        if let Some(file) = &self.password_file {
            let text = owner::as_started(|| read(file))?;
            return first_line(&text, &format!("the password file {}", file.display())).map(Some);
        }
        if let Some(command) = &self.password_command {
            return printed_by(command, tell).map(Some);
        }
        if self.password_stdin {
            return first_line(&read_stdin(Awaited::Password, tell)?, "standard input").map(Some);
        }
        Ok(None)
    }
}

/// What it printed on stdout may be a password, and so may a word of the command: only its stderr is told.
fn printed_by(command: &str, tell: &dyn Fn(&str)) -> Result<Secret, Failure> {
    let command = Invocation::new("/bin/sh").arg("-c").arg(command).as_started().in_foreground();
    let said = attended(&command, tell)?;
    let password = if said.status.success() {
        first_line(&said.stdout, "what --password-command printed")
    } else {
        let failure = Failure::failed(format!("--password-command failed ({})", said.status));
        let why = said.stderr.trim();
        Err(if why.is_empty() { failure } else { failure.because(why) })
    };
    let under_sudo = std::env::var("SUDO_USER").ok().filter(|user| !user.is_empty());
    password.map_err(|failure| failure.hint(way_out_of_a_command(under_sudo.as_deref())))
}

/// It may ask a person, or wait for ever: after a while that is said.
fn attended(command: &Invocation, tell: &dyn Fn(&str)) -> Result<Completed, Failure> {
    std::thread::scope(|scope| {
        let (at_the_end, end) = mpsc::channel::<()>();
        let running = scope.spawn(move || {
            let _at_the_end = at_the_end;
            command.outcome()
        });
        if end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tell("waiting for --password-command to end ('timeout 60 COMMAND' in its place would give up)");
        }
        running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The secrets are those of the user who runs the tool: under sudo that is not who typed it.
fn way_out_of_a_command(typed_by: Option<&str>) -> String {
    match (typed_by, Owner::starter()) {
        (Some(user), Ok(starter)) => {
            format!("it ran as {}; for what {user} may read: COMMAND | sudo … --password-stdin", starter.name)
        }
        _ => "type the command by itself: that shows why, and unlocks what is locked".to_owned(),
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file);
    let kind = text.as_ref().err().map(std::io::Error::kind);
    text.attempt(|| format!("read the password file {file:?}")).map_err(|failure| {
        // `sudo -u postgres` has fewer rights than the shell that it is typed in.
        let way_out = || format!("let your shell read it: --password-stdin < {}", shell_word(file.as_os_str()));
        match kind {
            Some(ErrorKind::PermissionDenied) => failure.hint(way_out()),
            Some(ErrorKind::NotFound) => failure.hint("make it, with the password as its first line, or name another"),
            _ => failure,
        }
    })
}

/// `$PGPASSWORD`, where it is set and not empty.
#[must_use]
pub fn from_environment() -> Option<Secret> {
    std::env::var("PGPASSWORD").ok().filter(|text| !text.is_empty()).map(Secret::new)
}

/// Asks on the terminal, without echo; `None` where there is no terminal.
pub fn prompt(question: &str) -> Result<Option<Secret>, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(None);
    }
    let text = rpassword::prompt_password(format!("{question}: ")).attempt(|| "ask for the password")?;
    first_line(&text, "the answer").map(Some)
}

/// Checks a password that came by other ways too.
pub fn first_line(text: &str, origin: &str) -> Result<Secret, Failure> {
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(Failure::usage(format!("{origin} has no password in its first line")));
    }
    if line.contains('\0') {
        return Err(Failure::usage(format!("{origin} has a NUL byte in the password")));
    }
    Ok(Secret::new(line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_first_line_and_no_more() {
        assert_eq!(first_line("swordfish\nignored\n", "the file").unwrap().expose(), "swordfish");
        assert_eq!(first_line(" with blanks \r\n", "the file").unwrap().expose(), " with blanks ");
        assert!(first_line("\nsecond", "the file").is_err());
    }

    #[test]
    fn a_failing_command_does_not_show_what_it_printed() {
        let arguments =
            PasswordArguments { password_command: Some("echo swordfish; exit 2".into()), ..Default::default() };
        assert!(!arguments.named(&|_| ()).unwrap_err().to_string().contains("swordfish"));
    }
}
