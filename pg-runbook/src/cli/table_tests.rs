//! Tables at widths that people have.

use super::*;

fn screen(width: usize) -> Screen {
    Screen { width: Some(width), ..Screen::default() }
}

fn shown(table: &Table<5>, screen: &Screen) -> String {
    let lines = table.lines(screen);
    if let Some(width) = screen.width {
        // A word stays in one piece in a list, so that it can be copied.
        let too_wide = |line: &&String| line.width() > width && line.split_whitespace().count() > 2;
        assert_eq!(lines.iter().find(too_wide), None);
    }
    lines.join("\n")
}

fn settings() -> Table<5> {
    let columns = [
        Column::text("NAME"),
        Column::number("VALUE"),
        Column::text("OWNER").least(),
        Column::path("WHERE"),
        Column::words("REMARKS"),
    ];
    let row = |cells: [&str; 5]| cells.map(Cell::from);
    Table::new(
        columns,
        [
            row(["port", "5432", "postgres", "/etc/postgresql/17/main/postgresql.conf:64", ""]),
            row([
                "max_connections",
                "200",
                "postgres",
                "/etc/postgresql/17/main/conf.d/memory.conf:3",
                "overrides 100 in postgresql.conf:65; restart pending",
            ]),
        ],
    )
}

#[test]
fn numbers_stand_at_the_right_and_nothing_is_shortened_outside_a_terminal() {
    insta::assert_snapshot!(shown(&settings(), &Screen::default()), @r"
    NAME             VALUE  OWNER     WHERE                                         REMARKS
    port              5432  postgres  /etc/postgresql/17/main/postgresql.conf:64
    max_connections    200  postgres  /etc/postgresql/17/main/conf.d/memory.conf:3  overrides 100 in postgresql.conf:65; restart pending
    ");
}

#[test]
fn sentences_go_over_several_lines_where_there_are_120_columns() {
    insta::assert_snapshot!(shown(&settings(), &screen(120)), @r"
    NAME             VALUE  OWNER     WHERE                                         REMARKS
    port              5432  postgres  /etc/postgresql/17/main/postgresql.conf:64
    max_connections    200  postgres  /etc/postgresql/17/main/conf.d/memory.conf:3  overrides 100 in postgresql.conf:65;
                                                                                    restart pending
    ");
}

#[test]
fn the_least_column_goes_and_paths_lose_their_middle_where_there_are_80() {
    insta::assert_snapshot!(shown(&settings(), &screen(80)), @r"
    NAME             VALUE  WHERE                        REMARKS
    port              5432  /etc/…/postgresql.conf:64
    max_connections    200  /etc/…/conf.d/memory.conf:3  overrides 100 in
                                                         postgresql.conf:65; restart
                                                         pending
    ");
}

#[test]
fn a_table_that_does_not_fit_is_a_list_for_each_row() {
    insta::assert_snapshot!(shown(&settings(), &screen(40)), @r"
    name:  port
    value: 5432
    owner: postgres
    where: /etc/postgresql/17/main/postgresql.conf:64

    name:    max_connections
    value:   200
    owner:   postgres
    where:   /etc/postgresql/17/main/conf.d/memory.conf:3
    remarks: overrides 100 in
             postgresql.conf:65; restart
             pending
    ");
}

#[test]
fn a_column_without_a_word_is_not_shown_nor_a_table_without_rows() {
    let columns = [Column::text("A"), Column::text("B")];
    let table = Table::new(columns, [["".into(), "x".into()]]);
    assert_eq!(table.lines(&Screen::default()), ["B", "x"]);
    assert!(Table::new(columns, []).lines(&Screen::default()).is_empty());
}

#[test]
fn wide_characters_take_two_columns_and_marks_none() {
    let columns = [Column::text("NAME"), Column::text("B")];
    let table = Table::new(columns, [["数据库".into(), "x".into()], ["cafe\u{301}".into(), "y".into()]]);
    assert_eq!(table.lines(&Screen::default()), ["NAME    B", "数据库  x", "cafe\u{301}    y"]);
}

#[test]
fn what_a_file_says_moves_no_cursor() {
    assert_eq!(Cell::from("a\u{1b}[2J\tb\n").text, "a\\u{1b}[2J\\tb\\n");
}

#[test]
fn colour_takes_no_room_and_ends_before_the_blanks() {
    let colours = Palette::always();
    let columns = [Column::text("STATE"), Column::text("B")];
    let table = Table::new(columns, [[Cell::from("down").marked(Mark::Error), "x".into()]]);
    let lines = table.lines(&Screen { colours, ..Screen::default() });
    assert_eq!(lines, ["\u{1b}[01mSTATE\u{1b}[0m  \u{1b}[01mB\u{1b}[0m", "\u{1b}[01;31mdown\u{1b}[0m   x"]);
}

#[test]
fn a_path_keeps_its_beginning_and_its_end() {
    let path = "/etc/postgresql/17/main/conf.d/memory.conf:3";
    let cases = [
        (44, path),
        (40, "/etc/…/17/main/conf.d/memory.conf:3"),
        (24, "/etc/…/memory.conf:3"),
        (17, "…/memory.conf:3"),
    ];
    for (width, expected) in cases {
        assert_eq!(fitted(path, Kind::Path, width), [expected]);
    }
}

#[test]
fn a_list_goes_on_at_the_same_place() {
    let facts = [("managed by", Cell::from("systemd, by the unit postgresql@17-main")), ("port", "5432".into())];
    assert_eq!(
        list(&facts, &screen(34)),
        ["managed by: systemd, by the unit", "            postgresql@17-main", "port:       5432"]
    );
}
