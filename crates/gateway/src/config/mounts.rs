//! The `[[mount]]` tables: what each says, and where two say the same.

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc, time::Duration};

use gateway_auth::{ClientOptions, Outside};
use gateway_core::{Namespace, Reach};
use gateway_dialect::{Naming, Options, Span, UnknownFields, closest};

use super::{
    MountConfig, MountNamespace, RateLimit, Server, passthrough, prefix,
    report::{Mistake, line},
    secrets::Secrets,
    tables::{BODY_BYTES, size},
    webhook,
};
use crate::{
    cors::Cors,
    registry::{DIALECTS, Row},
    webhook::Webhook,
};

const REQUESTS: std::ops::RangeInclusive<i64> = 1..=1_000_000;
const PER_S: std::ops::RangeInclusive<i64> = 1..=86_400;

/// Where an authenticator may keep secrets; they are tried though it is not known which it is.
const SECRETS: &[&str] = &["api_key", "secret", "token", "jwt_secret", "password", "introspection_secret"];

pub(super) struct Mounts {
    pub(super) mounts: Vec<MountConfig>,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<String>,
}

/// What a mount lays claim to, known even where the rest of it is wrong.
struct Claims {
    name: Option<(String, Span)>,
    host: Option<String>,
    prefixes: Vec<(String, Span)>,
}

pub(super) fn read(root: &mut Options<'_>, text: &str, server: &Server, secrets: &Secrets) -> Mounts {
    let mut read = Mounts { mounts: Vec::new(), mistakes: Vec::new(), warnings: Vec::new() };
    let (mut claims, given) = (Vec::new(), root.has("mount"));
    for options in root.tables("mount") {
        let (claimed, mount) = one(options, text, (server, secrets), &mut read.mistakes);
        claims.push(claimed);
        read.mounts.extend(mount);
    }
    if claims.is_empty() && !given {
        read.mistakes.push(Mistake::nowhere("there is no [[mount]], so nothing would be served"));
    }
    duplicate_names(claims.iter().filter_map(|one| one.name.as_ref()), "mount", text, &mut read.mistakes);
    duplicate_prefixes(&claims, text, &mut read.mistakes);
    read.warnings.extend(shared_keys(&read.mounts));
    for mount in read.mounts.iter().filter(|mount| mount.webhook.as_ref().is_some_and(Webhook::is_open)) {
        read.warnings.push(format!(
            "the webhook of mount `{}` is not https: what users change can be read on its way there",
            mount.name
        ));
    }
    let has_plain = |mount: &&MountConfig| mount.authenticator.outside().is_some_and(Outside::has_plain);
    for mount in read.mounts.iter().filter(has_plain) {
        let name = &mount.name;
        read.warnings
            .push(format!("mount `{name}` asks an issuer over plain http: whoever is between can lie"));
    }
    for mount in read.mounts.iter().filter(|mount| mount.clients.is_empty()) {
        read.warnings
            .push(format!("mount `{}` has no [[mount.client]]: it refuses every request", mount.name));
    }
    read
}

/// Mounts that take each other's tokens: a key in common, and no audience to tell whose a token is.
fn shared_keys(mounts: &[MountConfig]) -> Vec<String> {
    let mut owners: BTreeMap<[u8; 32], Vec<&str>> = BTreeMap::new();
    for mount in mounts {
        for key in mount.authenticator.keys_without_audience() {
            let owners = owners.entry(key).or_default();
            if !owners.contains(&&*mount.name) {
                owners.push(&mount.name);
            }
        }
    }
    let shared = owners.into_values().filter(|owners| owners.len() > 1);
    let warn = |owners: Vec<&str>| {
        let names = owners.join("` and `");
        format!("mounts `{names}` share a `jwt_secret` without an `audience`: each takes the other's tokens")
    };
    shared.map(warn).collect()
}

