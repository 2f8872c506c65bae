//! A line as bash hands it over, and candidates as it takes them.
//!
//! What must always hold: bash takes words apart at the letters of `COMP_WORDBREAKS` (`=` and `:` among them) and
//! replaces only the last part; so parts with nothing between them are one word here, and a candidate is given without
//! what stays. Quotes are taken away before, and what needs them gets them after.

/// The words up to the cursor as they were typed; `parts` are bash's, `line` ends at the cursor.
pub(super) fn joined(line: &str, parts: &[String]) -> Vec<String> {
    let (mut words, mut rest): (Vec<String>, &str) = (Vec::new(), line);
    for (number, part) in parts.iter().enumerate() {
        let text = rest.trim_start();
        let goes_on = text.len() == rest.len();
        let part = if number + 1 == parts.len() { text } else { part };
        match words.last_mut() {
            Some(word) if goes_on => word.push_str(part),
            _ => words.push(part.into()),
        }
        rest = text.strip_prefix(part).unwrap_or_default();
    }
    words
}

/// What comes of a word when bash takes its quotes away; an open quote counts to the end.
pub(super) fn unquoted(word: &str) -> String {
    let (mut text, mut quote, mut letters) = (String::new(), None, word.chars());
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if letter == open => quote = None,
            (None | Some('"'), '\\') => text.extend(letters.next()),
            _ => text.push(letter),
        }
    }
    text
}

/// The candidate without what bash keeps of the word, quoted as the word is. `replaced` is what bash replaces of it.
pub(super) fn reply(candidate: &str, word: &str, replaced: &str) -> String {
    let kept = word.strip_suffix(replaced).unwrap_or_default();
    let rest = candidate.strip_prefix(&unquoted(kept)).unwrap_or(candidate);
    match open_quote(word) {
        Some('\'') => rest.replace('\'', r"'\''"),
        Some(_) => escaped(rest, |letter| "\"\\$`".contains(letter)),
        None => escaped(rest, |letter| !letter.is_alphanumeric() && !"_-./=:,@%+~".contains(letter)),
    }
}

fn escaped(text: &str, needs_it: impl Fn(char) -> bool) -> String {
    text.chars().flat_map(|letter| needs_it(letter).then_some('\\').into_iter().chain([letter])).collect()
}

/// The quote that the word has opened and not closed.
fn open_quote(word: &str) -> Option<char> {
    let (mut quote, mut letters) = (None, word.chars());
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if letter == open => quote = None,
            (None | Some('"'), '\\') => drop(letters.next()),
            _ => {}
        }
    }
    quote
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str, parts: &[&str]) -> Vec<String> {
        joined(line, &parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn parts_with_nothing_between_them_are_one_word() {
        assert_eq!(
            words("pg-conf set wal_level=", &["pg-conf", "set", "wal_level", "="]).last().unwrap(),
            "wal_level="
        );
        assert_eq!(words("pg-conf set a=b:c", &["pg-conf", "set", "a", "=", "b", ":", "c"])[2..], ["a=b:c"]);
        assert_eq!(words("pg-conf set a = b", &["pg-conf", "set", "a", "=", "b"])[2..], ["a", "=", "b"]);
        assert_eq!(words("pg-conf  set a=b ", &["pg-conf", "set", "a", "=", "b", ""])[1..], ["set", "a=b", ""]);
    }

    #[test]
    fn a_word_ends_at_the_cursor() {
        assert_eq!(words("pg-conf se", &["pg-conf", "settle"]), ["pg-conf", "se"]);
    }

    #[test]
    fn gives_what_bash_replaces_and_no_more() {
        assert_eq!(reply("wal_level=replica", "wal_level=re", "re"), "replica");
        assert_eq!(reply("wal_level=replica", "wal_level=", ""), "replica");
        assert_eq!(reply("--cluster=15/main", "--cluster=15/", "15/"), "15/main");
        assert_eq!(reply("2001:db8::/32", "2001:db", "db"), "db8::/32");
        assert_eq!(reply("15/main", "15/", "15/"), "15/main");
    }

    #[test]
    fn quotes_what_bash_would_take_apart() {
        assert_eq!(reply("my role", "my", "my"), r"my\ role");
        assert_eq!(reply("my role", "\"my", "my"), "my role");
        assert_eq!(reply("a$b", "\"a", "a"), r"a\$b");
        assert_eq!(reply("my role", r"my\ r", r"my\ r"), r"my\ role");
        assert_eq!(unquoted(r#"a\ b"c d"'e\f'"#), r"a bc de\f");
    }
}
