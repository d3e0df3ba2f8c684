//! PostgreSQL for tests: a database of their own, on the server of `INTERLINGUA_POSTGRES_URL`, or, where
//! that is not set, on a throwaway server that ends with the process.
//!
//! Nothing is ever skipped: where neither is to be had, the test fails with a sentence.

mod instance;
mod programs;

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

pub use instance::Instance;

/// Where tests find a server that may be asked for new databases.
pub const VARIABLE: &str = "INTERLINGUA_POSTGRES_URL";

/// A database that nobody else has; dropped with this.
pub struct Database {
    server: String,
    name: String,
    /// Where it is, with who may enter it.
    pub url: String,
}

impl Database {
    /// A new one, empty.
    ///
    /// # Panics
    /// Where there is no server, or it makes none.
    #[must_use]
    pub fn create() -> Self {
        Self::on(&shared())
    }

    /// A new one on this server, which the URL of any database of it names.
    #[must_use]
    pub fn on(server: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("interlingua_test_{}_{count}", std::process::id());
        // One of an earlier process with the same id, which was killed.
        execute(server, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).unwrap();
        execute(server, &format!("CREATE DATABASE {name}")).unwrap();
        Self { server: server.to_owned(), url: with_database(server, &name), name }
    }

    /// Runs statements in it.
    ///
    /// # Errors
    /// What the server said.
    pub fn execute(&self, statements: &str) -> Result<(), String> {
        execute(&self.url, statements)
    }

    /// The first column of the rows of a statement, as text.
    ///
    /// # Errors
    /// What the server said.
    pub fn column(&self, statement: &str) -> Result<Vec<String>, String> {
        column(&self.url, statement)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A server that a test has killed has nothing to drop any more.
        execute(&self.server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)).ok();
    }
}

/// The URL of the server that tests were given, if they were.
#[must_use]
pub fn given() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a test is told where its server is")]
    std::env::var(VARIABLE).ok().filter(|url| !url.is_empty())
}

/// The server of this process, by the URL of a database of it.
fn shared() -> String {
    static OWN: OnceLock<Instance> = OnceLock::new();
    given().unwrap_or_else(|| OWN.get_or_init(Instance::start).url())
}

/// Runs statements on a connection of their own.
///
/// # Errors
/// What the server said, or that there is none.
pub fn execute(url: &str, statements: &str) -> Result<(), String> {
    column(url, statements).map(drop)
}

/// The same, with the first column of all rows, as text.
///
/// # Errors
/// As above.
pub fn column(url: &str, statements: &str) -> Result<Vec<String>, String> {
    // On a thread of its own: a test may be inside of a runtime.
    let (url, statements) = (url.to_owned(), statements.to_owned());
    let asked = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(ask(&url, &statements))
    });
    asked.join().unwrap()
}

async fn ask(url: &str, statements: &str) -> Result<Vec<String>, String> {
    use tokio_postgres::{NoTls, SimpleQueryMessage::Row, error::Error};
    let said = |error: Error| match error.as_db_error() {
        Some(told) => told.to_string(),
        None => error.to_string(),
    };
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(said)?;
    let connection = tokio::spawn(connection);
    let rows = client.simple_query(statements).await.map_err(said);
    drop(client);
    connection.await.ok();
    let first = |row| if let Row(row) = row { row.get(0).map(str::to_owned) } else { None };
    Ok(rows?.into_iter().filter_map(first).collect())
}

/// The URL of another database of the same server.
fn with_database(url: &str, name: &str) -> String {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let (before, options) = url.split_at(url.find('?').unwrap_or(url.len()));
    let end = before[authority..].find('/').map_or(before.len(), |at| authority + at);
    format!("{}/{name}{options}", &before[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_of_a_url_is_replaced() {
        for (url, other) in [
            ("postgresql://a:b@h:1/c", "postgresql://a:b@h:1/x"),
            ("postgresql://h", "postgresql://h/x"),
            (
                "postgres://h1:1,h2:2/c?target_session_attrs=any",
                "postgres://h1:1,h2:2/x?target_session_attrs=any",
            ),
            ("postgres:///c?host=/run/a", "postgres:///x?host=/run/a"),
        ] {
            assert_eq!(with_database(url, "x"), other);
        }
    }

    #[test]
    fn a_database_is_new_and_goes_away() {
        let (one, two) = (Database::create(), Database::create());
        one.execute("CREATE TABLE a (b int); INSERT INTO a VALUES (7)").unwrap();
        assert_eq!(one.column("SELECT b FROM a").unwrap(), ["7"]);
        assert!(two.column("SELECT b FROM a").unwrap_err().contains("does not exist"));
        let url = two.url.clone();
        drop(two);
        assert!(execute(&url, "SELECT 1").is_err());
    }

    #[test]
    fn a_killed_server_comes_back_with_what_was_committed() {
        let mut server = Instance::start();
        execute(&server.url(), "CREATE TABLE a (b int); INSERT INTO a VALUES (7)").unwrap();
        server.kill();
        assert!(execute(&server.url(), "SELECT 1").is_err());
        server.restart();
        assert_eq!(column(&server.url(), "SELECT b FROM a").unwrap(), ["7"]);
    }

    #[test]
    fn a_standby_follows_and_takes_over() {
        let mut primary = Instance::start();
        let standby = Instance::standby(&primary);
        execute(&primary.url(), "CREATE TABLE a (b int); INSERT INTO a VALUES (7)").unwrap();
        primary.kill();
        standby.promote();
        assert_eq!(column(&standby.url(), "INSERT INTO a VALUES (8); SELECT b FROM a").unwrap(), ["7", "8"]);
    }
}
