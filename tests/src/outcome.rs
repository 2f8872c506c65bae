//! What a run of a tool left behind, and the questions that tests ask of it.

use crate::document::Document;
use crate::schema::expect_described;
use serde_json::Value;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// One run, ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The command as it could be typed.
    pub shown: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote on stdout.
    pub stdout: String,
    /// The same as JSON; null where it is no JSON object.
    pub document: Value,
    /// What it wrote on stderr.
    pub stderr: String,
}

impl Outcome {
    pub(crate) fn new(shown: String, status: ExitStatus, stdout: String, stderr: String) -> Self {
        // A number alone is JSON too, and what some other program said.
        let document = serde_json::from_str(&stdout).ok().filter(Value::is_object).unwrap_or_default();
        let outcome = Self { shown, status, stdout, document, stderr };
        assert!(outcome.status.signal().is_none(), "a signal ended it\n{outcome}");
        assert!(!outcome.stderr.contains("panicked"), "it panicked\n{outcome}");
        if !outcome.document.is_null() {
            assert_eq!(outcome.stdout.trim_end().lines().count(), 1, "more than one line\n{outcome}");
            expect_described(&outcome.document, &outcome.shown);
            let document = Document::read(&outcome.document);
            outcome.agrees_with_its_exit_code(&document);
        }
        outcome
    }

    fn agrees_with_its_exit_code(&self, document: &Document) {
        let code = self.code();
        match (&document.error, code) {
            (None, 10) => assert!(document.changed, "10 without a change\n{self}"),
            (None, 0) | (Some(_), 4) => {}
            (Some(error), _) => assert_eq!(i32::from(error.code), code, "the codes disagree\n{self}"),
            (None, _) => panic!("it failed without saying so in its document\n{self}"),
        }
    }

    /// The exit code.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// Expects an exit code, and a document with it.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "expected exit code {code}\n{self}");
        assert!(!self.document.is_null(), "stdout has no document\n{self}");
        self
    }

    /// Expects exit 0 and a document.
    #[track_caller]
    pub fn success(self) -> Self {
        self.expect_code(0)
    }

    /// Expects that this step changed something, or that it did not.
    #[track_caller]
    pub fn expect_changed(self, expected: bool) -> Self {
        assert_eq!(self.changed(), expected, "expected changed: {expected}\n{self}");
        self
    }

    /// Whether this step changed something.
    pub fn changed(&self) -> bool {
        self.typed().steps.last().is_some_and(|step| step.changed)
    }

    /// The document, read by the tests' own types.
    pub fn typed(&self) -> Document {
        Document::read(&self.document)
    }

    /// The failure's hint.
    #[track_caller]
    pub fn hint(&self) -> String {
        let error = self.typed().error.unwrap_or_else(|| panic!("it did not fail\n{self}"));
        error.hint.unwrap_or_else(|| panic!("no hint\n{self}"))
    }

    /// The failure's message and causes.
    #[track_caller]
    pub fn error(&self) -> String {
        let error = self.typed().error.unwrap_or_else(|| panic!("it did not fail\n{self}"));
        std::iter::once(error.message).chain(error.causes).collect::<Vec<_>>().join("\n")
    }

    /// Expects words in the failure.
    #[track_caller]
    pub fn expect_error(self, words: &str) -> Self {
        assert!(self.error().contains(words), "expected the error to say {words:?}\n{self}");
        self
    }

    /// Expects words in the hint.
    #[track_caller]
    pub fn expect_hint(self, words: &str) -> Self {
        assert!(self.hint().contains(words), "expected the hint to say {words:?}\n{self}");
        self
    }

    /// Expects words on stderr.
    #[track_caller]
    pub fn expect_stderr(self, words: &str) -> Self {
        assert!(self.stderr.contains(words), "expected stderr to say {words:?}\n{self}");
        self
    }

    /// Expects a warning, in the document and on stderr.
    #[track_caller]
    pub fn expect_warning(self, words: &str) -> Self {
        assert!(self.typed().warnings.iter().any(|text| text.contains(words)), "expected a warning: {words:?}\n{self}");
        self.expect_stderr("warning: ")
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "$ {}\n{}\nstdout: {}\nstderr: {}", self.shown, self.status, self.stdout, self.stderr)
    }
}
