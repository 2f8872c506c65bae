//! One file in the syntax of postgresql.conf, kept byte for byte: also postgresql.auto.conf and recovery.conf.
//!
//! What must always hold: reading never fails, printing gives back the bytes that were read, and an edit touches
//! nothing but the value, the line or the line ending that it has to.

use std::ffi::OsString;
use std::ops::Range;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::lexer::{self, Line};
use super::physical_lines::{ending_of, spans, usual_ending};
use crate::Failure;

/// A file in the syntax of postgresql.conf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfFile {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

/// A line that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The line, from 1.
    pub line: usize,
    /// What it says.
    pub kind: EntryKind,
    /// The line without its ending `\n`.
    span: Range<usize>,
    /// The value as it stands, quotes included; empty for an invalid line.
    value: Range<usize>,
    comment: bool,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// `name = value`.
    Assignment {
        /// In lower case.
        name: String,
        /// Without quotes and escapes. Bytes that aren't UTF-8 are replaced, so this is for reading only.
        value: String,
    },
    /// `include`, with the path as it stands there.
    Include {
        /// Relative to the file's own folder.
        path: PathBuf,
    },
    /// `include_if_exists`, with the path as it stands there.
    IncludeIfExists {
        /// Relative to the file's own folder.
        path: PathBuf,
    },
    /// `include_dir`, with the path as it stands there.
    IncludeDir {
        /// Relative to the file's own folder.
        path: PathBuf,
    },
    /// What the server calls a syntax error. Its message is one line short where the file ends, without a line ending,
    /// before the value came.
    Invalid,
}

impl ConfFile {
    /// Reads any bytes.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        Self { entries: entries(bytes, 0..bytes.len(), 1), bytes: bytes.to_vec() }
    }

    /// The file's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// The lines that say something, in the file's order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Puts another value in the place of the one on this line, in quotes where it had them or needs them.
    pub fn set_value(&mut self, line: usize, value: &str) -> Result<(), Failure> {
        let entry = self.assignment(line)?;
        let span = entry.value.clone();
        let old = &self.bytes[span.clone()];
        let was_quoted = old.first() == Some(&b'\'');
        if value.as_bytes() == unquoted(old) {
            return Ok(());
        }
        // `port+5` is an assignment, `port6` isn't.
        let touches_name = span.start > 0 && lexer::continues_word(self.bytes[span.start - 1]);
        let new = if was_quoted || touches_name { in_quotes(value)? } else { quote_value(value)? };
        self.edit(span, new.as_bytes());
        Ok(())
    }

    /// Whether the commented-out default of a setting stands in it.
    #[must_use]
    pub fn shows_default(&self, name: &str) -> bool {
        self.bytes.split(|byte| *byte == b'\n').any(|line| default_of(line, name).is_some())
    }

    /// Adds an assignment below its commented-out default, quoted if that is, or at the end of the file; returns its
    /// line, from 1.
    pub fn insert(&mut self, name: &str, value: &str) -> Result<usize, Failure> {
        let lines = spans(&self.bytes);
        let mut defaults = lines.iter().enumerate().rev();
        let default = defaults.find_map(|(index, span)| Some((index, default_of(&self.bytes[span.clone()], name)?)));
        let is_quoted = default.is_some_and(|(_, value)| value.starts_with(b"'"));
        let value = if is_quoted { in_quotes(value)? } else { quote_value(value)? };
        let text = format!("{} = {value}", checked_name(name)?).into_bytes();
        let usual = usual_ending(&self.bytes);
        let Some(above) = default.map(|(index, _)| index).or(lines.len().checked_sub(1)) else {
            self.edit(0..0, &[text.as_slice(), usual].concat());
            return Ok(1);
        };
        let end = lines[above].end;
        let new = match (default, ending_of(&self.bytes[lines[above].clone()])) {
            (_, b"") => [usual, &text, usual].concat(),
            (Some(_), ending) => [text.as_slice(), ending].concat(),
            (None, _) => [text.as_slice(), usual].concat(),
        };
        self.edit(end..end, &new);
        Ok(above + 2)
    }

    /// Takes the assignment on this line away; a line with a comment stays, commented out.
    pub fn remove(&mut self, line: usize) -> Result<(), Failure> {
        let entry = self.assignment(line)?;
        if entry.comment {
            let start = entry.span.start;
            self.edit(start..start, b"#");
        } else {
            let whole = entry.span.start..(entry.span.end + 1).min(self.bytes.len());
            self.edit(whole, b"");
        }
        Ok(())
    }

    /// The file's bytes with the include lines replaced by what `inline` makes of them.
    pub(super) fn write_with(&self, output: &mut Vec<u8>, mut inline: impl FnMut(&Entry, &mut Vec<u8>)) {
        let mut written = 0;
        for entry in self.entries.iter().filter(|entry| entry.is_include()) {
            output.extend_from_slice(&self.bytes[written..entry.span.start]);
            inline(entry, output);
            written = (entry.span.end + 1).min(self.bytes.len());
        }
        output.extend_from_slice(&self.bytes[written..]);
        if output.last().is_some_and(|byte| *byte != b'\n') {
            output.push(b'\n');
        }
    }

    fn assignment(&self, line: usize) -> Result<&Entry, Failure> {
        let found = self.entries.binary_search_by_key(&line, |entry| entry.line).map(|index| &self.entries[index]);
        let assignment = found.ok().filter(|entry| matches!(entry.kind, EntryKind::Assignment { .. }));
        assignment.ok_or_else(|| Failure::failed(format!("line {line} assigns no setting")))
    }

    /// Reads only the lines again that the edit touches: a large file is read once, however many edits follow.
    fn edit(&mut self, span: Range<usize>, new: &[u8]) {
        let touched = self.whole_lines(&span);
        let first = self.entries.partition_point(|entry| entry.span.start < touched.start);
        let behind = self.entries.partition_point(|entry| entry.span.start < touched.end);
        let (known_line, known_start) =
            first.checked_sub(1).map_or((1, 0), |index| (self.entries[index].line, self.entries[index].span.start));
        let line = known_line + line_breaks(&self.bytes[known_start..touched.start]);
        let (gone, come) = (line_breaks(&self.bytes[span.clone()]), line_breaks(new));
        let length = span.len();
        self.bytes.splice(span, new.iter().copied());
        for entry in &mut self.entries[behind..] {
            entry.shift(|line| line + come - gone, |at| at + new.len() - length);
        }
        let read_again = entries(&self.bytes, touched.start..touched.end + new.len() - length, line);
        self.entries.splice(first..behind, read_again);
    }

    /// The span, from the beginning of its first line to the end of its last.
    fn whole_lines(&self, span: &Range<usize>) -> Range<usize> {
        let is_break = |byte: &u8| *byte == b'\n';
        let start = self.bytes[..span.start].iter().rposition(is_break).map_or(0, |at| at + 1);
        let end = self.bytes[span.end..].iter().position(is_break).map_or(self.bytes.len(), |at| span.end + at + 1);
        start..end
    }
}

