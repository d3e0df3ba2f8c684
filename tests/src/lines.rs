//! Lines of users, and the commands that take and give them.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use crate::{Bed, binary};

/// A command of the command line about a bed's store, not yet run.
#[must_use]
pub fn command(bed: &Bed, name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.arg(name).arg("--config").arg(bed.config()).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs `import` on a file.
#[must_use]
pub fn import(bed: &Bed, file: &Path) -> Output {
    command(bed, "import", &[&file.to_string_lossy()]).output().unwrap()
}

/// Begins `import` on stdin, and gives it this much of it.
#[must_use]
pub fn import_from_pipe(bed: &Bed, text: &str) -> Child {
    let mut child = command(bed, "import", &["-"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    child
}

/// Runs `export` to stdout.
#[must_use]
pub fn export(bed: &Bed) -> String {
    let output = command(bed, "export", &["-"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Writes a file of lines into a bed's folder.
#[must_use]
pub fn file(bed: &Bed, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = bed.folder().join(name);
    fs::write(&path, text).unwrap();
    path
}

/// Made-up users: those with even numbers have an id, all but every third a link.
#[must_use]
pub fn people(count: u32) -> String {
    let one = |number: u32| {
        let id = format!(r#""id":"0000{number:04x}-0000-4000-8000-000000000000","#);
        let link = format!(r#","links":[{{"namespace":"crm","externalId":"{number}"}}]"#);
        let id = if number % 2 == 0 { id } else { String::new() };
        let link = if number % 3 == 0 { String::new() } else { link };
        format!("{{{id}\"email\":\"user.{number}@example.com\"{link}}}\n")
    };
    (0..count).map(one).collect()
}

/// The e-mail addresses of exported users, in order.
#[must_use]
pub fn emails(text: &str) -> Vec<String> {
    let email = |line: &str| {
        let user: serde_json::Value = serde_json::from_str(line).unwrap();
        user["email"].as_str().unwrap_or_default().to_owned()
    };
    let mut emails: Vec<_> = text.lines().map(email).collect();
    emails.sort();
    emails
}
