//! Which line wins, and editing without loss.

use proptest::prelude::*;

use super::*;

const FILE: &str =
    "# ours\ndb1:5432:replication:replicator:old\n\n*:*:*:replicator:any\nlocalhost:5432:app:joe:j\\:o\\\\e\n";

fn secret(text: &str) -> Secret {
    Secret::new(text.into())
}

fn lookup(file: &str, key: &Key) -> Option<(usize, String)> {
    let entry = PassFile::parse(file.as_bytes()).find(key)?;
    Some((entry.line, entry.password?.expose().to_owned()))
}

fn after_set(file: &str, key: &Key, password: &str) -> (Change, String) {
    let mut passfile = PassFile::parse(file.as_bytes());
    let change = passfile.set(key, &secret(password)).unwrap();
    let text = String::from_utf8(passfile.to_bytes().to_vec()).unwrap();
    assert_eq!(passfile.set(key, &secret(password)).unwrap(), Change::Unchanged, "a second time changes nothing");
    assert_eq!(lookup(&text, key).map(|found| found.1).as_deref(), Some(password), "it is the one that is found");
    (change, text)
}

#[test]
fn takes_the_first_line_that_matches() {
    assert_eq!(lookup(FILE, &Key::new("db1", 5432, "replication", "replicator")), Some((2, "old".into())));
    assert_eq!(lookup(FILE, &Key::new("db2", 5432, "replication", "replicator")), Some((4, "any".into())));
    assert_eq!(lookup(FILE, &Key::new("db1", 5432, "app", "ann")), None);
}

#[test]
fn unescapes_colons_and_backslashes() {
    assert_eq!(lookup(FILE, &Key::new("localhost", 5432, "app", "joe")), Some((5, "j:o\\e".into())));
}

#[test]
fn looks_the_default_socket_directory_up_as_localhost() {
    assert_eq!(lookup(FILE, &Key::new("/var/run/postgresql", 5432, "app", "joe")), Some((5, "j:o\\e".into())));
    assert_eq!(lookup(FILE, &Key::new("", "", "app", "joe")), Some((5, "j:o\\e".into())));
    assert_eq!(lookup(FILE, &Key::new("/srv/sockets", 5432, "app", "joe")), None);
    assert_eq!(lookup("/srv/sockets:*:*:joe:x\n", &Key::new("/srv/sockets", 1, "app", "joe")), Some((1, "x".into())));
}

#[test]
fn matches_an_address_whose_colons_are_not_escaped_as_libpq_does() {
    let found = PassFile::parse(b"::1:5432:app:joe:pw\n").find(&Key::new("::1", 5432, "app", "joe")).unwrap();
    assert_eq!((found.host, found.username), (Field::Text("::1".into()), Field::Text("joe".into())));
    assert_eq!(found.password, Some(secret("pw")));
    assert_eq!(lookup("\\:\\:1:5432:app:joe:pw\n", &Key::new("::1", 5432, "app", "joe")), Some((1, "pw".into())));
}

#[test]
fn strips_every_line_ending_and_what_follows_the_password() {
    assert_eq!(lookup("*:*:*:joe:pw\r\r\n", &Key::new("a", 1, "b", "joe")), Some((1, "pw".into())));
    assert_eq!(lookup("*:*:*:joe:pw:rest", &Key::new("a", 1, "b", "joe")), Some((1, "pw".into())));
    assert_eq!(lookup("*:*:*:joe:pw\\", &Key::new("a", 1, "b", "joe")), Some((1, "pw\\".into())));
}

#[test]
fn finds_nothing_without_a_database_or_a_role() {
    assert_eq!(lookup("*:*:*:*:x\n", &Key::new("a", 1, "", "joe")), None);
    assert_eq!(lookup("*:*:*:*:x\n", &Key::new("a", 1, "app", "")), None);
}

#[test]
fn lists_entries_and_names_lines_that_are_none() {
    let file = PassFile::parse(b"# c\na:1:b:c:d\nbroken:line\n*:*:\\*:\\#x:\xff\n\n");
    let entries = file.entries();
    assert_eq!(entries.iter().map(|entry| entry.line).collect::<Vec<_>>(), [2, 4]);
    assert_eq!((&entries[1].host, &entries[1].database), (&Field::Any, &Field::Text("*".into())));
    assert_eq!((&entries[1].username, &entries[1].password), (&Field::Text("#x".into()), &None));
    assert_eq!(file.malformed(), [3]);
}

#[test]
fn shows_no_password_when_debugged() {
    assert!(!format!("{:?}", PassFile::parse(b"a:1:b:c:swordfish\n")).contains("swordfish"));
}

