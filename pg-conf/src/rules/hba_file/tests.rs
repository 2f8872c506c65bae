//! Reading and editing `pg_hba.conf` without loss.

use proptest::prelude::*;

use super::*;

/// The words of the columns, as `pg_hba_file_rules` shows them, or the reason of its error.
fn shown(line: &str, major: u32) -> String {
    let file = HbaFile::parse(line.as_bytes(), major);
    let texts = |words: &[Word]| words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(",");
    match file.records() {
        [Record::Rule(rule)] => {
            let address = rule.address.as_ref().map(|address| format!("{address:?} ")).unwrap_or_default();
            format!("{} {{{}}} {{{}}} {address}{}", rule.kind, texts(&rule.databases), texts(&rule.users), rule.method)
        }
        [Record::Invalid { reason, .. }] => reason.clone(),
        other => format!("{other:?}"),
    }
}

// The expectations of the next three tests are what pg_hba_file_rules of 15 said of the same lines.

#[test]
fn reads_columns_and_quotes_as_the_server_does() {
    for (line, expected) in [
        ("local all all trust\r", "local {all} {all} trust"),
        ("local all all ident map=x", "local {all} {all} peer"),
        ("\"host\" all all all \"md5\"", "host {all} {all} All md5"),
        ("host a\"ll\" u\"se\"r samehost md5", "host {all} {user} SameHost md5"),
        ("host a\"\"b a\"c\"\"d\" all md5", "host {ab} {ac\"d} All md5"),
        ("host , all , all all md5", "host {all} {all} All md5"),
        ("host \"\" \"\" all md5", "host {} {} All md5"),
        ("host all all \"all\" md5", "host {all} {all} HostName(\"all\") md5"),
        ("host a,b, c all .example.com md5", "host {a,b,c} {all} HostName(\".example.com\") md5"),
        ("host all all all \"md5", "host {all} {all} All md5"),
        ("host all all all md5#c", "host {all} {all} All md5"),
        ("host all /^a all trust", "host {all} {/^a} All trust"),
        ("host all all all ldap ldapserver=x ldapprefix=\"cn=, \"", "host {all} {all} All ldap"),
    ] {
        assert_eq!(shown(line, 15), expected, "{line}");
    }
}

#[test]
fn reads_addresses_as_the_server_does() {
    for (address, expected) in [
        ("10.0.0.1/24", "Cidr(10.0.0.1/24)"),
        ("10.1/16", "Cidr(10.0.0.1/16)"),
        ("010.0.0.1/32", "Cidr(8.0.0.1/32)"),
        ("0x0a.0.0.1/32", "Cidr(10.0.0.1/32)"),
        ("10.0.0.0/+8", "Cidr(10.0.0.0/8)"),
        ("10.0.0.0/08", "Cidr(10.0.0.0/8)"),
        ("::1/128", "Cidr(::1/128)"),
        ("fe80::1%lo/128", "Cidr(fe80::1/128)"),
        ("10.0.0.0 255.255.0.0", "Cidr(10.0.0.0/16)"),
        ("10.0.0.0 255.0.255.0", "Masked { address: 10.0.0.0, mask: 255.0.255.0 }"),
    ] {
        assert_eq!(shown(&format!("host all all {address} md5"), 15), format!("host {{all}} {{all}} {expected} md5"));
    }
}

