//! The table `[server.tls]`.

use std::{ops::RangeInclusive, path::Path, time::Duration};

use gateway_dialect::Options;

use super::secrets::Secrets;
use crate::tls::{MinVersion, PairMistake, Terms};

const HANDSHAKE_MS: RangeInclusive<i64> = 1..=60_000;

/// What the table says; `None` where it is absent or wrong.
pub(super) fn read(server: &mut Options<'_>, secrets: &Secrets) -> Option<Terms> {
    let mut options = server.table("tls")?;
    let certificate = pem(&mut options, "certificate", |path| secrets.public_file(path));
    let key = pem(&mut options, "key", |path| secrets.private_file(path));
    let min_version = options.choice(
        "min_version",
        &[("1.2", MinVersion::Tls12), ("1.3", MinVersion::Tls13)],
        MinVersion::Tls12,
    );
    let ms = options.integer("handshake_timeout_ms", HANDSHAKE_MS).and_then(|ms| u64::try_from(ms).ok());
    let handshake = Duration::from_millis(ms.unwrap_or(5_000));
    let terms = match (certificate, key) {
        (Some(certificate), Some(key)) => Terms::new(&certificate, &key, min_version, handshake)
            .map_err(|mistake| match mistake {
                PairMistake::Certificate(why) => {
                    options.problem("certificate", format!("the file of `certificate` {why}"));
                }
                PairMistake::Key(why) => options.problem("key", format!("the file of `key` {why}")),
            })
            .ok(),
        _ => None,
    };
    options.finish();
    terms
}

fn pem(
    options: &mut Options<'_>,
    name: &'static str,
    read: impl FnOnce(&Path) -> Result<Vec<u8>, String>,
) -> Option<Vec<u8>> {
    let path = options.required_text(name)?;
    let content = if path.is_empty() || path.contains(['\n', '\r']) || path.starts_with("-----") {
        Err(format!("`{name}` must be the path of a PEM file"))
    } else {
        read(Path::new(&path))
    };
    content.map_err(|why| options.problem(name, why)).ok()
}
