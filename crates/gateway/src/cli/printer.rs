//! The command line's one way to stdout and stderr.

use std::{
    io::{self, IsTerminal as _, Write},
    process::ExitCode,
};

use super::IO_FAILURE;

/// Prints lines to stdout; a closed pipe is no reason to panic.
pub(crate) fn out(text: &str) -> ExitCode {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            err(&format!("stdout cannot be written: {error}"));
            ExitCode::from(IO_FAILURE)
        }
    }
}

/// Prints lines to stderr.
pub(crate) fn err(text: &str) {
    // Where stderr is closed there is nobody left to tell.
    drop(writeln!(io::stderr(), "{text}"));
}

/// True where somebody looks at stderr.
pub(crate) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Writes a line of a terminal's stderr anew; an empty one leaves no trace.
pub(crate) fn rewrite(text: &str) {
    // As above.
    drop(write!(io::stderr(), "\r\x1b[K{text}"));
}
