//! Tables and lists of an account, made for the screen that they are read on.
//!
//! What must always hold: where stdout is no terminal nothing is shortened or left out; on a terminal nothing is but the
//! middle of a path and a column that says least, and a table that doesn't fit all the same becomes one list a row.

use super::colour::{Mark, Palette};
use std::io::IsTerminal;
use terminal_size::{Height, Width, terminal_size_of};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Between two columns.
const GAP: &str = "  ";
/// Sentences are made no narrower than this.
const NARROWEST: usize = 16;

/// Where an account is read.
#[derive(Clone, Debug, Default)]
pub struct Screen {
    /// Its columns; none where it is no terminal.
    pub width: Option<usize>,
    /// Its rows.
    pub height: Option<usize>,
    /// Its colours.
    pub colours: Palette,
}

impl Screen {
    /// Stdout's: `COLUMNS`, where somebody exports it, else what the terminal says, else 80 by 24.
    #[must_use]
    pub fn of_stdout() -> Self {
        let stdout = std::io::stdout();
        let colours = Palette::of(&stdout);
        if !stdout.is_terminal() {
            return Self { colours, ..Self::default() };
        }
        let (Width(width), Height(height)) = terminal_size_of(&stdout).unwrap_or((Width(80), Height(24)));
        let told =
            std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|columns| *columns > 0);
        Self { width: Some(told.unwrap_or(width.into())), height: Some(height.into()), colours }
    }
}

/// One entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    mark: Option<Mark>,
}

impl Cell {
    /// In a colour, for what needs a look.
    #[must_use]
    pub fn marked(self, mark: Mark) -> Self {
        Self { mark: Some(mark), ..self }
    }

    fn painted(&self, text: &str, colours: &Palette) -> String {
        self.mark.map_or_else(|| text.to_owned(), |mark| colours.paint(mark, text))
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        let text: String = text.into();
        // What a file or a server says must not move the cursor.
        let shown = |character: char| {
            if character.is_control() { character.escape_default().to_string() } else { character.to_string() }
        };
        let text = if text.contains(char::is_control) { text.chars().map(shown).collect() } else { text };
        Self { text, mark: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Path,
    Words,
}

/// What stands in a column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    head: &'static str,
    kind: Kind,
    is_least: bool,
}

impl Column {
    /// Words that stay in one piece.
    #[must_use]
    pub const fn text(head: &'static str) -> Self {
        Self { head, kind: Kind::Text, is_least: false }
    }

    /// Numbers, at the right.
    #[must_use]
    pub const fn number(head: &'static str) -> Self {
        Self { head, kind: Kind::Number, is_least: false }
    }

    /// Paths, with or without a line number; their middle can go.
    #[must_use]
    pub const fn path(head: &'static str) -> Self {
        Self { head, kind: Kind::Path, is_least: false }
    }

    /// Sentences, which can go over several lines.
    #[must_use]
    pub const fn words(head: &'static str) -> Self {
        Self { head, kind: Kind::Words, is_least: false }
    }

    /// It goes first, where there is not room for all.
    #[must_use]
    pub const fn least(self) -> Self {
        Self { is_least: true, ..self }
    }
}

/// Rows of as many cells as there are columns.
#[derive(Clone, Debug)]
pub struct Table<const N: usize> {
    columns: [Column; N],
    rows: Vec<[Cell; N]>,
}

/// The columns that are shown, and how wide.
type Layout = Vec<(usize, usize)>;

impl<const N: usize> Table<N> {
    /// A table with these rows.
    pub fn new(columns: [Column; N], rows: impl IntoIterator<Item = [Cell; N]>) -> Self {
        Self { columns, rows: rows.into_iter().collect() }
    }

    /// Its lines; none where it has no rows. A column without a word in it isn't shown.
    #[must_use]
    pub fn lines(&self, screen: &Screen) -> Vec<String> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        match self.layout(screen.width) {
            Some(layout) => self.as_table(&layout, &screen.colours),
            None => self.as_lists(screen),
        }
    }

    fn layout(&self, width: Option<usize>) -> Option<Layout> {
        let widest = |column: usize| self.rows.iter().map(|row| row[column].text.width()).max().unwrap_or_default();
        let told = (0..N).map(|column| (column, widest(column))).filter(|(_, width)| *width > 0);
        let all: Layout = told.map(|(column, width)| (column, width.max(self.columns[column].head.width()))).collect();
        let Some(width) = width else { return Some(all) };
        let least = all.iter().filter(|(column, _)| self.columns[*column].is_least).count();
        let narrow = |dropped: usize, narrower: &[Kind]| self.narrowed(self.without(&all, dropped), narrower, width);
        let wrapped = (0..=least).find_map(|dropped| narrow(dropped, &[Kind::Words]));
        wrapped.or_else(|| narrow(least, &[Kind::Words, Kind::Path]))
    }

    /// Without so many of the columns that say least, the last of them first.
    fn without(&self, all: &Layout, dropped: usize) -> Layout {
        let least = all.iter().rev().filter(|(column, _)| self.columns[*column].is_least).take(dropped);
        let gone: Vec<usize> = least.map(|(column, _)| *column).collect();
        all.iter().filter(|(column, _)| !gone.contains(column)).copied().collect()
    }

