//! `pg_hba.conf`, kept byte for byte: which rules it has, whom they are for, and adding or removing one.
//!
//! What must always hold: reading never fails, printing gives back the bytes that were read, an edit leaves every
//! other byte alone, and a rule is read here as the server's `hba.c` of the same major reads it.

mod address;
mod matching;
mod question;
mod rule;
mod tokens;
mod word;

use std::ops::Range;
use std::path::PathBuf;

use pg_runbook::Failure;
use pg_runbook::configuration::physical_lines::{ending_of, spans, usual_ending};

pub use address::Address;
pub use matching::{Database, Login, Match, Origin, covers, is_host};
pub use question::{Answer, Question};
pub use rule::{Kind, METHODS, Rule, format_rule};
pub use word::Word;

use tokens::LogicalLine;

/// A `pg_hba.conf`, or a file that one includes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HbaFile {
    bytes: Vec<u8>,
    major: u32,
    lines: Vec<LogicalLine>,
    records: Vec<Record>,
}

/// What a line says to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Whom to let in, and how.
    Rule(Rule),
    /// More rules stand elsewhere (16 and later): this file isn't the whole story.
    Include {
        /// The line, from 1.
        line: usize,
        /// Which of the three directives.
        kind: IncludeKind,
        /// As it stands there; relative to the file's own folder.
        path: PathBuf,
    },
    /// What the server refuses, and with it the whole file: a reload keeps the rules it had, a start fails.
    Invalid {
        /// The line, from 1.
        line: usize,
        /// Why, in the server's words where it has some.
        reason: String,
        /// The line as the server reads it, continuations joined.
        raw: String,
    },
}

/// The directives that include other files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncludeKind {
    /// `include`
    File,
    /// `include_if_exists`
    FileIfExists,
    /// `include_dir`
    Directory,
}

/// Gives the names that an `@file` stands for, or what the server would say against it.
pub type Expand<'a> = &'a mut dyn FnMut(&str) -> Result<Vec<Word>, String>;

impl Record {
    /// The first line of the record, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        match self {
            Self::Rule(rule) => rule.line,
            Self::Include { line, .. } | Self::Invalid { line, .. } => *line,
        }
    }
}

impl HbaFile {
    /// Reads any bytes, as a server of this major does.
    #[must_use]
    pub fn parse(bytes: &[u8], major: u32) -> Self {
        let lines = tokens::logical_lines(bytes, major);
        let records = lines.iter().filter_map(|line| rule::read(line, major)).collect();
        Self { bytes: bytes.to_vec(), major, lines, records }
    }

    /// The file's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// Every line that says something, in the file's order.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The same with the names that `@files` stand for in their places: what logins are compared with.
    #[must_use]
    pub fn expanded_records(&self, expand: Expand<'_>) -> Vec<Record> {
        self.lines.iter().filter_map(|line| rule::read_expanded(line, self.major, expand)).collect()
    }

    /// Each line's columns, each with its words: what a file of names is read as.
    pub fn lines_of_words(&self) -> impl Iterator<Item = Vec<Vec<Word>>> {
        self.lines.iter().map(LogicalLine::fields)
    }

    /// How many lines there are, as an editor counts them.
    #[must_use]
    pub fn line_count(&self) -> usize {
        self.lines.iter().map(|line| line.physical_lines).sum()
    }

    /// The valid rules of this file, in its order; the first that matches wins.
    #[must_use]
    pub fn rules(&self) -> Vec<&Rule> {
        let rules = self.records.iter().filter_map(|record| match record {
            Record::Rule(rule) => Some(rule),
            _ => None,
        });
        rules.collect()
    }

    /// Whether rules may stand in other files as well.
    #[must_use]
    pub fn has_includes(&self) -> bool {
        self.records.iter().any(|record| matches!(record, Record::Include { .. }))
    }

    /// Adds `text` (one line or more, without the last ending) in front of this line, or of the record that the line
    /// continues; returns where it went, from 1. Behind the last line it is the same as [`Self::append`].
    pub fn insert_before(&mut self, line: usize, text: &str) -> usize {
        let Some(record) = self.lines.iter().find(|record| line < record.first_line + record.physical_lines) else {
            return self.append(text);
        };
        let (at, first_line) = (record.span.start, record.first_line);
        let new = self.with_endings(text);
        self.edit(at..at, &new);
        first_line
    }

    /// Adds `text` (one line or more, without the last ending) at the end; returns where it went, from 1. A file that
    /// ended without a line ending still does, so that [`Self::remove`] can undo it.
    pub fn append(&mut self, text: &str) -> usize {
        // A backslash at the end of the file would make the new line a part of the last one.
        if let Some(unfinished) = self.lines.last().filter(|line| line.is_unfinished) {
            return self.insert_before(unfinished.first_line, text);
        }
        let ending = usual_ending(&self.bytes);
        let mut new = Vec::new();
        let is_open = !self.bytes.is_empty() && ending_of(&self.bytes).is_empty();
        if is_open {
            new.extend_from_slice(ending);
        }
        let end = self.bytes.len();
        let line = spans(&[self.bytes.as_slice(), &new].concat()).len() + 1;
        new.extend(self.with_endings(text));
        if is_open {
            new.truncate(new.len() - ending.len());
        }
        self.edit(end..end, &new);
        line
    }

    /// Takes the record away that this line is part of, all of its lines; where the file ends without a line ending, it
    /// does so afterwards too.
    pub fn remove(&mut self, line: usize) -> Result<(), Failure> {
        let is_it =
            |record: &&LogicalLine| (record.first_line..record.first_line + record.physical_lines).contains(&line);
        let record = self.lines.iter().find(is_it);
        let mut span = record.ok_or_else(|| Failure::failed(format!("pg_hba.conf has no line {line}")))?.span.clone();
        if span.end == self.bytes.len() && ending_of(&self.bytes[span.clone()]).is_empty() {
            span.start -= ending_of(&self.bytes[..span.start]).len();
        }
        self.edit(span, b"");
        Ok(())
    }

    fn with_endings(&self, text: &str) -> Vec<u8> {
        let ending = usual_ending(&self.bytes);
        let text = text.strip_suffix('\n').unwrap_or(text);
        text.split('\n').flat_map(|line| [line.trim_end_matches('\r').as_bytes(), ending].concat()).collect()
    }

    fn edit(&mut self, span: Range<usize>, new: &[u8]) {
        self.bytes.splice(span, new.iter().copied());
        *self = Self::parse(&self.bytes, self.major);
    }
}

#[cfg(test)]
mod tests;