#[test]
fn refuses_lines_for_the_reasons_that_the_server_gives() {
    for (line, reason) in [
        ("host all,replication , x all 10.0.0.0 255.0.0.0 trust", "invalid authentication method \"10.0.0.0\""),
        ("host all all 10.0.0.0/33 md5", "invalid CIDR mask in address \"10.0.0.0/33\""),
        ("host all all ::/129 md5", "invalid CIDR mask in address \"::/129\""),
        ("host all all 10.0.0.0/8/9 md5", "invalid CIDR mask in address \"10.0.0.0/8/9\""),
        ("host all all 10.0.0.0/ md5", "invalid CIDR mask in address \"10.0.0.0/\""),
        ("host all all 10.0.0.0/8x md5", "invalid CIDR mask in address \"10.0.0.0/8x\""),
        (
            "host all all x.example.com/32 md5",
            "specifying both host name and CIDR mask is invalid: \"x.example.com/32\"",
        ),
        ("host all all 10.0.0.0/16 255.0.0.0 md5", "invalid authentication method \"255.0.0.0\""),
        ("host all all 10 md5", "invalid IP mask \"md5\""),
        ("host all all 10.0.0.0", "end-of-line before netmask specification"),
        ("host all all 10.0.0.0 ffff:: md5", "IP address and mask do not match"),
        ("host all all a,b md5", "multiple values specified for host address"),
        ("host all", "end-of-line before role specification"),
        ("HOST all all all md5", "invalid connection type \"HOST\""),
        ("\x0chost all all all md5", "invalid connection type \"\x0chost\""),
        ("host,local all all all md5", "multiple values specified for connection type"),
        ("host all all all MD5", "invalid authentication method \"MD5\""),
        ("host all all all md5,trust", "multiple values specified for authentication type"),
        ("host all all all peer", "peer authentication is only supported on local sockets"),
        ("host all all all md5 foo", "authentication option not in name=value format: foo"),
        ("include x.conf", "invalid connection type \"include\""),
    ] {
        assert_eq!(shown(line, 15), reason, "{line}");
    }
}

#[test]
fn joins_continued_lines_from_14_on() {
    let text =
        b"host all \\\n   +adm,postgres \\\r\n all md5 # c \\\n continued host all\nlocal all all trust\\\\\n\n#\\";
    let file = HbaFile::parse(text, 14);
    let rule = file.rules()[0];
    assert_eq!((rule.line, rule.users.len(), rule.method.as_str()), (1, 2, "md5"));
    assert_eq!(file.records()[1].line(), 5);
    assert!(matches!(&file.records()[1], Record::Invalid { reason, .. } if reason.contains("\"trust\\\"")));
    assert_eq!(HbaFile::parse(text, 13).rules().len(), 0);
}

#[test]
fn shows_includes_from_16_on() {
    let text = b"include a.conf\ninclude_if_exists \"b c\"\n\"include_dir\" d # x\ninclude a b\n";
    let file = HbaFile::parse(text, 16);
    let kinds: Vec<_> =
        file.records().iter().map(|record| (record.line(), matches!(record, Record::Include { .. }))).collect();
    assert_eq!(kinds, [(1, true), (2, true), (3, true), (4, false)]);
    assert!(file.has_includes() && !HbaFile::parse(text, 15).has_includes());
    let expected = Record::Include { line: 2, kind: IncludeKind::FileIfExists, path: "b c".into() };
    assert_eq!(file.records()[1], expected);
}

#[test]
fn adds_lines_and_leaves_every_other_byte() {
    let mut file = HbaFile::parse(b"# caf\xe9\r\nlocal all all peer\r\nhost all \\\r\n all all md5", 15);
    assert_eq!(file.insert_before(4, "# new\nhost a b all md5"), 3);
    assert_eq!(file.append("host c d all md5\n"), 7);
    let expected = b"# caf\xe9\r\nlocal all all peer\r\n# new\r\nhost a b all md5\r\nhost all \\\r\n all all md5\r\nhost c d all md5";
    assert_eq!(file.to_bytes(), expected);
    file.remove(6).unwrap();
    file.remove(1).unwrap();
    assert_eq!(file.to_bytes(), b"local all all peer\r\n# new\r\nhost a b all md5\r\nhost c d all md5");
    assert!(file.remove(5).is_err());
}

#[test]
fn does_not_append_to_a_line_that_waits_for_more() {
    for (text, line) in [("local all all peer \\", 1), ("# x \\\n", 1), ("# x\nlocal all all \\\npeer \\", 2), ("", 1)]
    {
        let mut file = HbaFile::parse(text.as_bytes(), 15);
        let before = file.rules().len();
        assert_eq!(file.append("host a b all md5"), line);
        assert!(file.rules().iter().any(|rule| rule.line == line && rule.users[0].text == "b"));
        assert_eq!(file.rules().len(), before + 1);
        file.remove(line).unwrap();
        assert_eq!(file.to_bytes(), text.as_bytes());
    }
}

