//! `postgresql://user@host:port/dbname?key=value`, after its scheme.
//!
//! What must always hold: the same parameters as libpq reads (`conninfo_uri_parse_options`), and a password in it is
//! refused where a password may not stand.

use super::parameters::{Parameters, Source, secret_refused};
use crate::Failure;

pub(super) fn parse(text: &str, source: Source<'_>, parameters: &mut Parameters) -> Result<(), Failure> {
    let (user, text) = match text.find(['@', '/']) {
        Some(at) if text[at..].starts_with('@') => (&text[..at], &text[at + 1..]),
        _ => ("", text),
    };
    let (text, query) = text.split_once('?').map_or((text, None), |(text, query)| (text, Some(query)));
    let (address, dbname) = text.split_once('/').map_or((text, ""), |(address, dbname)| (address, dbname));
    let (user, password) = user.split_once(':').map_or((user, ""), |(user, password)| (user, password));
    if !password.is_empty() {
        if let Source::Argument(_) = source {
            return Err(secret_refused("password", source));
        }
        parameters.set("password", decode(password, source)?, source)?;
    }
    let (host, port) = split_address(address, source)?;
    // A password with a slash in it reads like a port: to show it as a bad one would be to tell it.
    if !port.bytes().all(|byte| byte.is_ascii_digit() || byte == b',') {
        return Err(Failure::usage(format!("{source}: the port in the URI is not a number"))
            .because("a password doesn't belong there, and what is no plain letter must be percent-encoded"));
    }
    for (key, value) in [("user", user), ("host", host), ("port", port), ("dbname", dbname)] {
        if !value.is_empty() {
            parameters.set(key, decode(value, source)?, source)?;
        }
    }
    query.map_or(Ok(()), |query| parse_query(query, source, parameters))
}

/// Several hosts stay one text here, which is refused where the host is used.
fn split_address<'a>(address: &'a str, source: Source<'_>) -> Result<(&'a str, &'a str), Failure> {
    let Some(bracketed) = address.strip_prefix('[') else {
        return match address.rsplit_once(':') {
            Some(_) if address.contains(',') => Ok((address, "")),
            Some((host, port)) => Ok((host, port)),
            None => Ok((address, "")),
        };
    };
    match bracketed.split_once(']') {
        Some((host, "")) if !host.is_empty() => Ok((host, "")),
        Some((host, after)) if !host.is_empty() && after.starts_with(':') => Ok((host, &after[1..])),
        _ => Err(Failure::usage(format!(
            "{source}: the IPv6 address in the URI must stand as [address] or [address]:port"
        ))),
    }
}

fn parse_query(query: &str, source: Source<'_>, parameters: &mut Parameters) -> Result<(), Failure> {
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(Failure::usage(format!("{source}: the URI has a parameter without \"=\"")));
        };
        match (decode(key, source)?, decode(value, source)?) {
            // As JDBC says it; libpq takes it too.
            (key, value) if key == "ssl" && value == "true" => parameters.set("sslmode", "require".into(), source)?,
            (key, value) => parameters.set(&key, value, source)?,
        }
    }
    Ok(())
}

fn decode(text: &str, source: Source<'_>) -> Result<String, Failure> {
    let bad = |why: &str| Failure::usage(format!("{source}: the URI {why}"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        (bytes, rest) = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let (Some(high), Some(low)) = (digit(high), digit(low)) else {
                    return Err(bad("has a \"%\" without two hexadecimal digits"));
                };
                bytes.push(high * 16 + low);
                (bytes, after)
            }
            (b'%', _) => return Err(bad("has a \"%\" without two hexadecimal digits")),
            (byte, after) => {
                bytes.push(*byte);
                (bytes, after)
            }
        };
    }
    if bytes.contains(&0) {
        return Err(bad("has a %00, which no parameter can hold"));
    }
    String::from_utf8(bytes).map_err(|_| bad("is not UTF-8 once its percent signs are decoded"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<[Option<String>; 5], Failure> {
        let parameters = Parameters::parse(text, Source::Argument("--conninfo"))?;
        Ok(["user", "host", "port", "dbname", "sslmode"].map(|key| parameters.get(key).map(str::to_owned)))
    }

    fn expect(text: &str, wanted: [&str; 5]) {
        let wanted = wanted.map(|value| (!value.is_empty()).then(|| value.to_owned()));
        assert_eq!(parsed(text).unwrap(), wanted, "{text}");
    }

    #[test]
    fn reads_every_part_of_a_uri() {
        expect("postgresql://joe@db1:5433/app?sslmode=verify-full", ["joe", "db1", "5433", "app", "verify-full"]);
        expect("postgres://db1", ["", "db1", "", "", ""]);
        expect("postgresql://", ["", "", "", "", ""]);
        expect("postgresql:///app", ["", "", "", "app", ""]);
        expect("postgresql://:5433/?ssl=true", ["", "", "5433", "", "require"]);
    }

    #[test]
    fn decodes_percent_signs_and_ipv6_brackets() {
        expect("postgresql://%2Fvar%2Frun/a%20b", ["", "/var/run", "", "a b", ""]);
        expect("postgresql://jos%C3%A9@[::1]:5433/app", ["josé", "::1", "5433", "app", ""]);
        expect("postgresql://[fe80::1]?host=/tmp", ["", "/tmp", "", "", ""]);
    }

    #[test]
    fn refuses_a_password_in_a_uri() {
        for text in [
            "postgresql://joe:w0rd?fish@db1/",
            "postgresql://joe:w0rd/fish@db1/",
            "postgresql://db1?password=swordfish",
        ] {
            let failure = parsed(text).unwrap_err();
            assert_eq!(failure.code, crate::Code::Usage);
            assert!(!failure.to_string().contains("w0rd"));
            assert!(!failure.to_string().contains("fish"), "{failure}");
        }
        let file = Parameters::parse("postgresql://joe:a%3Ab@db1", Source::File("services")).unwrap();
        assert_eq!(file.password.unwrap().expose(), "a:b");
    }

    #[test]
    fn refuses_what_is_no_uri() {
        for text in
            ["postgresql://a%2", "postgresql://a%zz", "postgresql://%00", "postgresql://[::1", "postgresql://[]"]
        {
            assert_eq!(parsed(text).unwrap_err().code, crate::Code::Usage, "{text}");
        }
        assert!(parsed("postgresql://a?x=1").unwrap_err().to_string().contains("\"x\""));
    }
}
