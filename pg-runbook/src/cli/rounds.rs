//! An account that is told again and again: drawn anew in place on a terminal, else one block after the other.
//!
//! What must always hold: each round is one write, so that nothing flickers and a cut-off leaves the terminal in order;
//! what stood on the terminal before is above, to be scrolled back to.

use super::output;
use super::run::Run;
use super::table::Screen;
use crate::failure::Failure;
use std::io::{ErrorKind, IsTerminal};

/// The rounds of one run.
#[derive(Debug)]
pub struct Rounds {
    in_place: bool,
    begun: bool,
}

impl Rounds {
    /// Standard output must get text. From here on what the run says is in the account only.
    pub fn begin(run: &mut Run) -> Result<Self, Failure> {
        if !run.writes_text() {
            return Err(Failure::usage("standard output carries one document, and --watch would write many")
                .hint(format!("{} {} --watch --output text", run.tool, run.document.action)));
        }
        run.common.quiet = true;
        let is_dumb = std::env::var_os("TERM").is_none_or(|terminal| terminal.is_empty() || terminal == "dumb");
        Ok(Self { in_place: std::io::stdout().is_terminal() && !is_dumb, begun: false })
    }

    /// Shows the account so far below such a line, and begins a new one; false where nobody reads it any more.
    pub fn show(&mut self, run: &mut Run, head: &str) -> Result<bool, Failure> {
        let screen = Screen::of_stdout();
        let lines: Vec<String> = std::iter::once(head.to_owned()).chain(run.take_account()).collect();
        let text = if self.in_place { self.in_place(&lines, &screen) } else { lines.join("\n") + "\n" };
        self.begun = true;
        match output::write(&text) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(Failure::failed(format!("write on standard output: {error}"))),
        }
    }

    /// Nothing follows; what is written next doesn't stand beside the `^C` of a terminal.
    pub fn end(self) -> Result<(), Failure> {
        if self.in_place && self.begun {
            let _ = output::write("");
        }
        Ok(())
    }

    /// Cursor home, all below cleared, then as many lines as there is room for.
    fn in_place(&self, lines: &[String], screen: &Screen) -> String {
        let (width, height) = (screen.width.unwrap_or(80), screen.height.unwrap_or(24));
        let above = if self.begun { String::new() } else { "\n".repeat(height) };
        // The last row is where the cursor is left.
        let mut room = height.saturating_sub(1);
        let shown = lines.iter().take_while(|line| {
            let rows = columns(line).div_ceil(width).max(1);
            let fits = rows <= room;
            room = room.saturating_sub(rows);
            fits
        });
        format!("{above}\x1b[H\x1b[J{}", shown.map(String::as_str).collect::<Vec<_>>().join("\n"))
    }
}

/// How wide a line is on a terminal, which takes no room for colours.
fn columns(line: &str) -> usize {
    let mut pieces = line.split("\x1b[");
    let first = pieces.next().unwrap_or_default();
    let rest = pieces.map(|piece| piece.split_once('m').map_or(piece, |(_, text)| text));
    std::iter::once(first).chain(rest).map(unicode_width::UnicodeWidthStr::width).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_on_the_screen_is_left_out() {
        let screen = Screen { width: Some(10), height: Some(4), ..Screen::default() };
        let lines = ["\x1b[01mHEAD\x1b[0m", "over ten columns", "a", "b"].map(str::to_owned);
        let rounds = Rounds { in_place: true, begun: true };
        assert_eq!(rounds.in_place(&lines, &screen), "\x1b[H\x1b[J\x1b[01mHEAD\x1b[0m\nover ten columns");
    }

    #[test]
    fn the_first_round_scrolls_away_what_was_there() {
        let screen = Screen { width: Some(10), height: Some(2), ..Screen::default() };
        let rounds = Rounds { in_place: true, begun: false };
        assert_eq!(rounds.in_place(&["a".to_owned()], &screen), "\n\n\x1b[H\x1b[Ja");
    }
}
