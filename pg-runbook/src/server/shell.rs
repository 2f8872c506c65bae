//! A command line as it can be typed into a shell, for hints.
//!
//! What must always hold: the shell reads back the same words.

/// Words, quoted where the shell would read them otherwise.
pub(super) fn command<I: IntoIterator<Item = S>, S: AsRef<str>>(words: I) -> String {
    words.into_iter().map(|word| quote(word.as_ref())).collect::<Vec<_>>().join(" ")
}

fn quote(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./:,@+=%".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_the_shell_would_read_otherwise() {
        assert_eq!(command(["pg-role", "ensure", "o'neil x", ""]), r"pg-role ensure 'o'\''neil x' ''");
    }
}