#[test]
fn replaces_only_the_bytes_of_the_password() {
    let (change, text) = after_set("# x\r\n\\db1:5432:a:joe:old:rest\r\n", &Key::new("db1", 5432, "a", "joe"), "n:w\\");
    assert_eq!(change, Change::Replaced { line: 2 });
    assert_eq!(text, "# x\r\n\\db1:5432:a:joe:n\\:w\\\\:rest\r\n");
}

#[test]
fn leaves_a_file_alone_that_already_says_so() {
    let file = "db1:5432:a:joe:\\p\\w\n";
    assert_eq!(after_set(file, &Key::new("db1", 5432, "a", "joe"), "pw"), (Change::Unchanged, file.to_owned()));
}

#[test]
fn adds_a_line_before_the_wildcard_that_would_win() {
    let (change, text) = after_set("a:1:b:c:d\n# all\n*:*:*:*:x\n", &Key::new("db1", 5432, "app", "joe"), "pw");
    assert_eq!(change, Change::Added { line: 3 });
    assert_eq!(text, "a:1:b:c:d\n# all\ndb1:5432:app:joe:pw\n*:*:*:*:x\n");
}

#[test]
fn moves_a_line_that_a_wildcard_hides() {
    let (change, text) = after_set("*:*:*:*:x\n# joe\ndb1:1:app:joe:pw", &Key::new("db1", 1, "app", "joe"), "pw");
    assert_eq!(change, Change::Replaced { line: 1 });
    assert_eq!(text, "db1:1:app:joe:pw\n*:*:*:*:x\n# joe\n");
}

#[test]
fn keeps_line_endings_and_a_missing_last_one() {
    let key = Key::new("db1", 5432, "app", "joe");
    assert_eq!(after_set("a:1:b:c:d\r\n", &key, "pw").1, "a:1:b:c:d\r\ndb1:5432:app:joe:pw\r\n");
    assert_eq!(after_set("a:1:b:c:d", &key, "pw").1, "a:1:b:c:d\ndb1:5432:app:joe:pw");
    assert_eq!(after_set("", &key, "pw"), (Change::Added { line: 1 }, "db1:5432:app:joe:pw\n".into()));
}

#[test]
fn writes_the_wildcard_and_the_name_that_libpq_looks_up() {
    let mut file = PassFile::default();
    file.set(&Key::new("/var/run/postgresql", "*", "*", "joe"), &secret("pw")).unwrap();
    assert_eq!(file.to_bytes().as_slice(), b"localhost:*:*:joe:pw\n");
    assert!(file.find(&Key::new("localhost", 5433, "app", "joe")).is_some());
}

#[test]
fn writes_a_host_that_would_look_like_a_comment_so_that_it_is_none() {
    assert_eq!(after_set("", &Key::new("#1", 1, "a", "joe"), "pw").1, "\\#1:1:a:joe:pw\n");
}

#[test]
fn refuses_a_password_with_a_newline() {
    let failure = PassFile::default().set(&Key::new("a", 1, "b", "c"), &secret("sword\nfish")).unwrap_err();
    assert_eq!(failure.code, crate::Code::Usage);
    assert!(!failure.to_string().contains("fish"));
}

#[test]
fn removes_only_lines_with_exactly_that_key() {
    let mut file = PassFile::parse(b"*:*:*:joe:x\ndb1:1:a:joe:x\n# c\ndb1:1:a:joe:y\n");
    assert_eq!(file.remove(&Key::new("db1", 1, "a", "joe")), [2, 4]);
    assert_eq!(file.to_bytes().as_slice(), b"*:*:*:joe:x\n# c\n");
    assert_eq!(file.remove(&Key::new("*", "*", "*", "joe")), [1]);
}

#[test]
fn tells_what_libpq_would_ignore() {
    assert_eq!(permissions_problem(0o100_600), None);
    assert!(permissions_problem(0o100_640).unwrap().contains("mode 0640"));
    assert!(permissions_problem(0o100_604).is_some());
    assert!(permissions_problem(0o010_600).unwrap().contains("plain file"));
}

proptest! {
    #[test]
    fn gives_any_bytes_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(PassFile::parse(&bytes).to_bytes().to_vec(), bytes);
    }

    #[test]
    fn gives_lines_of_its_own_alphabet_back(text in "[ab:*#\\\\\r\n]{0,60}") {
        prop_assert_eq!(PassFile::parse(text.as_bytes()).to_bytes().to_vec(), text.into_bytes());
    }

    #[test]
    fn finds_what_it_set(text in "[ab:*#\\\\\r\n]{0,60}", host in "[ab:#\\\\]{1,4}", password in "[ab:*\\\\]{1,5}") {
        after_set(&text, &Key::new(host, 1, "a", "b"), &password);
    }
}
