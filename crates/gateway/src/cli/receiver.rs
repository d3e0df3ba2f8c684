//! `interlingua webhook-receiver`: the other side of a validation webhook, to try it out.

use std::{net::SocketAddr, process::ExitCode, sync::Arc};

use clap::Args;
use tokio::net::TcpListener;

use super::printer;
use crate::{
    clock, config,
    serve::UNAVAILABLE,
    webhook::{
        keys::Keys,
        receiver::{self, Answer, Asked},
    },
};

/// How to answer.
#[derive(Args, Debug)]
pub(super) struct Order {
    /// The webhook's secret, by reference as in the configuration: env:NAME or file:/path
    #[arg(long, value_name = "REFERENCE")]
    secret: String,
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// What to answer: approve, veto, veto:MESSAGE, says:BODY, slow:MILLISECONDS, status:NUMBER, or
    /// a misbehaviour: drip, hang, close, reset, unsigned, wrong-signature, huge, redirect, not-json,
    /// no-http
    #[arg(long, value_name = "ANSWER", default_value = "approve")]
    answer: Answer,
    /// Print the bodies of questions, too: personal data
    #[arg(long)]
    show: bool,
}

pub(super) fn run(order: Order) -> Result<ExitCode, ExitCode> {
    let failed = |why: String, code: u8| {
        printer::err(&format!("interlingua webhook-receiver: {why}"));
        ExitCode::from(code)
    };
    let secret = config::secret(&order.secret).map_err(|why| failed(why, super::USAGE))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(error.to_string(), super::IO_FAILURE))?;
    let served = runtime.block_on(async {
        let listener = TcpListener::bind(order.listen).await?;
        let address = listener.local_addr()?;
        let _told = printer::out(&format!("listening on http://{address}; answering {:?}", order.answer));
        let Order { answer, show, .. } = order;
        let decide = move |asked: &Asked| {
            let _told = printer::out(&line(asked, show));
            if asked.is_signed { answer.clone() } else { Answer::Status(401) }
        };
        receiver::serve(listener, Keys::new(&[secret]), Arc::new(decide)).await
    });
    served.map_err(|error| failed(error.to_string(), UNAVAILABLE))?;
    Ok(ExitCode::SUCCESS)
}

/// What came, without what users say of themselves.
fn line(asked: &Asked, show: bool) -> String {
    let now_ms = i64::try_from(clock::now().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX);
    let mut said = vec![
        if asked.is_signed { "signed" } else { "NOT SIGNED with this secret, answered 401" }.to_owned(),
        if asked.is_fresh(now_ms) { "fresh" } else { "NOT FRESH" }.to_owned(),
        format!("{} bytes", asked.body.len()),
        format!("fields: {}", asked.fields().join(", ")),
    ];
    if show {
        said.push(String::from_utf8_lossy(&asked.body).into_owned());
    }
    said.join("; ")
}
