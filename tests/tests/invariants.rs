//! What must stay true of the code itself.

use std::{collections::BTreeMap, fs, process::Command};

use tests::root;

/// The floor of each crate; one may depend only on lower floors (ARCHITECTURE.md).
const FLOORS: [(&str, u8); 18] = [
    ("gateway-core", 0),
    ("gateway-dialect", 1),
    ("gateway-outbound", 1),
    ("gateway-record", 1),
    ("dialect-jsonapi", 2),
    ("dialect-jsonpatch", 2),
    ("dialect-partner", 2),
    ("dialect-rest", 2),
    ("dialect-update", 2),
    ("gateway-auth", 2),
    ("gateway-limits", 2),
    ("store-embedded", 2),
    ("store-postgres", 2),
    ("store-upstream", 2),
    ("gateway", 3),
    ("gateway-testkit", 3),
    ("gateway-bench", 4),
    ("tests", 4),
];

/// What a floor must not know: a pure function has no runtime, the core no format.
const FORBIDDEN: [(&str, &[&str]); 2] = [
    ("gateway-core", &["http", "hyper", "tokio", "serde", "serde_json", "tracing"]),
    ("gateway-dialect", &["hyper", "tokio", "tracing"]),
];

/// Crate name → what it depends on outside tests, by `cargo metadata`.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let of = |package: &serde_json::Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|dependency| dependency["kind"].is_null())
            .map(|dependency| text(&dependency["name"]))
            .collect()
    };
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (text(&package["name"]), of(package)))
        .collect()
}

#[test]
fn no_crate_knows_one_of_its_floor_or_above() {
    let floors = BTreeMap::from(FLOORS);
    for (name, dependencies) in dependencies() {
        let floor = *floors.get(name.as_str()).unwrap_or_else(|| panic!("{name} has no floor"));
        for dependency in &dependencies {
            if let Some(lower) = floors.get(dependency.as_str()) {
                assert!(*lower < floor, "{name} (floor {floor}) depends on {dependency} (floor {lower})");
            }
        }
        // A dialect is held to what its floor is made of.
        let held_to = if name.starts_with("dialect-") { "gateway-dialect" } else { &*name };
        let forbidden = FORBIDDEN
            .iter()
            .find(|(crate_, _)| *crate_ == held_to)
            .map_or(&[][..], |(_, forbidden)| forbidden);
        let broken: Vec<_> =
            dependencies.iter().filter(|dependency| forbidden.contains(&dependency.as_str())).collect();
        assert!(broken.is_empty(), "{name} must not depend on {broken:?}");
    }
}

#[test]
fn every_dialect_is_registered_and_has_cases() {
    let registered: Vec<_> =
        gateway::registry::DIALECTS.iter().map(|row| format!("dialect-{}", row.name)).collect();
    let folders = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut folders: Vec<_> = folders.filter(|name| name.starts_with("dialect-")).collect();
    folders.sort();
    assert_eq!(folders, registered);
    for folder in folders {
        assert!(root().join("crates").join(&folder).join("cases").is_dir(), "{folder} has no cases");
    }
}

/// A file of more lines is no longer read with pleasure.
const MAX_LINES: usize = 450;

#[test]
fn no_file_is_too_long() {
    let listed = Command::new("git").args(["ls-files", "*.rs"]).current_dir(root()).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(!listed.is_empty(), "this is no git checkout");
    for path in listed.lines().filter(|path| root().join(path).exists()) {
        let lines = fs::read_to_string(root().join(path)).unwrap().lines().count();
        assert!(lines <= MAX_LINES, "{path} has {lines} lines");
    }
}

/// The tables in the dialects' READMEs are what the code says: rewritten by `INTERLINGUA_UPDATE=1`.
#[test]
fn the_tables_in_the_readmes_are_fresh() {
    for row in gateway::registry::DIALECTS {
        let dialect = row.with_defaults();
        let mut routes = String::from("| method | path | action |\n|---|---|---|\n");
        for route in dialect.routes() {
            routes.push_str(&format!(
                "| {} | `{}` | {} |\n",
                route.verb.as_str(),
                route.template,
                route.action.as_str()
            ));
        }
        let path = root().join("crates").join(format!("dialect-{}", row.name)).join("README.md");
        let text = fs::read_to_string(&path).unwrap();
        let fresh = between(&between(&text, "routes", &routes), "fields", &dialect.fields().markdown());
        if std::env::var_os("INTERLINGUA_UPDATE").is_some() {
            fs::write(&path, &fresh).unwrap();
        } else {
            assert_eq!(text, fresh, "{} is stale", path.display());
        }
    }
}

/// Puts a table between its two marks.
fn between(text: &str, name: &str, table: &str) -> String {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = text.split_once(&open).unwrap_or_else(|| panic!("no mark {name}"));
    let (_, after) = rest.split_once(&close).unwrap_or_else(|| panic!("no end of {name}"));
    format!("{before}{open}{table}{close}{after}")
}

/// A dialect's whole wire format is read at one sight.
const SCREEN: usize = 82;

#[test]
fn every_wire_format_fits_on_a_screen() {
    for row in gateway::registry::DIALECTS {
        let path = root().join("crates").join(format!("dialect-{}", row.name)).join("src/wire.rs");
        let text = fs::read_to_string(&path).unwrap();
        let lines = text
            .lines()
            .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//"))
            .count();
        assert!(lines <= SCREEN, "{} has {lines} lines of code", path.display());
    }
}
