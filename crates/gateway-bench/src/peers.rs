//! Other gateways, where they are installed: nginx that passes requests on, nginx with Lua and Node
//! that check the signature and rename the fields first. Behind each stands a bare server, which is
//! not counted; none of them keeps anything.

use std::{fs, net::SocketAddr, path::Path};

use crate::{
    Failure,
    process::{SERVER_CORE, Server, free_port, is_installed, pinned},
};

const NGINX: &str = include_str!("peers/nginx.conf");
const HAPROXY: &str = include_str!("peers/haproxy.cfg");
const LUA: &str = include_str!("peers/translate.lua");
const NODE: &str = include_str!("peers/translate.js");
const LUA_MODULE: &str = "/usr/lib/nginx/modules/ngx_http_lua_module.so";

/// Starts every peer that is installed; of each other, says so.
pub(crate) fn start(folder: &Path, upstream: SocketAddr, say: &dyn Fn(&str)) -> Result<Vec<Server>, Failure> {
    let mut peers = Vec::new();
    if is_installed("nginx", "-v") {
        peers.push(nginx("nginx, passing on", "pass", folder, upstream)?);
        if Path::new(LUA_MODULE).exists() {
            peers.push(nginx("nginx and Lua", "lua", folder, upstream)?);
        } else {
            say("skipped: nginx with Lua is not installed (libnginx-mod-http-lua, lua-cjson)");
        }
    } else {
        say("skipped: nginx is not installed");
    }
    if is_installed("node", "--version") {
        let (script, address) = (folder.join("translate.js"), free_port()?);
        fs::write(&script, NODE)?;
        let mut command = pinned(SERVER_CORE, "node");
        command.arg(&script).arg(address.port().to_string()).arg(upstream.port().to_string());
        peers.push(Server::start_at("Node", address, command)?);
    } else {
        say("skipped: node is not installed");
    }
    Ok(peers)
}

/// nginx that passes requests on, or translates them first.
pub(crate) fn nginx(
    name: &'static str,
    form: &str,
    folder: &Path,
    upstream: SocketAddr,
) -> Result<Server, Failure> {
    let (address, own) = (free_port()?, folder.join(form));
    fs::create_dir_all(&own)?;
    fs::write(own.join("translate.lua"), LUA)?;
    let (modules, translation) = match form {
        "lua" => (
            format!(
                "load_module {};\nload_module {LUA_MODULE};",
                LUA_MODULE.replace("ngx_http_lua", "ndk_http")
            ),
            format!("rewrite_by_lua_file {};", own.join("translate.lua").display()),
        ),
        _ => (String::new(), String::new()),
    };
    let text = NGINX
        .replace("$MODULES", &modules)
        .replace("$TRANSLATION", &translation)
        .replace("$ADDRESS", &address.to_string())
        .replace("$UPSTREAM", &upstream.to_string())
        .replace("$DIR", &own.to_string_lossy());
    let config = own.join("nginx.conf");
    fs::write(&config, text)?;
    let mut command = pinned(SERVER_CORE, "nginx");
    command.arg("-p").arg(&own).arg("-c").arg(&config);
    Server::start_at(name, address, command)
}

/// HAProxy that passes requests on.
pub(crate) fn haproxy(folder: &Path, upstream: SocketAddr) -> Result<Server, Failure> {
    let (address, config) = (free_port()?, folder.join("haproxy.cfg"));
    let text = HAPROXY.replace("$ADDRESS", &address.to_string()).replace("$UPSTREAM", &upstream.to_string());
    fs::write(&config, text)?;
    let mut command = pinned(SERVER_CORE, "haproxy");
    command.arg("-db").arg("-f").arg(&config);
    Server::start_at("haproxy", address, command)
}
