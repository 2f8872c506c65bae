//! The fixtures are certificates made by `openssl` for the host `db1`; their keys are gone.

use std::time::Duration;

use rustls::pki_types::pem::PemObject;

use super::*;

/// The first of June 2027, which lies within all of them.
const NOW: u64 = 1_811_808_000;

const AUTHORITY: &str = include_str!("../fixtures/authority.crt");
const OTHER_AUTHORITY: &str = include_str!("../fixtures/other_authority.crt");
const ALTERNATIVE_NAMES: &str = include_str!("../fixtures/alternative_names.crt");
const COMMON_NAME: &str = include_str!("../fixtures/common_name.crt");
const SELF_SIGNED: &str = include_str!("../fixtures/self_signed.crt");
const VERSION_1: &str = include_str!("../fixtures/version_1.crt");

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn verify_at(now: u64, root: Option<&str>, shown: &str, checked_name: Option<&str>) -> Result<(), Error> {
    let authorities = root.map(|root| {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates([certificate(root)]);
        Authorities { roots, certificates: vec![certificate(root)] }
    });
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    let verifier = Verifier { algorithms, authorities, checks_name: checked_name.is_some() };
    let name = ServerName::try_from(checked_name.unwrap_or("unchecked").to_owned()).unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    verifier.verify_server_cert(&certificate(shown), &[], &name, &[], now).map(|_| ())
}

fn verify(root: Option<&str>, shown: &str, checked_name: Option<&str>) -> Result<(), Error> {
    verify_at(NOW, root, shown, checked_name)
}

#[test]
fn believes_anyone_where_there_are_no_authorities() {
    for shown in [ALTERNATIVE_NAMES, SELF_SIGNED, VERSION_1] {
        assert_eq!(verify(None, shown, None), Ok(()));
    }
}

#[test]
fn believes_what_a_known_authority_signed_while_it_is_valid() {
    assert_eq!(verify(Some(AUTHORITY), ALTERNATIVE_NAMES, None), Ok(()));
    assert!(verify(Some(OTHER_AUTHORITY), ALTERNATIVE_NAMES, None).is_err());
    assert!(verify_at(NOW * 2, Some(AUTHORITY), ALTERNATIVE_NAMES, None).is_err());
    assert!(verify_at(1, Some(AUTHORITY), ALTERNATIVE_NAMES, None).is_err());
}

#[test]
fn looks_for_the_host_in_the_alternative_names() {
    assert_eq!(verify(Some(AUTHORITY), ALTERNATIVE_NAMES, Some("db1")), Ok(()));
    assert_eq!(verify(Some(AUTHORITY), ALTERNATIVE_NAMES, Some("192.0.2.1")), Ok(()));
    assert!(verify(Some(AUTHORITY), ALTERNATIVE_NAMES, Some("192.0.2.2")).is_err());
    // Its common name, which doesn't count beside alternative names.
    assert!(verify(Some(AUTHORITY), ALTERNATIVE_NAMES, Some("other")).is_err());
}

#[test]
fn looks_for_the_host_in_the_common_name_where_there_are_no_alternatives() {
    assert_eq!(verify(Some(AUTHORITY), COMMON_NAME, Some("DB1")), Ok(()));
    assert!(verify(Some(AUTHORITY), COMMON_NAME, Some("db2")).is_err());
}

#[test]
fn believes_a_self_signed_certificate_that_is_known_itself() {
    assert_eq!(verify(Some(SELF_SIGNED), SELF_SIGNED, Some("db1")), Ok(()));
    assert!(verify(Some(SELF_SIGNED), SELF_SIGNED, Some("db2")).is_err());
    assert!(verify(Some(AUTHORITY), SELF_SIGNED, None).is_err());
    assert_eq!(
        verify_at(NOW * 2, Some(SELF_SIGNED), SELF_SIGNED, None),
        Err(Error::InvalidCertificate(CertificateError::Expired))
    );
}

#[test]
fn does_not_believe_version_1_from_an_authority() {
    assert!(verify(Some(AUTHORITY), VERSION_1, None).is_err());
    assert_eq!(verify(Some(VERSION_1), VERSION_1, Some("db1")), Ok(()));
}

#[test]
fn lets_a_wildcard_stand_for_one_label() {
    assert!(stands_for("*.example.org", "DB1.example.org"));
    assert!(stands_for("db1", "DB1"));
    assert!(!stands_for("*.example.org", "a.db1.example.org"));
    assert!(!stands_for("*.example.org", "example.org"));
    assert!(!stands_for("*.org", "example.org"));
    assert!(!stands_for("d*.example.org", "db1.example.org"));
}
