//! The command line.

mod backup;
pub(crate) mod data;
mod export;
mod host;
mod import;
mod migrate;
pub mod openapi;
pub(crate) mod printer;
mod probe;
mod receiver;
mod restore;
mod routes;
pub mod shell;
pub mod sign;
pub mod token;
pub mod translate;
mod verify;

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::{
    clock,
    config::{self, Config, DEFAULT_PATH, Overrides},
    serve,
};

pub use routes::table as routes_table;

/// Lines of an import were refused; all others are in.
pub const REFUSED: u8 = 1;
/// The command line is wrong (`EX_USAGE` of sysexits.h).
pub const USAGE: u8 = 64;
/// Data are damaged (`EX_DATAERR`).
pub const DAMAGED: u8 = 65;
/// An output cannot be written (`EX_IOERR`).
pub const IO_FAILURE: u8 = 74;
/// The configuration is wrong (`EX_CONFIG`).
pub const CONFIGURATION: u8 = 78;
/// A signal ended an import: 128 and the number of SIGINT.
pub const INTERRUPTED: u8 = 130;

/// A gateway that serves one store of users in many API dialects.
#[derive(Parser, Debug)]
#[command(name = "interlingua", version, arg_required_else_help = true)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve the mounts of the configuration until a signal stops it
    Serve {
        #[command(flatten)]
        file: File,
        /// Serve clients here instead, for example 127.0.0.1:9080
        #[arg(long, value_name = "ADDR")]
        listen: Option<SocketAddr>,
        /// Serve health and metrics here instead
        #[arg(long, value_name = "ADDR")]
        admin: Option<SocketAddr>,
        /// Keep the embedded store in this directory instead
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
    /// Check the configuration: every mistake, each with its line
    Check {
        #[command(flatten)]
        file: File,
    },
    /// Write a backup of the embedded store into a new directory, also while it is served
    Backup {
        #[command(flatten)]
        order: backup::Order,
    },
    /// Make the embedded store of a backup, in a data directory that is absent or empty
    Restore {
        #[command(flatten)]
        order: restore::Order,
    },
    /// Read every record of the embedded store and count the damaged ones, also while it is served
    Verify {
        #[command(flatten)]
        order: verify::Order,
    },
    /// Make the users of a file, one JSON object a line as the `rest` dialect has them, also while the store
    /// is served
    ///
    /// A line may also say `id`, `createdAt`, `updatedAt`, `links` and `secureMetadata`. Each user is made by
    /// a commit of its own, with all the guarantees of a request's; a line that is wrong, or whose id, link or
    /// username is another user's, is refused, reported and left out. A user that is there already, just as
    /// the line says, is counted and left alone: so the same command can be given again, and after a crash,
    /// a signal or a failure goes on where it ended (it notes that in FILE.state). A line without an id gets
    /// one that is made of it and its number.
    ///
    /// Exit codes: 0 when all users are in, 1 when lines were refused, 64 for a wrong command line, 65 when
    /// the store is damaged, 74 when something cannot be read or written, 78 for a wrong configuration, 130
    /// after SIGINT or SIGTERM.
    #[command(verbatim_doc_comment)]
    Import {
        #[command(flatten)]
        order: import::Order,
    },
    /// Write all users into a new file, one JSON object a line as the `rest` dialect has them, also while the
    /// store is served
    ///
    /// In the order of their ids, for `import`. Deleted users are not in it. No `secureMetadata` is: it is
    /// never shown; how many users have one is told at the end. The file can be read by its owner only, and
    /// is there once it is whole. Who is changed meanwhile is in it as before or as after: for the state of
    /// one moment, take a backup.
    #[command(verbatim_doc_comment)]
    Export {
        #[command(flatten)]
        order: export::Order,
    },
    /// Make the tables of a PostgreSQL, or bring them up to date
    Migrate {
        #[command(flatten)]
        file: File,
    },
    /// Ask a gateway whether it is ready, as a health check does
    Probe {
        #[command(flatten)]
        order: probe::Order,
    },
    /// List what is served: mount, dialect, method, path
    Routes {
        #[command(flatten)]
        file: File,
    },
    /// Print the OpenAPI document of a mount
    Openapi {
        #[command(flatten)]
        file: File,
        #[command(flatten)]
        order: openapi::Order,
    },
    /// Print a signed curl command, to be read or piped to sh
    Sign {
        #[command(flatten)]
        file: File,
        #[command(flatten)]
        order: sign::Order,
    },
    /// Mint a token for a user, signed with a client's key
    Token {
        #[command(flatten)]
        file: File,
        #[command(flatten)]
        order: token::Order,
    },
    /// Say an update of one dialect in another
    Translate {
        #[command(flatten)]
        order: translate::Order,
    },
    /// Be the other side of a validation webhook, to try it out: approve, veto, misbehave
    WebhookReceiver {
        #[command(flatten)]
        order: receiver::Order,
    },
}

