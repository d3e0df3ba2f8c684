//! Whose certificates are believed.

use std::{fmt, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Whose certificates are believed. There is no way to believe all.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Trust {
    /// Of private issuers; public ones are believed where there are none.
    issuers: Vec<CertificateDer<'static>>,
}

/// A file of issuers' certificates that is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadCertificates;

impl fmt::Display for BadCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is no certificate in PEM form")
    }
}

impl Trust {
    /// In the public issuers that Mozilla believes.
    #[must_use]
    pub fn public() -> Self {
        Self::default()
    }

    /// In these private issuers alone, in PEM.
    ///
    /// # Errors
    /// [`BadCertificates`].
    pub fn private(pem: &[u8]) -> Result<Self, BadCertificates> {
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let issuers = read.ok().filter(|issuers| !issuers.is_empty()).ok_or(BadCertificates)?;
        let mut roots = RootCertStore::empty();
        if issuers.iter().any(|issuer| roots.add(issuer.clone()).is_err()) {
            return Err(BadCertificates);
        }
        Ok(Self { issuers })
    }

    /// A client's terms, with the protocols that it speaks by their names in TLS.
    ///
    /// # Errors
    /// Of the library, for certificates that it does not take.
    pub fn config(&self, protocols: &[&[u8]]) -> Result<Arc<ClientConfig>, rustls::Error> {
        let mut roots = RootCertStore::empty();
        if self.issuers.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        for issuer in &self.issuers {
            roots.add(issuer.clone())?;
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust").field("issuers", &self.issuers.len()).finish()
    }
}
