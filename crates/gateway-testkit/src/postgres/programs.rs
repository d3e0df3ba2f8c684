//! Where the programs of PostgreSQL are, and as whom they run: never as root, which they refuse.

use std::{
    env, fs,
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const NEEDED: &str = "tests need PostgreSQL: install it (apt-get install postgresql), or set \
                      INTERLINGUA_POSTGRES_URL to a server on which databases may be made";

/// The programs of one installation.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    /// User and group, where this process is root.
    owner: Option<(u32, u32)>,
}

impl Programs {
    /// The newest that are installed.
    pub(super) fn find() -> Self {
        let folder = newest().or_else(in_path).unwrap_or_else(|| panic!("{NEEDED}"));
        let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        let owner = is_root.then(|| {
            let known =
                ["postgres", "nobody"].into_iter().find_map(|name| Some((id("-u", name)?, id("-g", name)?)));
            known.unwrap_or_else(|| {
                panic!("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`")
            })
        });
        Self { folder, owner }
    }

    /// A program, to be run as who may.
    pub(super) fn command(&self, name: &str) -> Command {
        let program = self.folder.join(name);
        let Some((user, group)) = self.owner else { return Command::new(program) };
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".to_owned()]);
        command.arg(program).current_dir("/");
        command
    }

    /// Gives a file or folder to who may read it.
    pub(super) fn give(&self, path: &Path) {
        if let Some((user, group)) = self.owner {
            chown(path, Some(user), Some(group)).unwrap();
        }
    }
}

/// As Debian and its kin have them.
fn newest() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let numbered =
        versions.filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())));
    let folders = numbered.map(|(version, path)| (version, path.join("bin")));
    folders.filter(|(_, folder)| is_whole(folder)).max().map(|(_, folder)| folder)
}

fn in_path() -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).find(|folder| is_whole(folder))
}

fn is_whole(folder: &Path) -> bool {
    ["initdb", "postgres", "pg_basebackup"].iter().all(|name| folder.join(name).is_file())
}

fn id(flag: &str, name: &str) -> Option<u32> {
    let output = Command::new("id").args([flag, name]).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// Runs a command that must succeed.
pub(super) fn must(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {}", command.get_program(), said.trim());
}
