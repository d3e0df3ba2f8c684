//! The tables: made by numbered migrations, each once, however many run them at a time.

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio_postgres::{Client, error::SqlState};

use crate::{
    Options,
    connect::{Connector, Link, refused},
    error::OpenError,
};

/// The migrations in their order; the first is number 1.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_users.sql")];

/// The migration that this release wants.
pub(crate) const WANTED: i32 = MIGRATIONS.len() as i32;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS interlingua_migrations (number integer PRIMARY KEY)";
const LAST: &str = "SELECT coalesce(max(number), 0) FROM interlingua_migrations";
const KEY: &str = "SELECT value FROM interlingua_meta WHERE name = 'key'";
const PUT_KEY: &str =
    "INSERT INTO interlingua_meta (name, value) VALUES ('key', $1) ON CONFLICT (name) DO NOTHING";

/// How often a step is tried that another process got in the way of.
const TRIES: usize = 20;

/// What migrating came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Migrated {
    /// The last migration before; 0 for an empty database.
    pub from: i32,
    /// The last one now.
    pub to: i32,
}

/// Brings the tables of the database to this release; those of a later one are left alone.
pub(crate) async fn migrate(options: &Options) -> Result<Migrated, OpenError> {
    // An index over what there is takes its time.
    let connector = Connector::new(options, std::time::Duration::ZERO, Default::default())?;
    let mut link = connector.connect().await?;
    let from = found(&link.client).await?;
    let mut to = from;
    let mut tries = 0;
    while to < WANTED {
        tries += 1;
        match step(&mut link, to).await {
            Ok(()) => {}
            // Another process took this number, or one of its tables, at the same time.
            Err(error) if tries < TRIES && is_race(&error) => {}
            Err(error) => return Err(refused(&error)),
        }
        to = found(&link.client).await?;
    }
    if to > WANTED {
        return Err(OpenError::Ahead { known: WANTED, found: to });
    }
    let mut key = [0; 16];
    SystemRandom::new().fill(&mut key).or(Err(OpenError::Random))?;
    link.client.execute(PUT_KEY, &[&key.as_slice()]).await.map_err(|error| refused(&error))?;
    Ok(Migrated { from, to })
}

/// One migration. Its number is a unique key, which a second process waits for and then finds taken.
async fn step(link: &mut Link, last: i32) -> Result<(), tokio_postgres::Error> {
    link.client.batch_execute(TABLE).await?;
    let number = last + 1;
    let Some(sql) = usize::try_from(last).ok().and_then(|at| MIGRATIONS.get(at)) else {
        return Ok(());
    };
    let step = link.client.transaction().await?;
    step.execute("INSERT INTO interlingua_migrations (number) VALUES ($1)", &[&number]).await?;
    step.batch_execute(sql).await?;
    step.commit().await
}

fn is_race(error: &tokio_postgres::Error) -> bool {
    let races = [
        &SqlState::UNIQUE_VIOLATION,
        &SqlState::DUPLICATE_TABLE,
        &SqlState::DUPLICATE_OBJECT,
        &SqlState::T_R_SERIALIZATION_FAILURE,
        &SqlState::T_R_DEADLOCK_DETECTED,
    ];
    error.code().is_some_and(|state| races.contains(&state))
}

/// The last migration that was run.
async fn found(client: &Client) -> Result<i32, OpenError> {
    match client.query_one(LAST, &[]).await {
        Ok(row) => row.try_get(0).or(Err(OpenError::Damaged("the table of migrations"))),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(0),
        Err(error) => Err(refused(&error)),
    }
}

/// Checks that the tables are of this release; what the store's key is.
pub(crate) async fn check(client: &Client) -> Result<[u8; 16], OpenError> {
    let found = found(client).await?;
    if found < WANTED {
        return Err(OpenError::Behind { wanted: WANTED, found });
    }
    if found > WANTED {
        return Err(OpenError::Ahead { known: WANTED, found });
    }
    let row = client.query_opt(KEY, &[]).await.map_err(|error| refused(&error))?;
    // The key comes last: a migration that was cut short before it is run again.
    let row = row.ok_or(OpenError::Behind { wanted: WANTED, found })?;
    let key = row.try_get::<_, Vec<u8>>(0).ok().and_then(|key| key.try_into().ok());
    key.ok_or(OpenError::Damaged("the store's key"))
}
