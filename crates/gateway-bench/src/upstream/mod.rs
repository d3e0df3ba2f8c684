//! In front of another service: what a signed PATCH costs the gateway that checks, translates and sends it on
//! as a record, and what it costs the one that passes it through; against nginx and HAProxy, which pass the same
//! bytes to the same service. Round by round, each alone on one core; load and service are on the other.

mod stub;

use std::{env, fs, net::SocketAddr, path::Path};

pub(crate) use self::stub::{Size, run as stub};
use crate::{
    Failure, Plan,
    drive::{rounds, send, settled, write_readme},
    load::Until,
    peers::{haproxy, nginx},
    process::{GATEWAY, LOAD_CORE, SERVER_CORE, Server, is_installed, pinned},
    request::{Kind, Partner},
    say,
    table::{header, rows},
};

/// What a request may cost at most, over nginx.
const TARGETS: [(Kind, &str, f64); 2] =
    [(Kind::Plain, "signed PATCH, translated", 1.3), (Kind::Passed, "the same, passed through", 1.1)];
const CONFIG: &str = include_str!("bench.toml");
const MARKS: [&str; 2] = ["<!-- bench upstream -->\n", "<!-- /bench upstream -->"];

/// Measures everything; false where a target is missed.
pub(crate) fn run(plan: &Plan) -> Result<bool, Failure> {
    let plan = &settled(plan);
    if !is_installed("taskset", "--version") || !is_installed("nginx", "-v") {
        return Err("taskset (util-linux) and nginx must be installed".into());
    }
    let folder = tempfile::Builder::new().prefix("bench-").tempdir_in("target")?;
    let mut partner = Partner::new(plan.users)?;
    let service = service(answer_bytes(plan, folder.path(), &mut partner)?)?;
    let mut servers = vec![
        nginx("nginx", "pass", folder.path(), service.address)?,
        gateway(plan, folder.path(), service.address)?,
    ];
    if is_installed("haproxy", "-v") {
        servers.push(haproxy(folder.path(), service.address)?);
    } else {
        say("skipped: haproxy is not installed");
    }
    // The gateway reads each user once; after that it writes from what it knows.
    send(&servers[1], plan, Kind::Plain, Until::Requests(plan.users), &mut partner)?;
    let servers: Vec<_> = servers.iter().collect();
    let (mut table, mut notes, mut good) = (header("nginx"), String::new(), true);
    for (kind, name, limit) in TARGETS {
        let series = rounds(plan, kind, &servers, &mut partner)?;
        table.push_str(&rows(name, &series));
        for own in series.iter().filter(|own| own.name == GATEWAY) {
            let [_, ratio, _] = own.ratio(&series[0]);
            let missed = if ratio <= limit { "" } else { " (missed)" };
            good &= ratio <= limit;
            notes.push_str(&format!("- {name}: {ratio:.2} × nginx, at most {limit} wanted{missed}\n"));
        }
    }
    say(&format!("\n{table}\n{notes}"));
    if plan.readme {
        write_readme(MARKS, &format!("{table}\n{notes}"))?;
    }
    Ok(good)
}

/// How long the gateway's answers are: those that are passed on are to be as long.
fn answer_bytes(plan: &Plan, folder: &Path, partner: &mut Partner) -> Result<usize, Failure> {
    let service = service(0)?;
    let gateway = gateway(plan, folder, service.address)?;
    Ok(send(&gateway, plan, Kind::Plain, Until::Requests(plan.users), partner)?.body_bytes)
}

fn service(constant: usize) -> Result<Server, Failure> {
    let mut command = pinned(LOAD_CORE, &env::current_exe()?.to_string_lossy());
    command.args(["stub", "--constant", &constant.to_string()]);
    Server::start("service", command)
}

/// The gateway in front of the service, with a partner's mount and one that passes on.
fn gateway(plan: &Plan, folder: &Path, service: SocketAddr) -> Result<Server, Failure> {
    let config = folder.join("interlingua.toml");
    let text = CONFIG.replace("$DIR", &fs::canonicalize(folder)?.to_string_lossy());
    fs::write(&config, text.replace("$UPSTREAM", &service.to_string()))?;
    let mut command = pinned(SERVER_CORE, &plan.gateway.to_string_lossy());
    command.args(["serve", "--config"]).arg(&config);
    command.env("INTERLINGUA_UPSTREAM_URL", format!("http://{service}"));
    command.env("INTERLINGUA_UPSTREAM_TOKEN", "bench");
    Server::start(GATEWAY, command)
}
