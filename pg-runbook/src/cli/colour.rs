//! Colour, as PostgreSQL's own programs have it: `PG_COLOR` and `PG_COLORS`. Without `PG_COLOR` a terminal gets colour,
//! unless `NO_COLOR` is set or the terminal is a dumb one.
//!
//! What must always hold: each stream is judged by itself; a pipe or a file gets none unless `PG_COLOR` says `always`,
//! and a document never.

use std::io::IsTerminal;

/// What is coloured, by the names that `PG_COLORS` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// What is wrong.
    Error,
    /// What deserves a look.
    Warning,
    /// Details and hints.
    Note,
    /// Who speaks, headings, and what a value becomes.
    Locus,
}

const DEFAULTS: [(Mark, &str, &str); 4] = [
    (Mark::Error, "error", "01;31"),
    (Mark::Warning, "warning", "01;35"),
    (Mark::Note, "note", "01;36"),
    (Mark::Locus, "locus", "01"),
];

const LABELS: [(&str, Mark); 4] =
    [("error:", Mark::Error), ("warning:", Mark::Warning), ("detail:", Mark::Note), ("hint:", Mark::Note)];

/// The colours of one stream; none where it gets no colour.
#[derive(Clone, Debug, Default)]
pub struct Palette(Vec<(Mark, String)>);

impl Palette {
    /// Those of a stream, by the environment.
    #[must_use]
    pub fn of(stream: &impl IsTerminal) -> Self {
        Self::by(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()), stream.is_terminal())
    }

    #[cfg(test)]
    pub(super) fn always() -> Self {
        Self::by(&|name| (name == "PG_COLOR").then(|| "always".to_owned()), false)
    }

    fn by(environment: &dyn Fn(&str) -> Option<String>, is_terminal: bool) -> Self {
        let wanted = match environment("PG_COLOR").as_deref() {
            Some("always") => true,
            None | Some("auto") => {
                is_terminal
                    && environment("NO_COLOR").is_none()
                    && environment("TERM").is_some_and(|terminal| terminal != "dumb")
            }
            Some(_) => false,
        };
        if !wanted {
            return Self::default();
        }
        let Some(own) = environment("PG_COLORS") else {
            return Self(DEFAULTS.map(|(mark, _, code)| (mark, code.to_owned())).to_vec());
        };
        // As PostgreSQL has it: what is not named there has no colour.
        let named = own.split(':').filter_map(|pair| pair.split_once('='));
        let known = named.filter_map(|(name, code)| {
            let (mark, ..) = DEFAULTS.iter().find(|(_, known, _)| *known == name)?;
            let is_code = code.bytes().all(|byte| byte.is_ascii_digit() || byte == b';');
            (is_code && !code.is_empty()).then(|| (*mark, code.to_owned()))
        });
        Self(known.collect())
    }

    /// Whether there is any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A text in a colour.
    #[must_use]
    pub fn paint(&self, mark: Mark, text: &str) -> String {
        match self.0.iter().rev().find(|(known, _)| *known == mark) {
            Some((_, code)) if !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }

    /// A message for people, with the word that says what kind of line it is.
    #[must_use]
    pub fn message(&self, line: &str) -> String {
        let label = LABELS.iter().find_map(|(label, mark)| Some((label, *mark, line.strip_prefix(label)?)));
        match label {
            Some((label, mark, rest)) => format!("{}{rest}", self.paint(mark, label)),
            None => line.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn palette(environment: &[(&str, &str)], is_terminal: bool) -> Palette {
        let value = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            found.filter(|value| !value.is_empty()).map(str::to_owned)
        };
        Palette::by(&value, is_terminal)
    }

    #[test]
    fn a_terminal_gets_colour_and_a_pipe_none() {
        assert!(!palette(&[("TERM", "xterm")], true).is_empty());
        assert!(palette(&[("TERM", "xterm")], false).is_empty());
        assert!(!palette(&[("TERM", "xterm"), ("PG_COLOR", "auto")], true).is_empty());
        assert!(palette(&[("TERM", "xterm"), ("PG_COLOR", "auto")], false).is_empty());
        assert!(!palette(&[("PG_COLOR", "always")], false).is_empty());
    }

    #[test]
    fn no_color_a_dumb_terminal_and_any_other_word_of_pg_color_turn_it_off() {
        assert!(palette(&[("TERM", "dumb")], true).is_empty());
        assert!(palette(&[], true).is_empty(), "a terminal that nobody describes");
        assert!(palette(&[("TERM", "xterm"), ("NO_COLOR", "1")], true).is_empty());
        assert!(!palette(&[("TERM", "xterm"), ("NO_COLOR", "")], true).is_empty(), "empty is not set");
        assert!(palette(&[("TERM", "xterm"), ("PG_COLOR", "auto"), ("NO_COLOR", "1")], true).is_empty());
        assert!(!palette(&[("PG_COLOR", "always"), ("NO_COLOR", "1"), ("TERM", "dumb")], false).is_empty());
        assert!(palette(&[("TERM", "xterm"), ("PG_COLOR", "never")], true).is_empty());
    }

    #[test]
    fn messages_look_like_those_of_psql() {
        let colours = palette(&[("PG_COLOR", "always")], false);
        assert_eq!(colours.message("error: port is taken"), "\x1b[01;31merror:\x1b[0m port is taken");
        assert_eq!(colours.message("hint: pg-conf get port"), "\x1b[01;36mhint:\x1b[0m pg-conf get port");
        assert_eq!(colours.message("the error: none"), "the error: none");
        assert_eq!(Palette::default().message("error: x"), "error: x");
    }

    #[test]
    fn pg_colors_names_the_colours_and_what_it_leaves_out_has_none() {
        let colours =
            palette(&[("PG_COLOR", "always"), ("PG_COLORS", "warning=33:error=\x1b[2J:other=1:locus")], false);
        assert_eq!(colours.paint(Mark::Warning, "x"), "\x1b[33mx\x1b[0m");
        assert_eq!(colours.paint(Mark::Locus, "x"), "x");
        assert_eq!(colours.paint(Mark::Error, "x"), "x", "what is no code of a colour is left aside");
    }
}
