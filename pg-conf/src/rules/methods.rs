//! What an authentication method does with a login once its rule has won, in words.
//!
//! What must always hold: a method that lets in without a check says so plainly.

use crate::rules::hba_file::Rule;

/// What the method of this rule does with a login as `login_name`.
pub fn consequence(rule: &Rule, login_name: &str) -> String {
    let option = |name: &str| {
        let value = rule.options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
        value.map(str::to_owned)
    };
    let follows = match rule.method.as_str() {
        "trust" => "lets in without a password".to_owned(),
        "reject" => "keeps it out".to_owned(),
        "scram-sha-256" => "asks for the password (SCRAM; a verifier stored for md5 won't do)".to_owned(),
        "md5" => "asks for the password (MD5, or SCRAM where the verifier is one)".to_owned(),
        "password" => "asks for the password, sent as it is".to_owned(),
        "peer" => match option("map") {
            Some(map) => {
                format!("asks the operating system for the user's name; the map {map} must make it {login_name}")
            }
            None => format!("lets in the operating system's user {login_name}, and nobody else"),
        },
        "ident" => "asks the ident service of the client's host for the user's name".to_owned(),
        "cert" => match option("map") {
            Some(map) => format!("asks for a client certificate whose name the map {map} makes {login_name}"),
            None => format!("asks for a client certificate with the name {login_name}"),
        },
        "ldap" | "radius" | "pam" | "bsd" => {
            format!("asks for the password, sent as it is, and has {} check it", rule.method)
        }
        method @ ("gss" | "sspi") => format!("asks for a ticket ({method})"),
        "oauth" => "asks for a token (OAuth)".to_owned(),
        other => format!("leaves it to the method {other}"),
    };
    match option("clientcert") {
        Some(level) if rule.method != "cert" && level != "0" && level != "no-verify" => {
            format!("{follows}; a client certificate is asked for too (clientcert={level})")
        }
        _ => follows,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::hba_file::HbaFile;

    #[test]
    fn says_who_checks_what() {
        let follows = |line: &str| consequence(HbaFile::parse(line.as_bytes(), 15).rules()[0], "app");
        assert_eq!(follows("host all all all reject"), "keeps it out");
        assert!(follows("local all all peer").contains("system's user app"));
        assert!(follows("local all all peer map=m").contains("map m"));
        assert!(follows("hostssl all all all md5 clientcert=verify-ca").ends_with("(clientcert=verify-ca)"));
    }
}
