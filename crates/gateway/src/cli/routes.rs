//! `interlingua routes`: what is served.

use crate::config::MountConfig;

const HEADINGS: [&str; 4] = ["MOUNT", "DIALECT", "METHOD", "PATH"];

/// One line a route and prefix, in aligned columns; and one for what is passed on.
#[must_use]
pub fn table(mounts: &[MountConfig]) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(mounts.iter().flat_map(of_mount));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (mount, dialect, method) = (width(0), width(1), width(2));
    let line = |[m, d, verb, path]: &[String; 4]| format!("{m:mount$}  {d:dialect$}  {verb:method$}  {path}");
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A line for each mount that passes something on, each after a line break.
pub(super) fn passed_on(mounts: &[MountConfig]) -> String {
    let line = |mount: &MountConfig| {
        let origin = mount.passthrough.as_ref()?.passage().endpoint.origin();
        Some(format!("\nmount {} passes on what its dialect does not own to {origin}", mount.name))
    };
    mounts.iter().filter_map(line).collect()
}

fn of_mount(mount: &MountConfig) -> Vec<[String; 4]> {
    let host = mount.host.as_deref().unwrap_or_default();
    let mut rows = Vec::new();
    for prefix in &mount.prefixes {
        for route in mount.dialect.routes() {
            rows.push([
                mount.name.to_string(),
                mount.dialect.name().to_owned(),
                route.verb.as_str().to_owned(),
                format!("{host}{prefix}{}", route.template),
            ]);
        }
        if let Some(relay) = &mount.passthrough {
            let origin = relay.passage().endpoint.origin();
            rows.push([
                mount.name.to_string(),
                "-".to_owned(),
                "*".to_owned(),
                format!("{host}{prefix}/... (all else) -> {origin}"),
            ]);
        }
    }
    rows
}
