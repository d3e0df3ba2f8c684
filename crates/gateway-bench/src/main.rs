//! The bench: what a request costs the gateway, against a bare hyper server in the same run; over
//! PostgreSQL, against pgbench; over another service, against other proxies in front of it.

mod bare;
mod drive;
mod load;
mod peers;
mod people;
mod postgres;
mod process;
mod request;
mod syscalls;
mod table;
mod upstream;

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand, ValueEnum};

/// What ends the bench early: a sentence.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures what a request costs, in pairs of runs against a bare hyper server
#[derive(Parser)]
#[command(name = "scripts/bench", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    plan: Plan,
}

#[derive(Subcommand)]
enum Role {
    /// Is the bare server (the bench starts it by itself)
    #[command(hide = true)]
    Bare(bare::Sizes),
    /// Is the service behind the gateway and its peers (the bench starts it by itself)
    #[command(hide = true)]
    Stub(upstream::Size),
    /// Writes made-up users to stdout, for `interlingua import`
    People(people::People),
}

/// Where the gateway keeps its users.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Store {
    /// On its own disk
    Embedded,
    /// In a PostgreSQL: that of INTERLINGUA_POSTGRES_URL, or a throwaway one
    Postgres,
    /// In another service: a stub, to which nginx and HAProxy pass the same requests on
    Upstream,
}

/// What to measure.
#[derive(Args, Clone, Debug)]
struct Plan {
    /// The gateway's store
    #[arg(long, value_enum, default_value = "embedded")]
    store: Store,
    /// A look of half a minute: three short pairs
    #[arg(long)]
    quick: bool,
    /// Puts the table into README.md
    #[arg(long)]
    readme: bool,
    /// Users in the store; at least 20 000 in a PostgreSQL
    #[arg(long, default_value_t = 1000)]
    users: u64,
    /// The gateway's cache of users, in MiB; one takes about 1 KiB
    #[arg(long, default_value_t = 64)]
    cache_mib: u64,
    /// Connections of the load; always 256 and 16 over a PostgreSQL
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Pairs of runs; at least 5, unless --quick
    #[arg(long, default_value_t = 7)]
    pairs: usize,
    /// Seconds of a run
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Leaves out the other gateways
    #[arg(long)]
    no_peers: bool,
    /// The gateway's binary
    #[arg(long, default_value = "target/release/interlingua")]
    gateway: PathBuf,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.role {
        Some(Role::Bare(sizes)) => bare::run(sizes).map(|()| true),
        Some(Role::Stub(size)) => upstream::stub(size).map(|()| true),
        Some(Role::People(people)) => people::write(people).map(|()| true),
        None if cli.plan.store == Store::Postgres => postgres::run(&cli.plan),
        None if cli.plan.store == Store::Upstream => upstream::run(&cli.plan),
        None => drive::run(&cli.plan),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            // With no standard error there is nobody to tell.
            writeln!(std::io::stderr(), "bench: {why}").ok();
            ExitCode::FAILURE
        }
    }
}

/// Says something to whoever runs the bench.
fn say(text: &str) {
    // With no standard output there is nobody to tell.
    writeln!(std::io::stdout(), "{text}").ok();
}
