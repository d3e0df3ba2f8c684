//! Bad inputs that are more than requests one after another.

/// Runs a script by name.
#[must_use]
pub fn run(name: &str) -> Vec<String> {
    match name {
        other => panic!("no script `{other}`"),
    }
}
