//! Whether a server's certificate is believed.
//!
//! What must always hold: without authorities anyone is believed, but must own the key of the certificate that is
//! shown, for SCRAM binds itself to that; with authorities one of them must have signed it; and where the name counts,
//! it must be in it.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::certificate::Certificate;

/// Whom to believe.
#[derive(Debug)]
pub(super) struct Authorities {
    /// As authorities.
    pub roots: RootCertStore,
    /// As they stand in the file: a server may show one of these itself.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// libpq's checks.
#[derive(Debug)]
pub(super) struct Verifier {
    pub algorithms: WebPkiSupportedAlgorithms,
    /// None believes anyone.
    pub authorities: Option<Authorities>,
    /// Whether the host's name must be in the certificate.
    pub checks_name: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authorities) = &self.authorities else { return Ok(ServerCertVerified::assertion()) };
        if authorities.certificates.contains(shown) {
            // A self-signed certificate, known as it stands. It is no authority, so it has no chain to be checked.
            Certificate::parse(shown)?.check_validity(now)?;
        } else {
            let parsed = ParsedCertificate::try_from(shown)?;
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&parsed, &authorities.roots, intermediates, now, algorithms)?;
        }
        if self.checks_name {
            check_name(shown, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, shown, signature, &self.algorithms)
    }

    /// By the bare key: certificates of X.509 version 1, which `openssl x509 -req` makes, are otherwise refused.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(Certificate::parse(shown)?.public_key()?);
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The alternative names count; where there are none, the common name does, as with libpq.
fn check_name(shown: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
    let by_alternatives = ParsedCertificate::try_from(shown).and_then(|parsed| verify_server_name(&parsed, name));
    let Err(error) = by_alternatives else { return Ok(()) };
    let certificate = Certificate::parse(shown)?;
    if certificate.has_alternative_names()? {
        return Err(error);
    }
    if certificate.common_names().iter().any(|pattern| stands_for(pattern, &name.to_str())) {
        return Ok(());
    }
    Err(CertificateError::NotValidForName.into())
}

/// A wildcard is the whole first label and stands for one label.
fn stands_for(pattern: &str, host: &str) -> bool {
    let below = |text: &str| text.split_once('.').map(|(_, rest)| rest.to_owned());
    match pattern.strip_prefix("*.") {
        Some(domain) => domain.contains('.') && below(host).is_some_and(|rest| rest.eq_ignore_ascii_case(domain)),
        None => pattern.eq_ignore_ascii_case(host),
    }
}

#[cfg(test)]
mod tests;
