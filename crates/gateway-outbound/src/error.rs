//! Why a call came to nothing.

use std::fmt;

/// Why a call came to nothing. Nothing of the request or the answer is in it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CallError {
    /// The host has an address that is not called: a private or a special one.
    Refused,
    /// The host's name has no address.
    Resolve,
    /// No connection. Nothing was sent.
    Connect,
    /// No TLS, or a certificate that is not trusted. Nothing was sent.
    Tls,
    /// The budget was used up.
    Timeout,
    /// The connection broke. The request may have been read.
    Reset,
    /// The answer is longer than the caller takes.
    TooLarge,
    /// The answer is no HTTP.
    Protocol,
    /// So many calls are under way that none ended within the budget. Nothing was sent.
    Busy,
    /// The endpoint was down, and is left alone for a moment. Nothing was sent.
    Open,
}

impl CallError {
    /// The name in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused_address",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::TooLarge => "too_large",
            Self::Protocol => "protocol",
            Self::Busy => "busy",
            Self::Open => "open",
        }
    }

    /// True where nothing of the request can have been read.
    #[must_use]
    pub const fn is_unsent(self) -> bool {
        match self {
            Self::Refused | Self::Resolve | Self::Connect | Self::Tls | Self::Busy | Self::Open => true,
            Self::Timeout | Self::Reset | Self::TooLarge | Self::Protocol => false,
        }
    }

    /// True where the endpoint is down, so far as can be told: it was not there, or not in time.
    #[must_use]
    pub const fn is_down(self) -> bool {
        matches!(self, Self::Resolve | Self::Connect | Self::Timeout | Self::Open)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for CallError {}
