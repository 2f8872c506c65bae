//! Verifiers that real servers made.

use super::*;

/// Role, password, and what a real server stored for them.
const STORED: [(&str, &str, &str); 16] = [
    // 10.23
    (
        "a2",
        "pässwörd",
        "SCRAM-SHA-256$4096:j9v3t5PeWN2l/yOV8i31Bw==$nxrCU9kNWTwRRKXyZi/WxoSbMwGsP6HBatmxn0f2dKg=:veWMtXzyN0Z95OWyZsFqvBXn2BzBQz3r9ENGy8Z2x4A=",
    ),
    (
        "a5",
        "\u{1F600} emoji",
        "SCRAM-SHA-256$4096:All9pEYs6WzAmx25bR/uLQ==$SgeQmfZaZ9bnj1Ue4er0IGIB9RKOB1K7beDJo1vvxII=:gUnWDuKyvwN9qNL7fRv/YsaCX4W1dBe8khP13qwjOc4=",
    ),
    ("m2", "pässwörd", "md59863bf768cd93cc984f0d413a6d4138e"),
    // 12.22
    (
        "a2",
        "pässwörd",
        "SCRAM-SHA-256$4096:LPs2o1yb8gqgL96hdmU+gg==$kyjwcG2C5vESOO2B15Ca6rRuU1e39PRTdxAsK8UuXHE=:pJYSJKXyc04jewwrEgYFP/tF86o0dESSuXOqZ1LwpP4=",
    ),
    (
        "a5",
        "\u{1F600} emoji",
        "SCRAM-SHA-256$4096:EiDpVbZ4QNZrUaegC+9jXQ==$ZzyVNQHJxJlD7TsStFY+YHABbUQ3MJI2FAaXyRjTphM=:mdsRdrByR3Y24/ALT8JjzLOGD9BpF4PPLgbibMkmaUo=",
    ),
    ("m2", "pässwörd", "md59863bf768cd93cc984f0d413a6d4138e"),
    // 15.18
    (
        "a1",
        "swordfish",
        "SCRAM-SHA-256$4096:zEdc3/7+MI9UjMFmZ67imQ==$R6lHSy/Hf6Zjm60RE5Fxkn4z9PnfmpNZJ1kZtK772tc=:rosEw4uMB71MFWDHvZUmNbqH8+m12rlmN0VB9c65bNY=",
    ), // ASCII
    (
        "a2",
        "pässwörd",
        "SCRAM-SHA-256$4096:goqHf0rpeAjxvf03wa7AKw==$R0jvDXlhmzJhFmUT5uvG0JNJVcn/17WsYZUVFxqT2hU=:9ajuUa/inTmAfDtMp32974D1Rsa+8Z1xNF6H1fmqo8U=",
    ), // not ASCII
    (
        "a3",
        "I\u{ad}X",
        "SCRAM-SHA-256$4096:0BqhRA9pfmnciZbbbX+s6A==$6jDdLVhAMMDUmC90kDyf7jyy5MbdFLRXhLTF0fzswdI=:QmwUUFjvwl9If4r+ssjHABFRW8SYk6ErkrZBP+fzzp8=",
    ), // a soft hyphen is dropped
    (
        "a4",
        "ª Ⅸ",
        "SCRAM-SHA-256$4096:sX1+ACBSMRHSFUi3OCQIEQ==$0e1ENbnW6/Zctrzoh8xDe/9H01LCu4Vf5qE34O2fSc0=:k41b+6n2HiSqO/s71GgjWYVy/Q3GTcpHMCZ5YuMXn9I=",
    ), // compatibility characters are replaced
    (
        "a5",
        "\u{1F600} emoji",
        "SCRAM-SHA-256$4096:vl4vvkBfkEp1cRzKoFodGA==$Ou099P4wr+dSlmhzXlQTCJCBEKvbZfktkqjZVuFp73Y=:baasohym86YBh4vAxNeZ+z2AHV19ItyfsP7OYplSAEs=",
    ), // unassigned in Unicode 3.2
    (
        "a6",
        "bell\u{7}é",
        "SCRAM-SHA-256$4096:FURPK+CbVl4Fn+RLd6n9jQ==$+wzElg/m0fLP6Z1IzlbeAYJGOI75W42s44zBz3jU++k=:hBgqxtVmQ4G26Za9xNgUbpV7LqFeZILErySgqlL12js=",
    ), // a control character is prohibited
    (
        "a7",
        "\u{ad}",
        "SCRAM-SHA-256$4096:B0VRSRnkFOQGkOtIBASVOg==$NrxTIK9FGn4KEp1Ru4wJMZxaeMhX52N6kOciKyd10Zg=:J9J6LdLtq2I1c43Oszlacdg3AjsAlHUFSxqUBb69OdI=",
    ), // nothing is left
    (
        "a8",
        "a\u{5D0}1",
        "SCRAM-SHA-256$4096:0uGOXpvSB8iOO5au1NIaxQ==$/5GYBTZ7TSvTIkQ0RBLX4zscOs5AR1ctqnn/EEF2lf4=:e0zm2a8f9ZvBnO8rvoHcq4CSV+tTcEUOGL1vM2J2N4I=",
    ), // mixed directions are prohibited
    ("m1", "swordfish", "md5a4b4e72db75b9546bda8bd3daae3aa78"),
    ("m2", "pässwörd", "md59863bf768cd93cc984f0d413a6d4138e"),
];