    /// With columns of these kinds as narrow as they must be, the widest first; none where that isn't enough.
    fn narrowed(&self, mut layout: Layout, kinds: &[Kind], width: usize) -> Option<Layout> {
        while total(&layout) > width {
            let can_go = |(column, width): &&mut (usize, usize)| {
                kinds.contains(&self.columns[*column].kind) && *width > self.narrowest(*column)
            };
            let widest = layout.iter_mut().filter(can_go).max_by_key(|(_, width)| *width)?;
            widest.1 -= 1;
        }
        Some(layout)
    }

    /// How narrow a column can be. The last name of a path stays whole.
    fn narrowest(&self, column: usize) -> usize {
        let last = |cell: &Cell| cell.text.rfind('/').map_or(cell.text.width(), |at| 1 + cell.text[at..].width());
        let narrowest = match self.columns[column].kind {
            Kind::Path => self.rows.iter().map(|row| last(&row[column])).max().unwrap_or_default(),
            _ => NARROWEST,
        };
        narrowest.max(self.columns[column].head.width())
    }

    fn as_table(&self, layout: &Layout, colours: &Palette) -> Vec<String> {
        let heads: [Cell; N] = self.columns.map(|column| Cell::from(column.head).marked(Mark::Locus));
        std::iter::once(&heads).chain(&self.rows).flat_map(|row| self.row(row, layout, colours)).collect()
    }

    /// One row, of as many lines as its tallest cell.
    fn row(&self, row: &[Cell; N], layout: &Layout, colours: &Palette) -> Vec<String> {
        let cells: Vec<Vec<String>> = layout
            .iter()
            .map(|(column, width)| fitted(&row[*column].text, self.columns[*column].kind, *width))
            .collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or_default();
        let line = |number: usize| {
            let parts = layout.iter().zip(&cells).map(|((column, width), lines)| {
                let text = lines.get(number).map_or("", String::as_str);
                let (painted, pad) =
                    (row[*column].painted(text, colours), " ".repeat(width.saturating_sub(text.width())));
                if self.columns[*column].kind == Kind::Number { pad + &painted } else { painted + &pad }
            });
            parts.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
        };
        (0..height).map(line).collect()
    }

    fn as_lists(&self, screen: &Screen) -> Vec<String> {
        let list = |row: &[Cell; N]| {
            let facts = self.columns.iter().zip(row).map(|(column, cell)| (column.head.to_lowercase(), cell.clone()));
            let told: Vec<(String, Cell)> = facts.filter(|(_, cell)| !cell.text.is_empty()).collect();
            self::list(&told, screen)
        };
        self.rows.iter().map(list).collect::<Vec<_>>().join(&String::new())
    }
}

fn total(layout: &Layout) -> usize {
    let widths: usize = layout.iter().map(|(_, width)| width + GAP.len()).sum();
    widths.saturating_sub(GAP.len())
}

/// Facts, one a line, with their names aligned; what doesn't fit goes on below, at the same place. A word stays in one
/// piece, so that a path can be copied.
#[must_use]
pub fn list<S: AsRef<str>>(facts: &[(S, Cell)], screen: &Screen) -> Vec<String> {
    let place = facts.iter().map(|(name, _)| name.as_ref().width() + 2).max().unwrap_or_default();
    let room = screen.width.map_or(usize::MAX, |width| width.saturating_sub(place).max(NARROWEST));
    let lines = |(name, cell): &(S, Cell)| {
        let name = format!("{}:", name.as_ref());
        let first = name.clone() + &" ".repeat(place.saturating_sub(name.width()));
        let text = wrapped(&cell.text, room).into_iter().enumerate();
        text.map(|(number, text)| {
            let start = if number == 0 { first.clone() } else { " ".repeat(place) };
            format!("{start}{}", cell.painted(&text, &screen.colours)).trim_end().to_owned()
        })
        .collect::<Vec<_>>()
    };
    facts.iter().flat_map(lines).collect()
}

fn fitted(text: &str, kind: Kind, width: usize) -> Vec<String> {
    match kind {
        Kind::Words => wrapped(text, width).iter().flat_map(|line| cut(line, width)).collect(),
        Kind::Path if text.width() > width => vec![shortened(text, width)],
        _ => vec![text.to_owned()],
    }
}

/// A sentence, over as many lines as it needs.
#[must_use]
pub fn sentence(text: &str, screen: &Screen) -> Vec<String> {
    wrapped(text, screen.width.unwrap_or(usize::MAX))
}

/// Lines of whole words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].width() + 1 + word.width() > width {
            lines.push(word.to_owned());
        } else {
            let blank = if lines[last].is_empty() { "" } else { " " };
            lines[last] = format!("{}{blank}{word}", lines[last]);
        }
    }
    lines
}

/// Pieces of what is too long for one.
fn cut(text: &str, width: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for character in text.chars() {
        let last = pieces.len() - 1;
        if pieces[last].width() + character.width().unwrap_or_default() > width {
            pieces.push(character.to_string());
        } else {
            pieces[last].push(character);
        }
    }
    pieces
}

/// A path without some of the folders in its middle: where it begins and what it ends with tells most.
fn shortened(path: &str, width: usize) -> String {
    let slashes: Vec<usize> = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).collect();
    let begin = slashes.first().map_or("", |at| &path[..*at]);
    let with_begin = slashes.iter().skip(1).map(|at| format!("{begin}/…{}", &path[*at..]));
    let without = slashes.iter().map(|at| format!("…{}", &path[*at..]));
    with_begin.chain(without).find(|short| short.width() <= width).unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
