//! A password in memory.
//!
//! What must always hold: it has no `Display` and no `Serialize`, its `Debug` shows nothing, and its bytes are
//! overwritten when it goes.

use zeroize::Zeroizing;

/// A password. The only way to its text is [`Secret::expose`], which a reader can search for.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The password itself: to be compared, hashed, or written to a password file, and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A text as it may be shown: one that holds a password (`password=…` in a conninfo or a command, `://user:password@`)
/// is not shown at all.
#[must_use]
pub fn shown(text: &str) -> String {
    if holds_password(text) { "(hidden: it holds a password)".to_owned() } else { text.to_owned() }
}

/// The same, line by line.
#[must_use]
pub fn shown_lines(text: &str) -> String {
    let line =
        |line: &str| if holds_password(line) { "(hidden: it holds a password)\n".into() } else { line.to_owned() };
    text.split_inclusive('\n').map(line).collect()
}

fn holds_password(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let named = lower.split("password").skip(1).any(|rest| rest.trim_start().starts_with('='));
    let in_uri = lower.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', ' ']).next().unwrap_or_default();
        authority.split_once('@').is_some_and(|(user, _)| user.contains(':'))
    });
    named || in_uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_what_holds_a_password_and_nothing_else() {
        for text in ["host=x password=y", "Password = 'y'", "PGPASSWORD=y cp a b", "postgresql://u:y@h/d"] {
            assert_eq!(shown(text), "(hidden: it holds a password)");
        }
        for text in
            ["host=x passfile=/p", "passwordcheck", "scram-sha-256", "postgresql://u@h:5432/d", "ldap://h:1/x@y"]
        {
            assert_eq!(shown(text), text);
        }
        assert_eq!(shown_lines("a\npassword=y\nb"), "a\n(hidden: it holds a password)\nb");
    }

    #[test]
    fn shows_nothing_when_debugged() {
        assert_eq!(format!("{:?}", Secret::new("swordfish".into())), "Secret(…)");
    }
}
