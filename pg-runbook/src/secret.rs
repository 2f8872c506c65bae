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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_nothing_when_debugged() {
        assert_eq!(format!("{:?}", Secret::new("swordfish".into())), "Secret(…)");
    }
}