fn one(
    mut options: Options<'_>,
    text: &str,
    (server, secrets): (&Server, &Secrets),
    mistakes: &mut Vec<Mistake>,
) -> (Claims, Option<MountConfig>) {
    let claims = Claims {
        name: name(&mut options),
        prefixes: prefixes(&mut options),
        host: prefix::host(&mut options, "host"),
    };
    let namespace = options.required_text("namespace");
    let cors = Cors::read(&mut options);
    let max_body_bytes = size(&mut options, "max_body_bytes", BODY_BYTES).unwrap_or(server.max_body_bytes);
    let rate_limit = rate_limit(&mut options, "rate_limit");
    let replay_protection = options.flag("replay_protection", false);
    let public_prefix = options
        .text("public_prefix")
        .and_then(|text| prefix::parse(&text).map_err(|why| options.problem("public_prefix", why)).ok());
    let passthrough = passthrough::read(&mut options, secrets);
    let mut clients = clients(&mut options, text, mistakes);
    let Some(row) = dialect(&mut options) else {
        // What the other keys mean is the dialect's to say.
        for (_, mut client) in clients {
            for key in SECRETS.iter().filter(|key| client.has(key)).collect::<Vec<_>>() {
                client.secrets(key, usize::MAX);
            }
        }
        return (claims, None);
    };
    let dialect = (row.dialect)(&mut options);
    let unknown_fields = options.choice(
        "unknown_fields",
        &[("ignore", UnknownFields::Ignore), ("reject", UnknownFields::Reject)],
        dialect.unknown_fields(),
    );
    let namespace = mount_namespace(&options, namespace.as_deref(), dialect.naming());
    let authenticator = (row.authenticator)(&mut options, &mut clients);
    let webhook = webhook::read(&mut options, &*dialect, server.request_timeout, secrets);
    options.finish();
    let names = clients.iter().map(|(name, _)| Arc::clone(name)).collect();
    clients.into_iter().for_each(|(_, client)| client.finish());
    let mount = MountConfig {
        name: claims.name.as_ref().map_or_else(|| "".into(), |(name, _)| name.as_str().into()),
        prefixes: claims.prefixes.iter().map(|(prefix, _)| prefix.clone()).collect(),
        host: claims.host.clone(),
        dialect,
        authenticator,
        clients: names,
        namespace,
        cors,
        max_body_bytes,
        unknown_fields,
        rate_limit,
        replay_protection,
        public_prefix,
        webhook,
        passthrough,
    };
    (claims, Some(mount))
}

/// Names go into logs, metrics and records: 1 to 64 letters, digits, `.`, `_`, `-`.
fn name(options: &mut Options<'_>) -> Option<(String, Span)> {
    let name = options.required_text("name")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) {
        options.problem("name", "`name` must be 1 to 64 letters, digits, `.`, `_` or `-`");
    }
    Some((name, options.span_of("name")))
}

fn prefixes(options: &mut Options<'_>) -> Vec<(String, Span)> {
    let texts = options.texts("prefix");
    if texts.is_empty() && !options.has("prefix") {
        options.problem("prefix", "`prefix` is missing");
    } else if texts.is_empty() {
        options.problem("prefix", "`prefix` is empty; a mount has at least one");
    }
    let mut prefixes = Vec::new();
    for (text, span) in texts {
        match prefix::parse(&text) {
            Ok(prefix) => prefixes.push((prefix, span)),
            Err(why) => options.problem_at(span, why),
        }
    }
    prefixes
}

