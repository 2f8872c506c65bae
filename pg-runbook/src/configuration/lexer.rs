//! What one line of postgresql.conf says to the server, after its scanner (src/backend/utils/misc/guc-file.l).
//!
//! What must always hold: a line is an assignment here exactly where the server takes it for one. No token spans a
//! line break, so every line stands for itself.

use std::ops::Range;

/// One line, as spans into it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing, or a comment.
    Blank,
    /// A name and a value, followed by a comment or not.
    Assignment { name: Range<usize>, value: Range<usize>, comment: bool },
    /// What the server calls a syntax error.
    Invalid,
}

/// The scanner's tokens, as far as the grammar tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Identifier,
    QualifiedIdentifier,
    /// A bare word that isn't an identifier: `Etc/UTC`.
    Unquoted,
    Quoted,
    Number,
    Equals,
    Comment,
    End,
    Error,
}

/// Reads a line, given without its `\n`.
pub(super) fn scan(line: &[u8]) -> Line {
    let (token, name) = next_token(line, 0);
    match token {
        Token::End | Token::Comment => return Line::Blank,
        Token::Identifier | Token::QualifiedIdentifier => {}
        _ => return Line::Invalid,
    }
    let (mut token, mut value) = next_token(line, name.end);
    if token == Token::Equals {
        (token, value) = next_token(line, value.end);
    }
    // `archive.sh` is a qualified identifier, and the grammar has no such value, while `a/b.sh` is a fine one.
    if !matches!(token, Token::Identifier | Token::Quoted | Token::Number | Token::Unquoted) {
        return Line::Invalid;
    }
    match next_token(line, value.end).0 {
        Token::End => Line::Assignment { name, value, comment: false },
        Token::Comment => Line::Assignment { name, value, comment: true },
        _ => Line::Invalid,
    }
}

/// Whether the scanner reads the whole of `value` as one token that the server's own sample leaves unquoted: an
/// identifier (`replica`, `scram-sha-256`) or a number with or without a unit.
pub(super) fn is_plain(value: &[u8]) -> bool {
    let (token, span) = next_token(value, 0);
    let whole = span == (0..value.len());
    let letters_and_dashes = || value.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    whole
        && match token {
            Token::Identifier | Token::Unquoted => letters_and_dashes(),
            Token::Number => value.iter().any(u8::is_ascii_digit),
            _ => false,
        }
}

/// Whether a name or a bare word may hold this byte anywhere but at its beginning.
pub(super) fn continues_word(byte: u8) -> bool {
    starts_word(byte) || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b':' | b'/')
}

/// Whether this byte is a blank of the scanner: a form feed is none, a carriage return is one anywhere.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// Takes the quotes and escapes off a quoted value.
pub(super) fn unquote(quoted: &[u8]) -> Vec<u8> {
    let inner = &quoted[1..quoted.len() - 1];
    let mut value = Vec::with_capacity(inner.len());
    let mut at = 0;
    while let Some(&byte) = inner.get(at) {
        at += 1;
        match byte {
            b'\\' => at = unescape(inner, at, &mut value),
            b'\'' => {
                value.push(b'\'');
                at += 1;
            }
            _ => value.push(byte),
        }
    }
    // The server keeps values as C strings, so `\0` and its like cut them short.
    value.truncate(value.iter().position(|byte| *byte == 0).unwrap_or(value.len()));
    value
}

/// Adds what stands behind a backslash; returns where to go on.
fn unescape(inner: &[u8], at: usize, value: &mut Vec<u8>) -> usize {
    let Some(&byte) = inner.get(at) else { return at };
    let octal = inner[at..].iter().take(3).take_while(|digit| (b'0'..=b'7').contains(digit));
    let (plain, length) = match byte {
        b'b' => (0x08, 1),
        b'f' => (0x0c, 1),
        b'n' => (b'\n', 1),
        b'r' => (b'\r', 1),
        b't' => (b'\t', 1),
        b'0'..=b'7' => octal.fold((0u8, 0), |(number, length), digit| {
            // Three digits can exceed a byte: the server keeps the low one.
            (number.wrapping_mul(8).wrapping_add(digit - b'0'), length + 1)
        }),
        other => (other, 1),
    };
    value.push(plain);
    at + length
}

fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

/// The next token at or after `from`, and its span.
fn next_token(line: &[u8], from: usize) -> (Token, Range<usize>) {
    let start = from + run(&line[from..], is_blank);
    let rest = &line[start..];
    let (token, length) = match rest.first() {
        None => (Token::End, 0),
        Some(b'#') => (Token::Comment, rest.len()),
        Some(b'=') => (Token::Equals, 1),
        Some(b'\'') => quoted_length(rest).map_or((Token::Error, 1), |length| (Token::Quoted, length)),
        Some(&byte) if starts_word(byte) => {
            let length = run(rest, continues_word);
            (kind_of_word(&rest[..length]), length)
        }
        Some(_) => number_length(rest).map_or((Token::Error, 1), |length| (Token::Number, length)),
    };
    (token, start..start + length)
}

/// The scanner takes the longest match, so a word is an identifier only where nothing else belongs to it.
fn kind_of_word(word: &[u8]) -> Token {
    let is_identifier = |part: &[u8]| {
        part.first().is_some_and(|byte| starts_word(*byte))
            && part.iter().all(|byte| starts_word(*byte) || byte.is_ascii_digit())
    };
    let mut parts = word.split(|byte| *byte == b'.');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(only), None, _) if is_identifier(only) => Token::Identifier,
        (Some(class), Some(name), None) if is_identifier(class) && is_identifier(name) => Token::QualifiedIdentifier,
        _ => Token::Unquoted,
    }
}