#[test]
fn writes_rules_in_the_columns_of_the_sample() {
    let (replication, role) = (Word::keyword("replication"), Word::name("replicator").unwrap());
    let line = format_rule(Kind::Host, &replication, &role, Some("192.0.2.7/32"), "scram-sha-256").unwrap();
    assert_eq!(line, "host    replication     replicator      192.0.2.7/32            scram-sha-256");
    let line = format_rule(Kind::Local, &Word::keyword("all"), &Word::name("all").unwrap(), None, "peer").unwrap();
    assert_eq!(line, "local   all             \"all\"                                   peer");
    let long = Word::name("a very \"long\" name").unwrap();
    let line = format_rule(Kind::HostNoGssEnc, &replication, &long, Some("::1/128"), "md5").unwrap();
    assert_eq!(line, "hostnogssenc replication     \"a very \"\"long\"\" name\" ::1/128                 md5");
}

#[test]
fn refuses_names_that_would_say_something_else() {
    assert!(Word::name("x\nhost all all all trust").is_err());
    assert!(Word::name("/x").is_err());
    let name = Word::keyword("x");
    assert!(format_rule(Kind::Host, &name, &name, Some("all trust #"), "md5").is_err());
    assert!(format_rule(Kind::Host, &name, &Word::keyword("a\nb"), Some("all"), "md5").is_err());
}

/// Text made of the pieces that the grammar cares about.
fn hba_like() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&'static [u8]> = vec![
        b"\n",
        b"\r\n",
        b"host ",
        b"local ",
        b"all ",
        b"10.0.0.0/8 ",
        b"md5",
        b",",
        b"\"",
        b"\\",
        b"\\\n",
        b"#",
        b" ",
        b"+a ",
        b"@f ",
        b"\xe9",
        b"include x\n",
        b"\0",
        b"host all all all md5\n",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn prints_what_it_read(bytes in prop::collection::vec(any::<u8>(), 0..400), major in 10u32..20) {
        prop_assert_eq!(HbaFile::parse(&bytes, major).to_bytes(), bytes);
    }

    #[test]
    fn a_line_that_was_inserted_and_removed_leaves_no_trace(bytes in hba_like(), line in 0usize..12, major in 13u32..17) {
        let before = HbaFile::parse(&bytes, major);
        let mut file = before.clone();
        let at = file.insert_before(line.min(before.line_count()), "host new new all reject");
        prop_assert!(file.rules().iter().any(|rule| rule.line == at && rule.users[0].text == "new"));
        prop_assert_eq!(file.records().len(), before.records().len() + 1);
        file.remove(at).unwrap();
        prop_assert_eq!(file.to_bytes(), bytes);
    }

    #[test]
    fn an_appended_rule_is_a_rule_and_the_others_stay(bytes in hba_like(), major in 13u32..17) {
        let before = HbaFile::parse(&bytes, major);
        prop_assume!(!before.lines.last().is_some_and(|line| line.is_unfinished));
        let mut file = before.clone();
        let line = file.append("host new new all reject");
        prop_assert!(file.to_bytes().starts_with(&bytes));
        prop_assert_eq!(file.rules().last().unwrap().line, line);
        prop_assert_eq!(file.records().len(), before.records().len() + 1);
    }

    #[test]
    fn an_appended_rule_that_is_removed_leaves_no_trace(bytes in hba_like(), major in 13u32..17) {
        let mut file = HbaFile::parse(&bytes, major);
        let line = file.append("host new new all reject");
        file.remove(line).unwrap();
        prop_assert_eq!(file.to_bytes(), bytes);
    }

    #[test]
    fn a_name_that_was_written_is_read_back(name in "[^\n\r\0/][^\n\r\0]{0,12}", address in "10\\.0\\.0\\.[0-9]/32") {
        let word = Word::name(name.clone()).unwrap();
        let line = format_rule(Kind::Host, &word, &word, Some(&address), "md5").unwrap();
        let file = HbaFile::parse(line.as_bytes(), 16);
        let rule = file.rules()[0];
        prop_assert_eq!(&rule.users, &vec![word.clone()]);
        prop_assert_eq!(&rule.databases, &vec![word]);
        prop_assert_eq!(rule.users[0].text.as_str(), name);
    }
}