/// What the dialect's way of naming users makes of `namespace`.
fn mount_namespace(options: &Options<'_>, text: Option<&str>, naming: Naming) -> MountNamespace {
    let wrong = |expected: &str| {
        options.problem("namespace", format!("`namespace` must be {expected}"));
        MountNamespace::Fixed(Reach::Nobody)
    };
    const NAME: &str = "1 to 64 letters, digits, `.`, `_` or `-`";
    let Some(text) = text else { return MountNamespace::Fixed(Reach::Nobody) };
    match (naming, Namespace::parse(text)) {
        (Naming::InPath(parameter), _)
            if text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) == Some(parameter) =>
        {
            MountNamespace::InPath(parameter)
        }
        (Naming::InPath(parameter), _) => {
            wrong(&format!("\"{{{parameter}}}\": this dialect has it in its paths"))
        }
        (Naming::Canonical, _) if text == "*" => MountNamespace::Fixed(Reach::All),
        (Naming::External, None) if text == "*" => wrong("a name: this dialect names users by external ids"),
        (_, None) => wrong(NAME),
        (_, Some(namespace)) => MountNamespace::Fixed(Reach::Namespace(namespace)),
    }
}

pub(super) fn rate_limit(options: &mut Options<'_>, name: &'static str) -> Option<RateLimit> {
    let mut table = options.table(name)?;
    let mut number = |name, bounds| {
        let number = table.integer(name, bounds);
        number.and_then(|number| u32::try_from(number).ok()).and_then(NonZeroU32::new)
    };
    let requests = number("requests", REQUESTS);
    let per_s = number("per_s", PER_S);
    let burst = number("burst", REQUESTS);
    for name in ["requests", "per_s"] {
        if !table.has(name) {
            table.problem(name, format!("`{name}` is missing"));
        }
    }
    table.finish();
    let requests = requests?;
    let per = Duration::from_secs(per_s?.get().into());
    Some(RateLimit { requests, per, burst: burst.unwrap_or(requests) })
}

fn clients<'a>(options: &mut Options<'a>, text: &str, mistakes: &mut Vec<Mistake>) -> Vec<ClientOptions<'a>> {
    let (mut names, mut clients) = (Vec::new(), Vec::new());
    for mut client in options.tables("client") {
        let name = name(&mut client);
        clients.push((name.as_ref().map_or_else(|| "".into(), |(name, _)| name.as_str().into()), client));
        names.extend(name);
    }
    duplicate_names(names.iter(), "client", text, mistakes);
    clients
}

fn dialect(options: &mut Options<'_>) -> Option<&'static Row> {
    let name = options.required_text("dialect")?;
    let row = DIALECTS.iter().find(|row| row.name == name);
    if row.is_none() {
        let names: Vec<_> = DIALECTS.iter().map(|row| row.name).collect();
        let guess = closest(&name, names.iter().copied())
            .map_or_else(String::new, |known| format!("; did you mean `{known}`?"));
        let message = format!("unknown dialect `{name}`{guess} (there are: {})", names.join(", "));
        options.problem("dialect", message);
    }
    row
}

fn duplicate_names<'c>(
    names: impl Iterator<Item = &'c (String, Span)>,
    of: &str,
    text: &str,
    mistakes: &mut Vec<Mistake>,
) {
    let mut seen = BTreeMap::new();
    for (name, span) in names {
        let first = *seen.entry(name).or_insert(span);
        if first != span {
            let message = format!("there is a {of} `{name}` already, on line {}", line(text, first.start));
            mistakes.push(Mistake::new(span.clone(), message).with_other(first.clone(), "the first one"));
        }
    }
}

/// Of two mounts at the same prefix and host, the second could never be reached.
fn duplicate_prefixes(claims: &[Claims], text: &str, mistakes: &mut Vec<Mistake>) {
    let mut seen = BTreeMap::new();
    for (claims, (prefix, span)) in claims.iter().flat_map(|one| one.prefixes.iter().map(move |at| (one, at)))
    {
        let first = *seen.entry((&claims.host, prefix)).or_insert(span);
        if first != span {
            let shown = if prefix.is_empty() { "/" } else { prefix.as_str() };
            let message =
                format!("the prefix `{shown}` is taken already, on line {}", line(text, first.start));
            mistakes.push(Mistake::new(span.clone(), message).with_other(first.clone(), "taken here"));
        }
    }
}
