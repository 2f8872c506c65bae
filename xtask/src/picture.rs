//! `cargo xtask picture`: README's picture of a terminal, drawn of what real hosts said.
//!
//! What must always hold: nothing in the picture was typed by hand. The commands are README's, run on a terminal of an
//! administrator's machine against two hosts, and what stands below each is what that terminal showed.

use crate::image;
use anstyle_svg::Term;
use std::fmt::Write;
use std::num::NonZero;
use std::path::PathBuf;
use tests::hosts::{Host, Hosts, SUITES, readmes_pipeline, with_hosts};
use vt100::{Cell, Color, Parser, Screen};

const COLUMNS: NonZero<u16> = NonZero::new(104).unwrap();
/// More than the session fills; the rest is cut off.
const ROWS: NonZero<u16> = NonZero::new(200).unwrap();

/// Draws it.
pub fn run() -> Result<(), String> {
    image::run(&image::Arguments::default())?;
    let [.., newest] = SUITES;
    with_hosts(newest, play);
    Ok(())
}

fn play(hosts: &Hosts) {
    hosts.file("secret", "correct horse battery staple\n");
    let [work, db1, db2] = hosts.boot(["work", "db1", "db2"]);
    db1.main_cluster();
    for host in [&db1, &db2] {
        host.lets_in(&work, "root");
        host.says("install -m 600 /exchange/secret /root/s");
    }
    // Over ssh the last tool has no terminal.
    let pipeline = readmes_pipeline(&db2).replace("--for streaming'", "--for streaming --output text'");
    let look = format!("ssh -t db2 pg-cluster status --cluster {}/replica", db2.suite.major);
    let said = session(hosts, &work, &[&pipeline, &pipeline, &look]);
    let mut terminal = Parser::new(ROWS, COLUMNS, 0);
    terminal.process(said.as_bytes());
    let path = path();
    std::fs::write(&path, Term::new().render_svg(&lines(terminal.screen()))).expect("write the picture");
    println!("{}", path.display());
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).with_file_name("docs").join("session.svg")
}

/// What a terminal shows of these commands, each behind a prompt.
fn session(hosts: &Hosts, host: &Host, commands: &[&str]) -> String {
    let mut script = String::from("set -o pipefail\n");
    for (index, command) in commands.iter().enumerate() {
        hosts.file(&format!("command-{index}"), command);
        let lines = format!("/exchange/command-{index}");
        let _ = write!(script, "printf '\\033[1m$ %s\\033[0m\\n' \"$(cat {lines})\"\n. {lines} || exit\necho\n");
    }
    hosts.file("session", &script);
    let typed = format!("stty cols {COLUMNS} rows {ROWS}; TERM=xterm-256color bash /exchange/session");
    host.says(&format!("script --quiet --return --command '{typed}' /dev/null"))
}

/// The screen line by line, with no other escapes than colours.
fn lines(screen: &Screen) -> String {
    let rows = (0..ROWS.get()).map(|row| {
        let cells = (0..COLUMNS.get()).filter_map(|column| screen.cell(row, column));
        let (mut line, mut style) = (String::new(), String::new());
        for cell in cells {
            let new = style_of(cell);
            if new != style {
                let _ = write!(line, "\x1b[0{new}m");
                style = new;
            }
            line.push_str(if cell.has_contents() { cell.contents() } else { " " });
        }
        format!("{}\x1b[0m", line.trim_end())
    });
    let rows: Vec<String> = rows.collect();
    let last = rows.iter().rposition(|row| row != "\x1b[0m").map_or(0, |last| last + 1);
    rows[..last].join("\n")
}

/// As the middle of an escape sequence.
fn style_of(cell: &Cell) -> String {
    let bold = if cell.bold() { ";1" } else { "" };
    match cell.fgcolor() {
        Color::Idx(index) => format!("{bold};38;5;{index}"),
        Color::Rgb(red, green, blue) => format!("{bold};38;2;{red};{green};{blue}"),
        Color::Default => bold.to_owned(),
    }
}
