//! The few things that must be read from a certificate itself.
//!
//! What must always hold: what can't be read is an error, never a pass.

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertificateError, Error};
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::spki::ObjectIdentifier;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// A certificate of any X.509 version.
pub(super) struct Certificate(x509_cert::Certificate);

impl Certificate {
    pub fn parse(der: &CertificateDer<'_>) -> Result<Self, Error> {
        x509_cert::Certificate::from_der(der).map(Self).map_err(|_| unreadable())
    }

    pub fn check_validity(&self, now: UnixTime) -> Result<(), Error> {
        let validity = &self.0.tbs_certificate.validity;
        match now.as_secs() {
            now if now < validity.not_before.to_unix_duration().as_secs() => Err(CertificateError::NotValidYet.into()),
            now if now > validity.not_after.to_unix_duration().as_secs() => Err(CertificateError::Expired.into()),
            _ => Ok(()),
        }
    }

    pub fn public_key(&self) -> Result<Vec<u8>, Error> {
        self.0.tbs_certificate.subject_public_key_info.to_der().map_err(|_| unreadable())
    }

    /// Whether it names hosts or addresses outside its subject.
    pub fn has_alternative_names(&self) -> Result<bool, Error> {
        let found = self.0.tbs_certificate.get::<SubjectAltName>().map_err(|_| unreadable())?;
        Ok(found.is_some_and(|(_, names)| {
            names.0.iter().any(|name| matches!(name, GeneralName::DnsName(_) | GeneralName::IpAddress(_)))
        }))
    }

    pub fn common_names(&self) -> Vec<String> {
        let subject = self.0.tbs_certificate.subject.0.iter();
        let attributes = subject.flat_map(|relative| relative.0.iter()).filter(|one| one.oid == COMMON_NAME);
        attributes.filter_map(|one| String::from_utf8(one.value.value().to_vec()).ok()).collect()
    }
}

fn unreadable() -> Error {
    CertificateError::BadEncoding.into()
}