fn quoted_length(rest: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match (rest.get(at)?, rest.get(at + 1)) {
            (b'\\', following) => {
                following?;
                at += 2;
            }
            (b'\'', Some(b'\'')) => at += 2,
            (b'\'', _) => return Some(at + 1),
            _ => at += 1,
        }
    }
}

fn number_length(rest: &[u8]) -> Option<usize> {
    let sign = usize::from(matches!(rest.first(), Some(b'+' | b'-')));
    let digits = sign + run(&rest[sign..], |byte| byte.is_ascii_digit());
    if rest.get(digits) == Some(&b'.') {
        let fraction = digits + 1 + run(&rest[digits + 1..], |byte| byte.is_ascii_digit());
        return Some(fraction + exponent_length(&rest[fraction..]));
    }
    if digits == sign {
        return None;
    }
    let letters = digits + run(&rest[digits..], |byte| byte.is_ascii_alphabetic());
    Some(letters.max(sign + hexadecimal_length(&rest[sign..])))
}

fn exponent_length(rest: &[u8]) -> usize {
    if !matches!(rest.first(), Some(b'e' | b'E')) {
        return 0;
    }
    let sign = 1 + usize::from(matches!(rest.get(1), Some(b'+' | b'-')));
    match run(&rest[sign..], |byte| byte.is_ascii_digit()) {
        0 => 0,
        digits => sign + digits,
    }
}

fn hexadecimal_length(rest: &[u8]) -> usize {
    let Some(digits) = rest.strip_prefix(b"0x") else { return 0 };
    match run(digits, |byte| byte.is_ascii_hexdigit()) {
        0 => 0,
        length => 2 + length + run(&digits[length..], |byte| byte.is_ascii_alphabetic()),
    }
}

fn run(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| belongs(**byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of(line: &[u8]) -> Option<&[u8]> {
        match scan(line) {
            Line::Assignment { value, .. } => Some(&line[value]),
            _ => None,
        }
    }

    // Each of the two lists was given to `postgres -C` and pg_file_settings of 15.

    #[test]
    fn takes_for_an_assignment_what_the_server_does() {
        let lines: [(&[u8], &[u8]); 20] = [
            (b"work_mem = 8MB # c\r", b"8MB"),
            (b"  Port 5455", b"5455"),
            (b"work_mem='4MB'# c", b"'4MB'"),
            (b"work_mem=4MB#c", b"4MB"),
            (b"work_mem'4MB'", b"'4MB'"),
            (b"port+5", b"+5"),
            (b"random_page_cost = .5e1", b".5e1"),
            (b"seq_page_cost = -1.", b"-1."),
            (b"work_mem = 0x10kB", b"0x10kB"),
            (b"x.a=0xg", b"0xg"),
            (b"x.b=0x", b"0x"),
            (b"x.e=.", b"."),
            (b"x.j 10ab", b"10ab"),
            (b"x.h =\r5\r", b"5"),
            (b"log_timezone = Etc/UTC", b"Etc/UTC"),
            (b"x.o=a-b.c:d/e", b"a-b.c:d/e"),
            (b"x.n=''", b"''"),
            (b"x.ab='a\\'' # b", b"'a\\''"),
            (b"x.u = caf\xe9", b"caf\xe9"),
            (b"\xe9t\xe9.x = 5", b"5"),
        ];
        for (line, value) in lines {
            assert_eq!(value_of(line), Some(value), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn takes_for_an_error_what_the_server_does() {
        let lines: [&[u8]; 31] = [
            b"custom.foo.bar = bar",
            b"a b c",
            b"log_line_prefix = '%m",
            b"max_connections == 5",
            b"DateStyle=iso, mdy",
            b"shared_buffers=128 MB",
            b"random_page_cost = 5e1",
            b"work_mem = 1.5GB",
            b"work_mem = 5MB10",
            b"log_directory = /tmp",
            b"= 5",
            b"port",
            b"port = # c",
            b"'port' = 5",
            b"x.y'4MB'z",
            b"x.z=a'b'",
            b"x.w 'a\\",
            b"\x0cport 6",
            b"include = inc.conf",
            b"x.r=on=off",
            b"x.q=-",
            b"x.m='a' 'b'",
            b"x.l='a''",
            b"5x=3",
            b"x-y=3",
            b"x.k=1.2.3",
            b"x.i 10_ab",
            b"x.g = 5\x00 6",
            b"x.c=1.e",
            b"x.d=1e5",
            b"x.aa='a\\' # b",
        ];
        for line in lines {
            assert_eq!(scan(line), Line::Invalid, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn undoes_escapes_as_the_server_does() {
        assert_eq!(unquote(br"'it''s \101\n\\x\q'"), b"it's A\n\\xq");
        assert_eq!(unquote(br"'\1234\t\b\f\r\8'"), b"S4\t\x08\x0c\r8");
        assert_eq!(unquote(br"'a\'b'"), b"a'b");
        assert_eq!(unquote(br"'ab\400c'"), b"ab");
    }

    #[test]
    fn knows_what_needs_no_quotes() {
        for plain in ["replica", "500", "8GB", "on", "scram-sha-256", "0.9", "-1", "0600"] {
            assert!(is_plain(plain.as_bytes()), "{plain}");
        }
        for other in ["", "/tmp", "a.b", "1.5GB", "5e1", "iso, mdy", "Etc/UTC", "a b", "caf\u{e9}", ".", "-", "*", "#"]
        {
            assert!(!is_plain(other.as_bytes()), "{other}");
        }
    }
}
