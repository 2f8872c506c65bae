//! How a run ends badly: one error type, and the exit code that each kind has.
//!
//! What must always hold: a failure names the object and the value, keeps the causes in the order in which they
//! explain each other, and says what to type next where there is something to type.

use std::error::Error;
use std::fmt::{self, Display};

/// The kinds of failure. The number is the exit code, and `error.code` in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// It was tried and did not work.
    Failed = 1,
    /// The command line or the document can't be understood, or names what does not exist.
    Usage = 2,
    /// It would be unsafe; nothing was done.
    Refused = 3,
    /// The tool before this one in the pipeline failed; nothing was done.
    Upstream = 4,
    /// A lock, a timeout or a server that can't be reached; worth a retry.
    GaveUp = 5,
}

/// One failure, as people and programs are told of it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which kind.
    pub code: Code,
    /// A lower-case fragment that names the object and the value.
    pub message: String,
    /// Why, outermost first; a cause may have several lines (a failed command with what it said).
    pub causes: Vec<String>,
    /// A command that can be run as it stands.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure of any kind.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), causes: Vec::new(), hint: None }
    }

    /// Exit 1.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Code::Failed, message)
    }

    /// Exit 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    /// Exit 3.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Code::Refused, message)
    }

    /// Exit 5.
    pub fn gave_up(message: impl Into<String>) -> Self {
        Self::new(Code::GaveUp, message)
    }

    /// Adds a reason below those it has.
    #[must_use]
    pub fn because(mut self, cause: impl Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Says what to type next; the first hint given, nearest to the trouble, stays.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Puts the wider story in front: what was being done when this happened.
    #[must_use]
    pub fn while_doing(mut self, message: impl Into<String>) -> Self {
        let inner = std::mem::replace(&mut self.message, message.into());
        self.causes.insert(0, inner);
        self
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl Error for Failure {}

/// Says what was being done when somebody else's error came up.
pub trait Attempt<T> {
    /// Turns the error into a [`Failure`] (exit 1) with `doing` as its message, a verb phrase that names the object.
    fn attempt<M: Into<String>>(self, doing: impl FnOnce() -> M) -> Result<T, Failure>;
}

impl<T, E: Error> Attempt<T> for Result<T, E> {
    fn attempt<M: Into<String>>(self, doing: impl FnOnce() -> M) -> Result<T, Failure> {
        self.map_err(|error| {
            let mut failure = Failure::failed(doing()).because(describe(&error));
            let mut source = error.source();
            while let Some(cause) = source {
                // Many error types print their source themselves: say each thing once.
                if !failure.causes.iter().any(|known| known.contains(&cause.to_string())) {
                    failure = failure.because(cause);
                }
                source = cause.source();
            }
            failure
        })
    }
}

/// `Permission denied (os error 13)` says nothing that `permission denied` doesn't.
fn describe(error: &impl Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => {
            let mut letters = text[..end].chars();
            letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_action_the_object_and_the_reason() {
        let missing: std::io::Result<()> = Err(std::io::Error::from_raw_os_error(13));
        let failure = missing.attempt(|| "replace \"/etc/postgresql/17/main/postgresql.conf\"").unwrap_err();
        assert_eq!(failure.to_string(), "replace \"/etc/postgresql/17/main/postgresql.conf\": permission denied");
        assert_eq!(failure.code, Code::Failed);
    }

    #[test]
    fn keeps_the_hint_nearest_to_the_trouble() {
        let failure = Failure::refused("x").hint("first").hint("second");
        assert_eq!(failure.hint.as_deref(), Some("first"));
    }
}
