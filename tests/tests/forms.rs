//! Every form that the two files can take, one test each: it reads as what it says, and comes through every edit.

use pg_conf::hba_file::{HbaFile, Record};
use pg_runbook::configuration::{ConfFile, EntryKind};
use tests::lossless;

/// Makes a test of each form: the bytes, and the assignments in them.
macro_rules! postgresql_conf {
    ($($form:ident: $bytes:expr => $expected:expr;)*) => {
        mod postgresql_conf {$(
            #[test]
            fn $form() {
                super::expect_assignments($bytes, &$expected);
            }
        )*}
    };
}

/// Makes a test of each form: the first major that knows it, the bytes, and how many rules and includes are in them.
macro_rules! pg_hba_conf {
    ($($form:ident: $major:literal $bytes:expr => $rules:literal;)*) => {
        mod pg_hba_conf {$(
            #[test]
            fn $form() {
                super::expect_rules($major, $bytes, $rules);
            }
        )*}
    };
}

postgresql_conf! {
    crlf: b"port = 1\r\n\r\n# c\r\nwork_mem = 2MB # d\r\n" => [(1, "port", "1"), (4, "work_mem", "2MB")];
    crlf_and_lf_mixed: b"port = 1\r\nwork_mem = 2MB\n" => [(1, "port", "1"), (2, "work_mem", "2MB")];
    tabs: b"\tport\t=\t1\t\nwork_mem\t2MB\t# c\n" => [(1, "port", "1"), (2, "work_mem", "2MB")];
    no_final_newline: b"port = 1\nwork_mem = 2MB" => [(1, "port", "1"), (2, "work_mem", "2MB")];
    nothing_at_all: b"" => [];
    only_blanks_and_comments: b"\n \n\t# c\n\r\n" => [];
    quotes: b"listen_addresses = '*'\nport='1'# c\n" => [(1, "listen_addresses", "*"), (2, "port", "1")];
    doubled_quotes: b"a.b = 'it''s '''' here'\nport = 1\n" => [(1, "a.b", "it's '' here"), (2, "port", "1")];
    backslash_escapes: br"a.b = 'it\'s\t\\ \101'" => [(1, "a.b", "it's\t\\ A")];
    hash_in_quotes: b"log_filename = 'a#b' # c\n" => [(1, "log_filename", "a#b")];
    comment_after_value: b"port = 1 # c\nwork_mem = 2MB#d\n" => [(1, "port", "1"), (2, "work_mem", "2MB")];
    without_equals_sign: b"port 1\nwork_mem'2MB'\n" => [(1, "port", "1"), (2, "work_mem", "2MB")];
    upper_case: b"PORT = 1\nWork_Mem = 2MB\nFSYNC ON\n"
        => [(1, "port", "1"), (2, "work_mem", "2MB"), (3, "fsync", "ON")];
    repeated_names: b"port = 1\nport = 2\nPort = 3\n"
        => [(1, "port", "1"), (2, "port", "2"), (3, "port", "3")];
    latin_1_bytes: b"# caf\xe9\nport = 1 # \xfc\na.\xe9 = 'x\xdf'\n"
        => [(2, "port", "1"), (3, "a.\u{fffd}", "x\u{fffd}")];
    numbers_of_all_kinds: b"port = 0x10\nx.y = .5e-3\ncpu_tuple_cost -1.\n"
        => [(1, "port", "0x10"), (2, "x.y", ".5e-3"), (3, "cpu_tuple_cost", "-1.")];
    includes_between: b"include 'a'\nport = 1\nInclude_If_Exists b\nINCLUDE_DIR = c" => [(2, "port", "1")];
    lines_that_are_none: b"port = = 1\nport = 1\n= 2\nport = 'a\nb'\n" => [(2, "port", "1")];
    byte_order_mark: b"\xef\xbb\xbfport = 1\nport = 2\n" => [(1, "\u{feff}port", "1"), (2, "port", "2")];
    nul_bytes: b"port = 1\0\nwork_mem = 2MB\n# \0\n" => [(2, "work_mem", "2MB")];
}