fn secret(text: &str) -> Secret {
    Secret::new(text.into())
}

#[test]
fn knows_the_password_of_what_real_servers_stored() {
    for (role, password, stored) in STORED {
        assert_eq!(matches(stored, &secret(password), role), Answer::Same, "{role} {stored}");
        assert_eq!(matches(stored, &secret("another"), role), Answer::Different, "{role} {stored}");
    }
}

#[test]
fn takes_differently_typed_forms_of_one_password_for_the_same() {
    let composed = scram_verifier(&secret("p\u{e4}ss"));
    assert_eq!(matches(&composed, &secret("pa\u{308}ss"), "joe"), Answer::Same);
}

#[test]
fn knows_the_password_of_what_it_made_itself() {
    for password in ["swordfish", "pässwörd", "\u{1F600}", ""] {
        let made = scram_verifier(&secret(password));
        assert!(made.starts_with("SCRAM-SHA-256$4096:"));
        assert_eq!(matches(&made, &secret(password), "joe"), Answer::Same);
        assert_ne!(made, scram_verifier(&secret(password)), "every verifier has its own salt");
    }
}

#[test]
fn salts_md5_with_the_name_of_the_role() {
    let (_, password, stored) = STORED.into_iter().find(|(role, ..)| *role == "m1").unwrap();
    assert_eq!(matches(stored, &secret(password), "another"), Answer::Different);
}

#[test]
fn does_not_judge_what_it_does_not_understand() {
    for stored in [
        "swordfish",
        "",
        "md5",
        "md5A4b4e72db75b9546bda8bd3daae3aa78",
        "SCRAM-SHA-256$",
        "SCRAM-SHA-256$0:c2FsdA==$c2FsdA==:c2FsdA==",
        "SCRAM-SHA-256$4096:c2FsdA==$c2FsdA==:c2FsdA==",
        "SCRAM-SHA-512$4096:c2FsdA==$a:b",
    ] {
        assert_eq!(Verifier::parse(Some(stored)), Verifier::Other, "{stored}");
        assert_eq!(matches(stored, &secret("swordfish"), "joe"), Answer::Unknown, "{stored}");
    }
    assert_eq!(Verifier::parse(None), Verifier::None);
}

#[test]
fn shows_nothing_when_debugged() {
    for (_, _, stored) in STORED {
        let shown = format!("{:?}", Verifier::parse(Some(stored)));
        assert!(shown.ends_with("(…)"), "{shown}");
    }
}
