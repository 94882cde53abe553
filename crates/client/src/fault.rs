//! Why no answer came, in words that say what to do.

use std::error::Error as StdError;
use std::io;

use rustls::CertificateError;
use rustls::pki_types::UnixTime;

/// What stood in the way of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The server is not proven to be the broker.
    Untrusted(String),
    /// There is no connection, or it broke.
    Line(String),
}

impl Fault {
    /// The deepest cause that is known, below an error of the HTTP client.
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Self {
        let mut causes = vec![error];
        while let Some(deeper) = causes.last().and_then(|cause| below(*cause)) {
            causes.push(deeper);
        }
        if let Some(error) = causes.iter().find_map(|cause| cause.downcast_ref()) {
            return of_tls(error);
        }
        let texts: Vec<_> = causes.iter().map(ToString::to_string).collect();
        // The layers above a proxy's refusal tell more than its last word.
        let tunnel = texts.iter().find(|text| text.starts_with("tunnel error"));
        let tunnel = tunnel.map(|text| format!("the proxy does not let it through ({text})"));
        Self::Line(tunnel.or(texts.last().cloned()).unwrap_or_default())
    }
}

/// What caused this. What an `io::Error` wraps is itself, not its source.
fn below<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match cause
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(inner) => Some(inner),
        None => cause.source(),
    }
}

fn of_tls(error: &rustls::Error) -> Fault {
    match error {
        rustls::Error::InvalidCertificate(fault) => Fault::Untrusted(of_certificate(fault)),
        rustls::Error::InvalidMessage(_) => {
            Fault::Line("it does not speak TLS: is it http://, or another port?".to_owned())
        }
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(rustls::AlertDescription::ProtocolVersion) => {
            Fault::Line("it speaks neither TLS 1.2 nor TLS 1.3".to_owned())
        }
        other => Fault::Line(other.to_string()),
    }
}

fn of_certificate(fault: &CertificateError) -> String {
    match fault {
        // An authority that was made anew under its old name has another signature.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is from an authority that this machine does not know: give that authority's certificate with --ca-file FILE, or in BROKKR_CA_FILE".to_owned()
        }
        CertificateError::ExpiredContext { not_after, .. } => format!(
            "its certificate has expired ({}): renew it at the broker; if it is new, see whether this machine's clock is right",
            date(*not_after)
        ),
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "its certificate is not valid before {}: see whether this machine's clock is right",
            date(*not_before)
        ),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => format!(
            "its certificate is for {}, not for {}: use a name that it has in the address, or have it issued for this one",
            names(presented),
            expected.to_str()
        ),
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate is an authority's own, which cannot serve: issue one for the broker with it".to_owned()
        }
        other => format!("its certificate cannot be used ({other})"),
    }
}

fn date(time: UnixTime) -> String {
    i64::try_from(time.as_secs())
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(String::new, |time| time.to_string())
}

/// The names alone, of texts such as `DnsName("broker.example")`.
fn names(presented: &[String]) -> String {
    let name = |text: &String| {
        let quoted = text.split('"').nth(1);
        quoted.unwrap_or(text).to_owned()
    };
    match presented {
        [] => "no name at all".to_owned(),
        presented => presented.iter().map(name).collect::<Vec<_>>().join(", "),
    }
}