pg_hba_conf! {
    local: 10 b"local all all peer\n" => 1;
    host: 10 b"host all all 10.0.0.0/8 md5\n" => 1;
    hostssl: 10 b"hostssl all all 10.0.0.0/8 cert\n" => 1;
    hostnossl: 10 b"hostnossl all all 0.0.0.0/0 reject\n" => 1;
    hostgssenc: 12 b"hostgssenc all all 0.0.0.0/0 gss\n" => 1;
    hostnogssenc: 12 b"hostnogssenc all all 0.0.0.0/0 reject\n" => 1;
    every_method: 18 b"host a a ::/0 trust\nhost a a ::/0 reject\nhost a a ::/0 scram-sha-256\nhost a a ::/0 md5
host a a ::/0 password\nhost a a ::/0 gss\nhost a a ::/0 sspi\nhost a a ::/0 ident\nlocal a a peer\nhost a a ::/0 ldap
host a a ::/0 radius\nhostssl a a ::/0 cert\nhost a a ::/0 pam\nhost a a ::/0 bsd\nhost a a ::/0 oauth\n" => 15;
    quoted_names: 10 b"local \"a b\" \"say \"\"hi\"\"\" md5\nlocal \"all\" \"\" md5\n" => 2;
    lists: 10 b"local a,b,\"c d\" x,y md5\nlocal a, b c,d md5\n" => 2;
    at_files: 10 b"local @dbs @\"role list\",x md5\n" => 1;
    plus_roles: 10 b"local all +staff,+\"my staff\" md5\n" => 1;
    regular_expressions: 16 b"local /^db\\d+$ \"/^(a|b), c$\",x md5\n" => 1;
    includes: 16 b"include a\ninclude_if_exists \"b c\"\ninclude_dir d # e\n" => 3;
    host_names: 10 b"host all all db1.example.com md5\nhost all all .example.com md5\n" => 2;
    masks: 10 b"host all all 10.0.0.0 255.0.0.0 md5\nhost all all fe80:: ffff:: md5\n" => 2;
    samehost_and_samenet: 10 b"host all all samehost md5\nhost all all samenet md5\nhost all all all md5\n" => 3;
    ipv6: 10 b"host all all ::1/128 md5\nhost all all 2001:DB8::/32 md5\nhost all all ::ffff:10.0.0.1/128 md5\n" => 3;
    options: 10 b"host all all ::/0 ldap ldapserver=x ldapprefix=\"cn=\" \"ldapsuffix=, dc=b\"\n" => 1;
    line_continuation: 14 b"host a,\\\nb all \\\r\n ::/0 md5 # c \\\nlocal all all trust\nlocal all all peer\\\n" => 2;
    crlf: 10 b"# c\r\nlocal all all peer\r\n\r\nhost all all ::/0 md5 # d\r\n" => 2;
    tabs: 10 b"local\tall\tall\t\tpeer\t# c\n\t\n" => 1;
    no_final_newline: 10 b"local all all peer\nhost all all ::/0 md5" => 2;
    nothing_at_all: 10 b"" => 0;
    comments_at_the_end: 10 b"# c\nlocal all all peer # d\nlocal all all md5#e\n" => 2;
    latin_1_bytes: 10 b"# caf\xe9\nlocal d\xe9p\xf4t \"fran\xe7ois\" md5\n" => 1;
}

fn expect_assignments(bytes: &[u8], expected: &[(usize, &str, &str)]) {
    let file = ConfFile::parse(bytes);
    let assigned = file.entries().iter().filter_map(|entry| match &entry.kind {
        EntryKind::Assignment { name, value } => Some((entry.line, name.as_str(), value.as_str())),
        _ => None,
    });
    assert_eq!(assigned.collect::<Vec<_>>(), expected);
    lossless::conf_file(bytes);
}

fn expect_rules(first_major: u32, bytes: &[u8], expected: usize) {
    for major in first_major..=19 {
        let records = HbaFile::parse(bytes, major).records().to_vec();
        let invalid = records.iter().find(|record| matches!(record, Record::Invalid { .. }));
        assert_eq!(invalid, None, "{major} takes every line");
        assert_eq!(records.len(), expected, "as {major} reads it");
    }
    lossless::hba_file(bytes);
}
