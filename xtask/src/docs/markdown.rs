//! The project's own Markdown pages as man wants them.
//!
//! What must always hold: every word of a page is on the manual page too; pictures are not. A table becomes a list, its first column the
//! terms, because a manual is read in narrow terminals.

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// What stands under one heading.
pub struct Section {
    /// Without its marks.
    pub heading: String,
    level: HeadingLevel,
    blocks: Vec<Block>,
}

enum Block {
    Paragraph(Vec<Inline>),
    Item(Vec<Inline>),
    Code(String),
    Table(Vec<Vec<Vec<Inline>>>),
}

/// The sections of a page, in order; all of a page is in one.
pub fn sections(page: &str) -> Vec<Section> {
    let mut reader = Reader::default();
    for event in Parser::new_ext(page, Options::ENABLE_TABLES) {
        reader.take(event);
    }
    reader.sections
}

/// A page without these sections, each of which goes on to the next heading of its level; each must be there.
pub fn without(page: &str, headings: &[&str]) -> Result<String, String> {
    let is_start =
        |event: &Event<'_>| matches!(event, Event::Start(Tag::Heading { level, .. }) if *level <= HeadingLevel::H2);
    let events = Parser::new(page).into_offset_iter();
    let starts: Vec<usize> = events.filter(|(event, _)| is_start(event)).map(|(_, range)| range.start).collect();
    let ends = starts.iter().skip(1).copied().chain([page.len()]);
    let mut sections: Vec<&str> = starts.iter().zip(ends).map(|(start, end)| &page[*start..end]).collect();
    for heading in headings {
        let before = sections.len();
        sections.retain(|section| section.lines().next() != Some(&format!("## {heading}")));
        if sections.len() == before {
            return Err(format!("there is no heading {heading:?}"));
        }
    }
    Ok(sections.concat().trim_end().to_owned() + "\n")
}

#[derive(Default)]
struct Reader {
    sections: Vec<Section>,
    line: Vec<Inline>,
    row: Vec<Vec<Inline>>,
    rows: Vec<Vec<Vec<Inline>>>,
    code: Option<String>,
    in_item: bool,
    emphasized: bool,
    in_image: bool,
}

impl Reader {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                self.sections.push(Section { heading: String::new(), level, blocks: Vec::new() });
            }
            Event::End(TagEnd::Heading(_)) => {
                let heading = text_of(&std::mem::take(&mut self.line));
                if let Some(section) = self.sections.last_mut() {
                    section.heading = heading;
                }
            }
            Event::Start(Tag::Item) => self.in_item = true,
            Event::End(TagEnd::Item) => {
                self.end_of_line();
                self.in_item = false;
            }
            Event::End(TagEnd::Paragraph) => self.end_of_line(),
            Event::Start(Tag::CodeBlock(_)) => self.code = Some(String::new()),
            Event::End(TagEnd::CodeBlock) => {
                let code = self.code.take().unwrap_or_default();
                self.push(Block::Code(code));
            }
            Event::End(TagEnd::TableCell) => self.row.push(std::mem::take(&mut self.line)),
            Event::End(TagEnd::TableHead | TagEnd::TableRow) => self.rows.push(std::mem::take(&mut self.row)),
            Event::End(TagEnd::Table) => {
                let rows = std::mem::take(&mut self.rows);
                self.push(Block::Table(rows));
            }
            Event::Start(Tag::Strong | Tag::Emphasis) => self.emphasized = true,
            Event::End(TagEnd::Strong | TagEnd::Emphasis) => self.emphasized = false,
            // A manual has no pictures.
            Event::Start(Tag::Image { .. }) => self.in_image = true,
            Event::End(TagEnd::Image) => self.in_image = false,
            Event::Code(word) => self.line.push(bold(word.to_string())),
            Event::Text(text) => self.text(&text),
            Event::SoftBreak | Event::HardBreak => self.line.push(roman(" ")),
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        match &mut self.code {
            Some(code) => code.push_str(text),
            None if self.in_image => {}
            None if self.emphasized => self.line.push(italic(text)),
            None => self.line.push(roman(text)),
        }
    }

    fn end_of_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.push(if self.in_item { Block::Item(line) } else { Block::Paragraph(line) });
        }
    }

    fn push(&mut self, block: Block) {
        if let Some(section) = self.sections.last_mut() {
            section.blocks.push(block);
        }
    }
}