impl Entry {
    /// Where the value stands in the file's bytes, quotes included; at the line's end for an invalid line.
    #[must_use]
    pub fn value_span(&self) -> Range<usize> {
        self.value.clone()
    }

    fn shift(&mut self, line: impl Fn(usize) -> usize, at: impl Fn(usize) -> usize) {
        self.line = line(self.line);
        self.span = at(self.span.start)..at(self.span.end);
        self.value = at(self.value.start)..at(self.value.end);
    }

    fn is_include(&self) -> bool {
        !matches!(self.kind, EntryKind::Assignment { .. } | EntryKind::Invalid)
    }
}

/// A value as it has to stand in the file: bare where the server's own sample has such values bare, else in quotes.
pub fn quote_value(value: &str) -> Result<String, Failure> {
    if lexer::is_plain(value.as_bytes()) { Ok(value.to_owned()) } else { in_quotes(value) }
}

fn in_quotes(value: &str) -> Result<String, Failure> {
    // Written `\n`, a line break would be read back, but no setting takes one and every reader but the server's trips.
    if value.contains(['\n', '\0']) {
        return Err(Failure::usage(format!("value {value:?} can't be written to a configuration file"))
            .because("it holds a line break or a NUL"));
    }
    Ok(format!("'{}'", value.replace('\\', r"\\").replace('\'', "''")))
}

fn checked_name(name: &str) -> Result<&str, Failure> {
    match lexer::scan(format!("{name} = 1").as_bytes()) {
        Line::Assignment { name: span, .. } if span == (0..name.len()) => Ok(name),
        _ => Err(Failure::usage(format!("{name:?} can't be the name of a setting")).hint("postgres --describe-config")),
    }
}

fn unquoted(value: &[u8]) -> Vec<u8> {
    if value.first() == Some(&b'\'') { lexer::unquote(value) } else { value.to_vec() }
}

/// What the whole lines of this part say; the first of them is line `first`.
fn entries(bytes: &[u8], part: Range<usize>, first: usize) -> Vec<Entry> {
    let lines = (first..).zip(spans(&bytes[part.clone()]));
    lines.filter_map(|(line, span)| entry(bytes, line, part.start + span.start..part.start + span.end)).collect()
}

fn line_breaks(text: &[u8]) -> usize {
    text.split(|byte| *byte == b'\n').count() - 1
}

fn entry(bytes: &[u8], line: usize, span: Range<usize>) -> Option<Entry> {
    let text = &bytes[span.clone()];
    let span = span.start..span.end - usize::from(text.ends_with(b"\n"));
    let text = &bytes[span.clone()];
    match lexer::scan(text) {
        Line::Blank => None,
        Line::Invalid => {
            Some(Entry { line, kind: EntryKind::Invalid, value: span.end..span.end, span, comment: false })
        }
        Line::Assignment { name, value, comment } => {
            let kind = kind_of(&text[name], unquoted(&text[value.clone()]));
            let value = span.start + value.start..span.start + value.end;
            Some(Entry { line, kind, span, value, comment })
        }
    }
}

fn kind_of(name: &[u8], value: Vec<u8>) -> EntryKind {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let path = |value| PathBuf::from(OsString::from_vec(value));
    match name.as_str() {
        "include" => EntryKind::Include { path: path(value) },
        "include_if_exists" => EntryKind::IncludeIfExists { path: path(value) },
        "include_dir" => EntryKind::IncludeDir { path: path(value) },
        _ => EntryKind::Assignment { name, value: String::from_utf8_lossy(&value).into_owned() },
    }
}

/// What stands behind `#name =`, as the server's sample has its defaults. Without the equals sign it may be prose.
fn default_of<'a>(line: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let text = after_blanks(after_blanks(line).strip_prefix(b"#")?);
    let (found, rest) = text.split_at_checked(name.len())?;
    let value = after_blanks(rest).strip_prefix(b"=")?;
    found.eq_ignore_ascii_case(name.as_bytes()).then(|| after_blanks(value))
}

fn after_blanks(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|byte| lexer::is_blank(**byte)).count()..]
}

#[cfg(test)]
#[path = "conf_file_tests.rs"]
mod tests;