/// Where the configuration is.
#[derive(Args, Debug)]
struct File {
    /// The configuration
    #[arg(long, value_name = "PATH", default_value = DEFAULT_PATH)]
    config: PathBuf,
}

impl File {
    /// The configuration, or its mistakes on stderr.
    fn load(&self, overrides: &Overrides) -> Result<Config, ExitCode> {
        config::load(&self.config, overrides).map_err(|report| {
            printer::err(&report.for_stderr());
            ExitCode::from(CONFIGURATION)
        })
    }
}

/// Runs a command line; its first argument is the program's name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Line::try_parse_from(arguments) {
        Ok(line) => obey(line.command).unwrap_or_else(|code| code),
        Err(error) if error.use_stderr() => {
            printer::err(error.render().to_string().trim_end());
            ExitCode::from(USAGE)
        }
        Err(help) => printer::out(help.render().to_string().trim_end()),
    }
}

fn obey(command: Command) -> Result<ExitCode, ExitCode> {
    match command {
        Command::Serve { file, listen, admin, data } => {
            let overrides = Overrides { listen, admin, data };
            let config = file.load(&overrides)?;
            warn(&config);
            Ok(serve::run(config, overrides))
        }
        Command::Check { file } => {
            let config = file.load(&Overrides::default())?;
            warn(&config);
            let count = config.mounts.len();
            let plural = if count == 1 { "" } else { "s" };
            let passed = routes::passed_on(&config.mounts);
            Ok(printer::out(&format!("{}: ok, {count} mount{plural}{passed}", config.path.display())))
        }
        Command::Backup { order } => backup::run(&order),
        Command::Restore { order } => restore::run(&order),
        Command::Verify { order } => verify::run(&order),
        Command::Import { order } => import::run(&order),
        Command::Export { order } => export::run(&order),
        Command::Migrate { file } => migrate::run(&file),
        Command::Probe { order } => probe::run(&order),
        Command::Routes { file } => {
            Ok(printer::out(&routes::table(&file.load(&Overrides::default())?.mounts)))
        }
        Command::Openapi { file, order } => {
            let config = file.load(&Overrides::default())?;
            printed("openapi", openapi::print(&config, &order, clock::now()))
        }
        Command::Sign { file, order } => {
            let config = file.load(&Overrides::default())?;
            printed("sign", sign::curl(&config, &order, clock::now()))
        }
        Command::Token { file, order } => {
            let config = file.load(&Overrides::default())?;
            printed("token", token::mint(&config, &order, clock::now()))
        }
        Command::WebhookReceiver { order } => receiver::run(order),
        Command::Translate { order } => printed("translate", translate::translate(&order, clock::now())),
    }
}

fn printed(command: &str, result: Result<String, String>) -> Result<ExitCode, ExitCode> {
    match result {
        Ok(text) => Ok(printer::out(&text)),
        Err(why) => {
            printer::err(&format!("interlingua {command}: {why}"));
            Err(ExitCode::from(USAGE))
        }
    }
}

fn warn(config: &Config) {
    for warning in &config.warnings {
        printer::err(&format!("warning: {}: {warning}", config.path.display()));
    }
}
