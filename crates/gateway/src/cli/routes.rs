//! `interlingua routes`: what is served.

use crate::config::MountConfig;

const HEADINGS: [&str; 4] = ["MOUNT", "DIALECT", "METHOD", "PATH"];

/// One line a route and prefix, in aligned columns.
#[must_use]
pub fn table(mounts: &[MountConfig]) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(mounts.iter().flat_map(of_mount));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (mount, dialect, method) = (width(0), width(1), width(2));
    let line = |[m, d, verb, path]: &[String; 4]| format!("{m:mount$}  {d:dialect$}  {verb:method$}  {path}");
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
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
    }
    rows
}
