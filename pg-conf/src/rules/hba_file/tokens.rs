//! Lines and fields of `pg_hba.conf`, after `next_token` and `tokenize_auth_file` of the server's `hba.c`.
//!
//! What must always hold: the logical lines cover every byte of the file once and in order.

use std::ops::Range;

use super::spans;
use super::word::Word;

/// A line of the file, with the lines that continue it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogicalLine {
    /// From 1.
    pub(super) first_line: usize,
    pub(super) physical_lines: usize,
    /// Its bytes in the file, the last ending included.
    pub(super) span: Range<usize>,
    /// As the server reads it: joined, without the ending.
    pub(super) text: Vec<u8>,
    /// Whether a backslash asks for another line, and the file has no more.
    pub(super) is_unfinished: bool,
}

impl LogicalLine {
    /// The columns, each with the words that commas join.
    pub(super) fn fields(&self) -> Vec<Vec<Word>> {
        let mut rest = self.text.as_slice();
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let field = next_field(&mut rest);
            if !field.is_empty() {
                fields.push(field);
            }
        }
        fields
    }
}

/// Joins what backslashes continue, which 14 and later do.
pub(super) fn logical_lines(bytes: &[u8], major: u32) -> Vec<LogicalLine> {
    let mut lines: Vec<LogicalLine> = Vec::new();
    let mut continued_from = None;
    for (index, span) in spans(bytes).into_iter().enumerate() {
        if continued_from.is_none() {
            let text = Vec::new();
            lines.push(LogicalLine {
                first_line: index + 1,
                physical_lines: 0,
                span: span.start..span.start,
                text,
                is_unfinished: false,
            });
        }
        let Some(line) = lines.last_mut() else { continue };
        line.physical_lines += 1;
        line.span.end = span.end;
        line.text.extend_from_slice(&bytes[span]);
        let kept = line.text.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
        line.text.truncate(kept);
        // Only a backslash of this very line counts: of `\\` and an empty line, one stays.
        let continues = major >= 14 && kept > continued_from.unwrap_or(0) && line.text.ends_with(b"\\");
        if continues {
            line.text.pop();
        }
        line.is_unfinished = continues;
        continued_from = continues.then_some(line.text.len());
    }
    lines
}

fn next_field(rest: &mut &[u8]) -> Vec<Word> {
    let mut words = Vec::new();
    loop {
        let Some((word, comma)) = next_word(rest) else { return words };
        words.push(word);
        if !comma {
            return words;
        }
    }
}

/// The next word, and whether a comma follows at once; blanks in front of a comma end the field.
fn next_word(rest: &mut &[u8]) -> Option<(Word, bool)> {
    let is_blank = |byte: u8| matches!(byte, b' ' | b'\t' | b'\r');
    let skipped = rest.iter().take_while(|byte| is_blank(**byte) || **byte == b',').count();
    let line = &rest[skipped..];
    let (mut text, mut quoted) = (Vec::new(), false);
    let (mut in_quotes, mut after_quote, mut saw_quote, mut comma) = (false, false, false, false);
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        match byte {
            _ if is_blank(byte) && !in_quotes => break,
            b'#' if !in_quotes => {
                at = line.len();
                break;
            }
            b',' if !in_quotes => {
                comma = true;
                break;
            }
            b'"' => {
                if after_quote {
                    text.push(byte);
                }
                after_quote = in_quotes && !after_quote;
                in_quotes = !in_quotes;
                saw_quote = true;
                quoted |= text.is_empty();
            }
            _ => {
                text.push(byte);
                after_quote = false;
            }
        }
        at += 1;
    }
    *rest = &line[at..];
    let word = Word { text: String::from_utf8_lossy(&text).into_owned(), quoted };
    (saw_quote || !text.is_empty()).then_some((word, comma))
}
