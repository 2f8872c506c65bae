//! One line of a password file, in bytes.
//!
//! What must always hold: a line is matched exactly as libpq's `pwdfMatchesString` matches it, and what is unescaped
//! from an escaped text is that text.

use std::ops::Range;

use zeroize::Zeroizing;

use crate::Secret;

/// Whether `*` in a line stands for every text, or for itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wildcards {
    /// As libpq looks up.
    Match,
    /// To find the line that is written with exactly this key.
    AreText,
}

/// The line without the carriage returns and line feeds at its end, as many as there are.
pub fn content(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    &line[..end]
}

/// To a libpq that doesn't know comments it is a host that begins with `#`, which comes to the same.
pub fn is_comment(line: &[u8]) -> bool {
    line.first() == Some(&b'#')
}

/// Neither empty nor a comment, and without the four colons that an entry has.
pub fn is_unfinished(line: &[u8]) -> bool {
    !content(line).is_empty() && !is_comment(line) && split(line).is_none()
}

/// Where the password stands in a line whose four fields match.
pub fn password_range(line: &[u8], fields: [&str; 4], wildcards: Wildcards) -> Option<Range<usize>> {
    let text = readable(line)?;
    let mut start = 0;
    for field in fields {
        start += match_field(&text[start..], field.as_bytes(), wildcards)?;
    }
    Some(start..start + field_length(&text[start..]))
}

/// Where the four fields and the password stand, where every colon that isn't escaped ends a field.
pub fn split(line: &[u8]) -> Option<[Range<usize>; 5]> {
    let text = readable(line)?;
    let mut start = 0;
    let mut ranges = [const { 0..0 }; 5];
    for (index, range) in ranges.iter_mut().enumerate() {
        *range = start..start + field_length(&text[start..]);
        if index < 4 && range.end == text.len() {
            return None;
        }
        start = range.end + 1;
    }
    Some(ranges)
}

/// A NUL ends a string of C, so libpq reads no line that holds one as it stands.
fn readable(line: &[u8]) -> Option<&[u8]> {
    (!is_comment(line) && !line.contains(&0)).then(|| content(line))
}

/// How many bytes the field and its colon take. A colon of the text matches one that isn't escaped (`::1`).
fn match_field(line: &[u8], text: &[u8], wildcards: Wildcards) -> Option<usize> {
    if wildcards == Wildcards::Match && line.starts_with(b"*:") {
        return Some(2);
    }
    let mut at = 0;
    let mut wanted = text.iter();
    loop {
        match (line.get(at)?, wanted.as_slice().is_empty()) {
            (b':', true) => return Some(at + 1),
            (_, true) => return None,
            (b'\\', false) => at += 1,
            (_, false) => {}
        }
        if line.get(at) != wanted.next() {
            return None;
        }
        at += 1;
    }
}

/// Up to the next colon that isn't escaped, or the end.
fn field_length(text: &[u8]) -> usize {
    let mut at = 0;
    while at < text.len() && text[at] != b':' {
        at += if text[at] == b'\\' && at + 1 < text.len() { 2 } else { 1 };
    }
    at
}

/// A backslash at the very end stands for itself.
pub fn unescape(raw: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut plain = Zeroizing::new(Vec::with_capacity(raw.len()));
    let mut bytes = raw.iter();
    while let Some(byte) = bytes.next() {
        let escaped = (*byte == b'\\').then(|| bytes.next()).flatten();
        plain.push(*escaped.unwrap_or(byte));
    }
    plain
}

/// `*` stays the wildcard.
pub fn escape_field(text: &str) -> Zeroizing<Vec<u8>> {
    let mut escaped = Zeroizing::new(Vec::with_capacity(text.len() * 2));
    for byte in text.bytes() {
        if matches!(byte, b':' | b'\\') {
            escaped.push(b'\\');
        }
        escaped.push(byte);
    }
    escaped
}

/// The same for a password, where `*` has no meaning.
pub fn escape_password(password: &Secret) -> Zeroizing<Vec<u8>> {
    escape_field(password.expose())
}

/// A password, where it is UTF-8.
pub fn text(mut bytes: Zeroizing<Vec<u8>>) -> Option<Secret> {
    String::from_utf8(std::mem::take(&mut *bytes)).ok().map(Secret::new)
}
