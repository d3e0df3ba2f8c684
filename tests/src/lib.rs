//! The bed that the tests of the whole stand on: one configuration, run in this process over the
//! memory store, or as a process of its own over the embedded store.

pub mod bad_inputs;
pub mod canary;
mod collection;
pub mod collector;
pub mod crash;
pub mod fuzz;
pub mod hook;
mod inside;
pub mod issued;
pub mod issuer;
pub mod lines;
pub mod memory;
pub mod middle;
pub mod partner;
pub mod party;
mod process;
pub mod records;
pub mod schema;
pub mod service;
pub mod suite;
pub mod unreachable;
pub mod upstream;
pub mod valkey;
pub mod watched;
pub mod wire;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

pub use collector::Collector;
use gateway_testkit::{
    cases::{self, CaseFile},
    postgres::Database,
};
pub use inside::{Inside, PEER};
pub use issuer::Issuer;
pub use party::Party;
pub use process::{Process, Socket, binary};
pub use watched::Watched;

/// Now, for clients that sign.
#[must_use]
pub fn now() -> time::UtcDateTime {
    gateway::clock::now()
}

/// The root of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The conformance cases: the dialects' crates, each with its files.
#[must_use]
pub fn dialects() -> Vec<(String, Vec<(String, CaseFile)>)> {
    let crates = fs::read_dir(root().join("crates")).unwrap();
    let mut dialects: Vec<_> = crates
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("cases").is_dir())
        .map(|path| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), cases::load(&path.join("cases")))
        })
        .collect();
    dialects.sort_by(|a, b| a.0.cmp(&b.0));
    dialects
}

/// A folder with a configuration in it, and the secrets that it names. Gone when it is dropped, and no
/// process runs on it.
pub struct Bed {
    folder: Arc<tempfile::TempDir>,
    database: Option<Database>,
}

/// The store of a configuration, and that of the same one over PostgreSQL.
const EMBEDDED: &str = "kind = \"embedded\"\n";
const EMBEDDED_PATH: &str = "\n[store.embedded]\npath = \"$DIR/data\"\n";
const POSTGRES: &str = "kind = \"postgres\"\n\n[store.postgres]\nurl = \"file:$DIR/postgres-url\"\n";

/// ... and in front of another service, with the ledger where the store was.
const UPSTREAM: &str = "kind = \"upstream\"\n\n[store.upstream]\nurl = \"file:$DIR/upstream-url\"\n\
                        token = \"file:$DIR/upstream-token\"\n$OPTIONS";

/// Secrets of the mounts beside the demo one, by file name.
const SECRETS: [(&str, &str); 6] = [
    ("other-key", "other-partner-key-0123456789abcdef"),
    ("other-secret", "other-partner-secret-0123456789abcdef"),
    ("old-secret", "rotating-old-secret-0123456789abcdef"),
    ("new-secret", "rotating-new-secret-0123456789abcdef"),
    ("old-key", "rotating-old-key-0123456789abcdef"),
    ("new-key", "rotating-new-key-0123456789abcdef"),
];

impl Bed {
    /// The mounts of `mounts.toml`, on ports that the system chooses.
    #[must_use]
    pub fn new() -> Self {
        Self::with(include_str!("mounts.toml"))
    }

    /// Another configuration; `$DIR` in it stands for the folder.
    #[must_use]
    pub fn with(config: &str) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        for (name, secret) in SECRETS {
            let path = folder.path().join(name);
            fs::write(&path, secret).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let config = config.replace("$DIR", &folder.path().to_string_lossy());
        fs::write(folder.path().join("interlingua.toml"), config).unwrap();
        Self { folder, database: None }
    }

    /// The mounts of `mounts.toml` over a new database of PostgreSQL.
    #[must_use]
    pub fn on_postgres() -> Self {
        Self::on_database(include_str!("mounts.toml"), Database::create())
    }

    /// Another configuration, its embedded store replaced by a database, which is made ready.
    #[must_use]
    pub fn on_database(config: &str, database: Database) -> Self {
        let bed = Self { database: Some(database), ..Self::over_url(config, "") };
        bed.migrate();
        bed
    }

    /// Another configuration, its users in a service at a URL, and its ledger in a new database.
    #[must_use]
    pub fn over_upstream_with_database(config: &str, url: &str, token: &str) -> Self {
        let options = "ledger = \"postgres\"\n\n[store.postgres]\nurl = \"file:$DIR/postgres-url\"\n";
        let bed = Self::over_upstream(&config.replace(EMBEDDED_PATH, ""), url, token, options);
        let bed = Self { database: Some(Database::create()), ..bed };
        bed.migrate();
        bed
    }

    /// Makes the tables of its database, and tells the configuration where that is.
    fn migrate(&self) {
        let url = self.database().url.clone();
        self.replace("postgres-url", &url);
        // On a thread of its own: a test may be inside of a runtime.
        let migrated = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let options = store_postgres::Options::new(url, Arc::new(now));
            runtime.block_on(store_postgres::migrate(&options)).unwrap();
        });
        migrated.join().unwrap();
    }

    /// Another configuration, its embedded store replaced by a PostgreSQL that may not be there.
    #[must_use]
    pub fn over_url(config: &str, url: &str) -> Self {
        let config = config.replace(EMBEDDED_PATH, "");
        assert!(config.contains(EMBEDDED));
        let bed = Self::with(&config.replace(EMBEDDED, POSTGRES));
        bed.replace("postgres-url", url);
        bed
    }

    /// Another configuration, its users in a service at a URL, with more options of `[store.upstream]`.
    #[must_use]
    pub fn over_upstream(config: &str, url: &str, token: &str, options: &str) -> Self {
        assert!(config.contains(EMBEDDED));
        let bed = Self::with(&config.replace(EMBEDDED, &UPSTREAM.replace("$OPTIONS", options)));
        bed.replace("upstream-url", url);
        bed.replace("upstream-token", token);
        bed
    }

    /// The database of a bed over PostgreSQL.
    #[must_use]
    pub fn database(&self) -> &Database {
        self.database.as_ref().unwrap()
    }

    /// A command of the gateway's on this configuration.
    #[must_use]
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(binary());
        command.args([name, "--config"]).arg(self.config());
        command
    }

    /// Replaces a file of the folder in one step, as careful tools do; only its owner may read it.
    pub fn replace(&self, name: &str, content: &str) {
        let (new, path) = (self.folder.path().join("new"), self.folder.path().join(name));
        let content = content.replace("$DIR", &self.folder.path().to_string_lossy());
        fs::write(&new, content).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(new, path).unwrap();
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("interlingua.toml")
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Default for Bed {
    fn default() -> Self {
        Self::new()
    }
}
