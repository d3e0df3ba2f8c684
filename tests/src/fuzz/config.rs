//! The configuration file.

use std::{fs, sync::LazyLock};

use gateway::config::{Overrides, load};
use toml_edit::{DocumentMut, Item, Value};

use super::CANARY;

/// Where the inputs stand while they are read.
static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

/// Names whose values no report shows.
const SECRETS: [&str; 7] =
    ["api_key", "secret", "token", "password", "jwt_secret", "encryption_key", "secrets_key"];

/// A file is read, or every mistake is told, with a place, and without a secret.
pub(super) fn config(bytes: &[u8]) -> bool {
    let path = FOLDER.path().join(format!("{:?}.toml", std::thread::current().id()));
    fs::write(&path, bytes).unwrap();
    let report = match load(&path, &Overrides::default()) {
        Ok(config) => {
            assert!(!config.mounts.is_empty());
            return true;
        }
        Err(report) => report,
    };
    let told = report.to_string();
    assert!(report.count() > 0 && told.contains("mistake"));
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(document) = text.parse::<DocumentMut>()
    {
        let secret: usize = document.iter().map(|(name, item)| hidden(name, item)).sum();
        assert!(text.matches(CANARY).count() > secret || secret == 0 || !told.contains(CANARY), "{told}");
    }
    false
}

/// How often the canary stands in values of secret names, and there only in strings.
fn hidden(name: &str, item: &Item) -> usize {
    match item {
        Item::Value(value) => hidden_in(name, value),
        Item::Table(table) => table.iter().map(|(name, item)| hidden(name, item)).sum(),
        Item::ArrayOfTables(tables) => {
            tables.iter().flat_map(|table| table.iter()).map(|(name, item)| hidden(name, item)).sum()
        }
        Item::None => 0,
    }
}

fn hidden_in(name: &str, value: &Value) -> usize {
    match value {
        Value::String(text) if SECRETS.contains(&name) => text.value().matches(CANARY).count(),
        Value::Array(items) => items.iter().map(|item| hidden_in(name, item)).sum(),
        Value::InlineTable(table) => table.iter().map(|(name, value)| hidden_in(name, value)).sum(),
        _ => 0,
    }
}
