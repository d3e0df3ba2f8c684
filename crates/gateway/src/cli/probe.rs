//! `interlingua probe`: whether a gateway is ready, for those who have no shell to ask with. It reads no
//! configuration: one that is bad, and was not taken, says nothing of the gateway that serves.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::ExitCode,
    time::Duration,
};

use clap::Args;

use super::{data::failed, printer};
use crate::serve::UNAVAILABLE;

/// For each step of asking.
const PATIENCE: Duration = Duration::from_secs(2);
/// Of an answer; ours are a line.
const MAX_BYTES: u64 = 16 * 1024;

/// Whom to ask what.
#[derive(Args, Debug)]
pub(super) struct Order {
    /// The admin listener of the gateway
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    admin: SocketAddr,
    /// Ask only whether it lives, not whether requests should be sent to it
    #[arg(long)]
    live: bool,
}

pub(super) fn run(order: &Order) -> Result<ExitCode, ExitCode> {
    let path = if order.live { "/livez" } else { "/readyz" };
    let answer = ask(order.admin, path).map_err(|error| failed("probe", &error.to_string(), UNAVAILABLE))?;
    match split(&answer) {
        Some((200, said)) => Ok(printer::out(said)),
        Some((503, said)) => Err(failed("probe", said, UNAVAILABLE)),
        _ => Err(failed("probe", "what answered is no admin listener", UNAVAILABLE)),
    }
}

/// All that is answered, until the connection is closed.
fn ask(admin: SocketAddr, path: &str) -> io::Result<String> {
    let mut socket = TcpStream::connect_timeout(&admin, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    write!(socket, "GET {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    socket.take(MAX_BYTES).read_to_string(&mut answer)?;
    Ok(answer)
}

/// The status of an answer, and its body.
fn split(answer: &str) -> Option<(u16, &str)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some((status, body.trim_end()))
}