impl Section {
    /// The macro for its heading where its page is a section of a manual page.
    pub fn level(&self) -> &'static str {
        if self.level <= HeadingLevel::H1 { "SH" } else { "SS" }
    }

    /// Its first table without the head, if that has two columns.
    pub fn two_columns(&self) -> Option<Vec<[Vec<Inline>; 2]>> {
        let rows = self.blocks.iter().find_map(|block| match block {
            Block::Table(rows) => Some(rows),
            _ => None,
        })?;
        rows.iter().skip(1).map(|row| row.clone().try_into().ok()).collect()
    }

    /// Writes what stands under the heading.
    pub fn write(&self, roff: &mut Roff) {
        for (index, block) in self.blocks.iter().enumerate() {
            // A heading begins a paragraph.
            if index > 0 && matches!(block, Block::Paragraph(_) | Block::Code(_)) {
                roff.control("PP", []);
            }
            match block {
                Block::Paragraph(line) => drop(roff.text(line.clone())),
                Block::Item(line) => {
                    roff.control("IP", ["\\(bu", "2"]);
                    roff.text(line.clone());
                }
                Block::Code(code) => {
                    roff.control("EX", []);
                    for line in code.lines() {
                        roff.text([roman(line)]);
                    }
                    roff.control("EE", []);
                }
                Block::Table(rows) => list(roff, rows),
            }
        }
    }
}

/// Two columns are a list of terms. Where there are more, each value is told by the head of its column.
fn list(roff: &mut Roff, rows: &[Vec<Vec<Inline>>]) {
    let Some((head, rows)) = rows.split_first() else { return };
    for row in rows {
        roff.control("TP", []);
        let (term, rest) = row.split_at(1);
        roff.text(term.concat());
        match rest {
            [text] => drop(roff.text(text.clone())),
            [first, others @ ..] if head.first().is_some_and(|cell| text_of(cell) == "#") => {
                roff.text(first.clone());
                for other in others {
                    roff.control("br", []);
                    roff.text(other.clone());
                }
            }
            _ => {
                for (name, value) in head.iter().skip(1).zip(rest) {
                    roff.text([name.clone(), vec![roman(": ")], value.clone()].concat());
                    roff.control("br", []);
                }
            }
        }
    }
}

fn text_of(line: &[Inline]) -> String {
    let texts = line.iter().map(|inline| match inline {
        Inline::Roman(text) | Inline::Bold(text) | Inline::Italic(text) => text.as_str(),
        Inline::LineBreak => " ",
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Title\n\nFirst `code`\nwords.\n\n| a | b |\n| --- | --- |\n| `0` | done |\n\n## Next\n\n- one\n- two\n\n```sh\npg-role ensure x \\\n  | y\n```\n";

    fn written(section: &Section) -> String {
        let mut roff = Roff::new();
        section.write(&mut roff);
        roff.to_roff()
    }

    #[test]
    fn every_word_of_a_page_is_kept() {
        let sections = sections(PAGE);
        assert_eq!(sections.iter().map(|section| section.heading.as_str()).collect::<Vec<_>>(), ["Title", "Next"]);
        assert_eq!(written(&sections[0]), "First \\fBcode\\fR words.\n.TP\n\\fB0\\fR\ndone\n");
        assert_eq!(
            written(&sections[1]),
            ".IP \\(bu 2\none\n.IP \\(bu 2\ntwo\n.PP\n.EX\npg\\-role ensure x \\\\\n  | y\n.EE\n"
        );
    }

    #[test]
    fn a_page_without_a_section_has_all_else_as_it_was() {
        let page = "# Title\n\nwords\n\n## One\n\n```sh\n## Two\n```\n### Inside\n\n## Two\n\nend\n";
        assert_eq!(without(page, &["One"]).unwrap(), "# Title\n\nwords\n\n## Two\n\nend\n");
        assert_eq!(without(page, &["Two"]).unwrap(), page.replace("\n## Two\n\nend\n", ""));
        assert!(without(page, &["Three"]).unwrap_err().contains("Three"));
    }

    #[test]
    fn a_table_of_two_columns_is_rows_without_its_head() {
        let sections = sections(PAGE);
        let rows = sections[0].two_columns().unwrap();
        assert_eq!((text_of(&rows[0][0]), text_of(&rows[0][1])), ("0".into(), "done".into()));
    }
}
