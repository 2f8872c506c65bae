//! Lines as they stand in a file: their spans, and the ending that the file uses.
//!
//! What must always hold: the spans, endings included, cover every byte of the text once and in order.

use std::ops::Range;

/// The span of each line, its ending included; the last one may lack an ending.
#[must_use]
pub fn spans(text: &[u8]) -> Vec<Range<usize>> {
    let mut start = 0;
    text.split_inclusive(|byte| *byte == b'\n')
        .map(|line| {
            let span = start..start + line.len();
            start = span.end;
            span
        })
        .collect()
}

/// The ending of this line, or nothing where the file ends without one.
#[must_use]
pub fn ending_of(line: &[u8]) -> &'static [u8] {
    match line {
        [.., b'\r', b'\n'] => b"\r\n",
        [.., b'\n'] => b"\n",
        _ => b"",
    }
}

/// The ending that most lines of the text have.
#[must_use]
pub fn usual_ending(text: &[u8]) -> &'static [u8] {
    let lines = || text.split_inclusive(|byte| *byte == b'\n').map(ending_of);
    let with_return = lines().filter(|ending| *ending == b"\r\n").count();
    let without = lines().filter(|ending| *ending == b"\n").count();
    if with_return > without { b"\r\n" } else { b"\n" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_line_without_ending_is_a_line() {
        assert_eq!(spans(b"a\r\n\nb"), [0..3, 3..4, 4..5]);
        assert_eq!(spans(b""), []);
        assert_eq!(ending_of(b"a\r\n"), b"\r\n");
        assert_eq!(ending_of(b"b"), b"");
    }

    #[test]
    fn one_stray_ending_does_not_decide_for_the_file() {
        assert_eq!(usual_ending(b"a\r\nb\r\nc\n"), b"\r\n");
        assert_eq!(usual_ending(b"a\r\nb\nc"), b"\n");
        assert_eq!(usual_ending(b"a"), b"\n");
    }
}
