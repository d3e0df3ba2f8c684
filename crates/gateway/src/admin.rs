//! The admin listener: `/livez`, `/readyz`, `/metrics`, and the documents under `/openapi`.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;

use crate::{
    body::AnswerBody,
    server::{Origin, Respond},
};

/// What is at a path, where there is something.
pub type Documents = dyn Fn(&str) -> Option<Response<Full<Bytes>>> + Send + Sync;

/// What the admin listener asks the rest of the process.
pub struct Admin {
    /// `Err` with a word on why no requests should be sent here now.
    pub ready: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// The metrics, as text.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// What is under `/openapi`, by the whole path.
    pub documents: Arc<Documents>,
}

impl Respond for Admin {
    async fn respond(&self, _: Origin<'_>, request: Request<Incoming>) -> Response<AnswerBody> {
        AnswerBody::whole(self.answer(request.method(), request.uri().path()))
    }
}

impl Admin {
    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match path {
            "/livez" => text(StatusCode::OK, "ok\n"),
            "/readyz" => match (self.ready)() {
                Ok(()) => text(StatusCode::OK, "ready\n"),
                Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
            },
            "/metrics" => {
                let mut response = text(StatusCode::OK, (self.metrics)());
                let exposition = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
                response.headers_mut().insert(header::CONTENT_TYPE, exposition);
                response
            }
            path => (self.documents)(path).unwrap_or_else(|| {
                text(StatusCode::NOT_FOUND, "not found: try /livez, /readyz, /metrics or /openapi\n")
            }),
        }
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let admin = |ready: Result<(), &'static str>| Admin {
            ready: Arc::new(move || ready.map_err(str::to_owned)),
            metrics: Arc::new(|| "m 1\n".into()),
            documents: Arc::new(|path| (path == "/openapi").then(|| text(StatusCode::OK, "none"))),
        };
        let status = |admin: Admin, method, path| admin.answer(&method, path).status().as_u16();
        assert_eq!(status(admin(Ok(())), Method::GET, "/livez"), 200);
        assert_eq!(status(admin(Err("draining")), Method::GET, "/livez"), 200);
        assert_eq!(status(admin(Ok(())), Method::GET, "/readyz"), 200);
        assert_eq!(status(admin(Err("draining")), Method::GET, "/readyz"), 503);
        assert_eq!(status(admin(Ok(())), Method::HEAD, "/metrics"), 200);
        assert_eq!(status(admin(Ok(())), Method::GET, "/"), 404);
        assert_eq!(status(admin(Ok(())), Method::GET, "/openapi"), 200);
        assert_eq!(status(admin(Ok(())), Method::POST, "/openapi"), 405);
        assert_eq!(status(admin(Ok(())), Method::POST, "/livez"), 405);
    }
}
