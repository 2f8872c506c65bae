//! One word of a rule, and whether quotes made it an ordinary one.
//!
//! What must always hold: a quoted word is a name, never a keyword, and printing a word gives one that reads the same.

use std::fmt::{self, Display};

use pg_runbook::Failure;

/// A database, a role, or what stands for several of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Word {
    /// Without quotes.
    pub text: String,
    /// Whether a quote stood before the first letter: `"all"` is a name, and so little is `a"ll"` one that it is the
    /// keyword.
    pub quoted: bool,
}

/// Words that mean something else than themselves, in one column or another.
const KEYWORDS: [&str; 8] =
    ["all", "replication", "sameuser", "samerole", "samegroup", "samehost", "samenet", "reject"];

impl Word {
    /// The word as it is typed: `all`, `replication`, `+staff`, `@file`, `/^a/`.
    pub fn keyword(text: impl Into<String>) -> Self {
        Self { text: text.into(), quoted: false }
    }

    /// A name that means itself, in quotes where it needs them.
    pub fn name(text: impl Into<String>) -> Result<Self, Failure> {
        let text = text.into();
        let refused = |why: &str| Failure::usage(format!("{text:?} can't be named in pg_hba.conf")).because(why);
        if text.contains(['\n', '\r', '\0']) {
            return Err(refused("it holds a line break or a NUL"));
        }
        // 16 and later, and there in quotes too.
        if text.starts_with('/') {
            return Err(refused("a slash at the beginning makes it a regular expression"));
        }
        let needs_quotes = text.is_empty()
            || text.starts_with(['+', '@'])
            || text.contains([' ', '\t', ',', '"', '#'])
            || text.ends_with('\\')
            || KEYWORDS.contains(&text.as_str());
        Ok(Self { text, quoted: needs_quotes })
    }

    /// Whether this is the keyword `text`.
    #[must_use]
    pub fn is_keyword(&self, text: &str) -> bool {
        !self.quoted && self.text == text
    }

    /// The role whose members are meant: `+staff`.
    #[must_use]
    pub fn members_of(&self) -> Option<&str> {
        if self.quoted { None } else { self.text.strip_prefix('+') }
    }

    /// The file that the names are read from: `@file`.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        if self.quoted { None } else { self.text.strip_prefix('@').filter(|path| !path.is_empty()) }
    }

    /// The regular expression (16 and later), which quotes don't take the meaning from.
    #[must_use]
    pub fn regular_expression(&self, major: u32) -> Option<&str> {
        self.text.strip_prefix('/').filter(|_| major >= 16)
    }
}

impl Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text.replace('"', "\"\"");
        if self.quoted {
            write!(f, "\"{text}\"")
        } else if text.contains([' ', '\t', '\r', ',', '#', '"']) {
            // Quotes behind the first letter keep a keyword a keyword: `+"my staff"`.
            let first = text.chars().next().filter(|first| matches!(first, '+' | '@' | '/'));
            match first {
                Some(first) => write!(f, "{first}\"{}\"", &text[1..]),
                None => write!(f, "\"{text}\""),
            }
        } else {
            f.write_str(&text)
        }
    }
}
