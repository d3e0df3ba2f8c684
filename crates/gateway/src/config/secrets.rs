//! Secrets by reference: `env:NAME` or `file:/path`. The only place that reads the environment.

use std::{
    cell::{Cell, RefCell},
    env, fs,
    io::{self, Read},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use gateway_dialect::{Secret, SecretSource};
use sha2::{Digest, Sha256};

use super::files::Files;

/// The credentials of the shipped configuration, known to everybody; they work on loopback only.
const DEMO: &[&str] = &[
    "demo-partner-key",
    "demo-partner-secret",
    "demo-service-token",
    "demo-jwt-secret",
    "demo-access-token",
    "demo-admin-token",
    "demo-gateway-token",
    "demo-supplier-secret",
    "demo-webhook-secret",
];

/// No secret is longer; a file that is was named by mistake.
const MAX_BYTES: u64 = 64 * 1024;

const LITERAL: &str =
    "a secret is not written into the configuration; refer to it as \"env:NAME\" or \"file:/path\"";

/// What a string under a secret's key refers to.
pub(super) enum Reference<'r> {
    Variable(&'r str),
    File(&'r Path),
    Literal,
}

impl<'r> Reference<'r> {
    /// What does not look like a reference may be a secret, and is treated as one.
    pub(super) fn parse(text: &'r str) -> Self {
        let identifier = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if let Some(name) = text.strip_prefix("env:").filter(|name| identifier(name)) {
            return Self::Variable(name);
        }
        match text.strip_prefix("file:") {
            Some(path) if path.starts_with('/') && !path.contains(char::is_control) => {
                Self::File(Path::new(path))
            }
            _ => Self::Literal,
        }
    }
}

/// Secrets from this process's environment and files; notes every file that is read.
#[derive(Default)]
pub(super) struct Secrets {
    used_demo: Cell<bool>,
    warnings: RefCell<Vec<String>>,
    files: RefCell<Files>,
}

impl Secrets {
    /// True once a shipped credential was resolved.
    pub(super) const fn used_demo(&self) -> bool {
        self.used_demo.get()
    }

    /// What is odd, but no mistake.
    pub(super) fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }

    /// A file is about to be read.
    pub(super) fn note(&self, path: &Path) {
        self.files.borrow_mut().note(path);
    }

    /// The files that were read, or should have been.
    pub(super) fn into_files(self) -> Files {
        self.files.into_inner()
    }

    /// A file that is no secret.
    pub(super) fn public_file(&self, path: &Path) -> Result<Vec<u8>, String> {
        self.note(path);
        file(path, "file", false)
    }

    /// A file that only its owner may read.
    pub(super) fn private_file(&self, path: &Path) -> Result<Vec<u8>, String> {
        self.note(path);
        file(path, "secret file", true)
    }

    /// `echo` and most editors end a file with a line break, which nobody means to be secret.
    fn trimmed(&self, mut bytes: Vec<u8>, from: &str) -> Result<Secret, String> {
        let body = bytes.strip_suffix(b"\n").map(|body| body.strip_suffix(b"\r").unwrap_or(body).len());
        if let Some(length) = body {
            bytes.truncate(length);
            let warning = format!("{from} ends with a line break, which is not taken as part of the secret");
            let mut warnings = self.warnings.borrow_mut();
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        if bytes.is_empty() { Err(format!("{from} is empty")) } else { Ok(self.secret(bytes)) }
    }

    /// A shipped credential stays one, wherever it comes from.
    fn secret(&self, bytes: Vec<u8>) -> Secret {
        let is_demo = DEMO.iter().any(|demo| demo.as_bytes() == bytes);
        self.used_demo.set(self.used_demo.get() || is_demo);
        Secret::new(bytes, is_demo)
    }

    /// Looks for digests of shipped credentials in a configuration.
    pub(super) fn look_for_digests(&self, text: &str) {
        let text = text.to_ascii_lowercase();
        let digest =
            |demo: &&str| Sha256::digest(demo).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let found = DEMO.iter().any(|demo| text.contains(&digest(demo)));
        self.used_demo.set(self.used_demo.get() || found);
    }
}

impl SecretSource for Secrets {
    fn resolve(&self, reference: &str) -> Result<Secret, String> {
        match Reference::parse(reference) {
            Reference::Variable(name) => {
                self.trimmed(variable(name)?, &format!("the environment variable `{name}`"))
            }
            Reference::File(path) => {
                self.trimmed(self.private_file(path)?, &format!("the secret file `{}`", path.display()))
            }
            Reference::Literal if DEMO.contains(&reference) => Ok(self.secret(reference.as_bytes().to_vec())),
            Reference::Literal => Err(LITERAL.to_owned()),
        }
    }

    fn file(&self, path: &str) -> Result<Vec<u8>, String> {
        self.public_file(Path::new(path))
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the module that may read the environment")]
fn variable(name: &str) -> Result<Vec<u8>, String> {
    env::var(name).map(String::into_bytes).map_err(|error| match error {
        env::VarError::NotPresent => format!("the environment variable `{name}` is not set"),
        env::VarError::NotUnicode(_) => format!("the environment variable `{name}` is not UTF-8"),
    })
}

fn file(path: &Path, what: &str, is_private: bool) -> Result<Vec<u8>, String> {
    let unreadable = |error: io::Error| format!("the {what} `{}` cannot be read: {error}", path.display());
    let refused = |why: String| Err(format!("the {what} `{}` {why}", path.display()));
    // Asked before it is opened: opening a pipe waits for its other end.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return refused("is not a regular file".to_owned());
    }
    let open = fs::File::open(path).map_err(unreadable)?;
    let metadata = open.metadata().map_err(unreadable)?;
    if is_private && !is_closed(&metadata) {
        let mode = metadata.mode() & 0o777;
        return refused(format!("is open to its group or to others (mode {mode:04o}); chmod it to 0600"));
    }
    let mut bytes = Vec::new();
    open.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return refused(format!("is longer than {MAX_BYTES} bytes"));
    }
    Ok(bytes)
}

/// For its owner alone; or root's, who lets one group read it, which is how systemd (`LoadCredential=`) and
/// Kubernetes (`fsGroup`) hand a secret to a process. libpq has the same rule for a key.
fn is_closed(file: &fs::Metadata) -> bool {
    let open = file.mode() & 0o077;
    open == 0 || (open == 0o040 && file.uid() == 0)
}

/// True where the user asked for output without colours (<https://no-color.org>).
pub(super) fn no_color() -> bool {
    env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
