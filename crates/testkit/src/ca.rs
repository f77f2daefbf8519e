//! A private certificate authority, such as organizations have.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// A certificate authority that no system trusts.
pub struct TestCa {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A server's certificate and its key, both in PEM format.
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

impl TestCa {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are legal names");
        params.distinguished_name.push(DnType::CommonName, "Longshore test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key can be generated");
        let pem = params.self_signed(&key).expect("an authority signs itself").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// The authority's certificate in PEM format.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Issues a certificate for a server with these host names or addresses.
    pub fn issue(&self, names: &[&str]) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).expect("the names are host names or addresses");
        let key = KeyPair::generate().expect("a key can be generated");
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority signs").pem();
        Issued { certificate, key: key.serialize_pem() }
    }

    /// Issues a certificate for `127.0.0.1` and `localhost`.
    pub fn issue_for_loopback(&self) -> Issued {
        self.issue(&["127.0.0.1", "localhost"])
    }
}

impl Default for TestCa {
    fn default() -> Self {
        Self::new()
    }
}
