//! The documents over HTTP, and pages to read them: with a viewer that is compiled in, and asks nobody but
//! us.

use bytes::Bytes;
use gateway_core::Timestamp;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

use super::document;
use crate::mount::Mount;

/// RapiDoc, compressed (see `assets/rapidoc/README.md`).
const VIEWER: &[u8] = include_bytes!("../../assets/rapidoc/rapidoc-min.js.gz");
const VIEWER_PATH: &str = "assets/rapidoc-min.js";
/// Nothing from elsewhere, and no script but the viewer, which sets styles of its own.
const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What is at a path: `/openapi`, and under it for each mount a document and a page; `None` for nothing.
#[must_use]
pub fn answer(mounts: &[Mount], path: &str, origin: &str, now: Timestamp) -> Option<Response<Full<Bytes>>> {
    let rest = path.strip_prefix("/openapi")?;
    let Some(name) = rest.strip_prefix('/').filter(|name| !name.is_empty()) else {
        return rest.trim_end_matches('/').is_empty().then(|| html(list(mounts)));
    };
    let named = |name: &str| mounts.iter().find(|mount| *mount.config.name == *name);
    if let Some(mount) = name.strip_suffix(".json").and_then(named) {
        let document = serde_json::to_vec(&document(&mount.config, origin, now)).unwrap_or_default();
        return Some(of("application/json", document));
    }
    if name == VIEWER_PATH {
        let mut response = of("text/javascript; charset=utf-8", Bytes::from_static(VIEWER));
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        return Some(response);
    }
    named(name).map(|mount| html(page(&mount.config.name)))
}

fn list(mounts: &[Mount]) -> String {
    let mut items = String::new();
    for mount in mounts {
        // A name is letters, digits, `.`, `_` and `-`: it needs no escapes.
        let (name, dialect) = (&mount.config.name, mount.config.dialect.name());
        items.push_str(&format!(
            "<li><a href=\"/openapi/{name}\">{name}</a> ({dialect}; \
             <a href=\"/openapi/{name}.json\">OpenAPI 3.1</a>)</li>\n"
        ));
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Interlingua</title></head>\n\
         <body>\n<h1>Mounts</h1>\n<ul>\n{items}</ul>\n</body>\n</html>\n"
    )
}

fn page(name: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Interlingua: {name}</title>\n\
         <script type=\"module\" src=\"/openapi/{VIEWER_PATH}\"></script></head>\n\
         <body>\n<rapi-doc spec-url=\"/openapi/{name}.json\" render-style=\"read\" show-header=\"false\" \
         allow-try=\"false\" allow-authentication=\"false\" allow-server-selection=\"false\" \
         allow-spec-file-load=\"false\" allow-spec-url-load=\"false\" load-fonts=\"false\"></rapi-doc>\n\
         <noscript>This page needs JavaScript; the document is <a href=\"/openapi/{name}.json\">{name}.json</a>.\
         </noscript>\n</body>\n</html>\n"
    )
}

fn html(page: String) -> Response<Full<Bytes>> {
    of("text/html; charset=utf-8", page)
}

fn of(media_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
