//! A plain HTTP/1.1 client that sends exactly the bytes it is told to, and refuses answers with a
//! header that no rule allows.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// A request, byte for byte but for `Host` and `Content-Length`, which are added.
#[derive(Clone, Debug)]
pub struct RawRequest {
    /// The method.
    pub method: String,
    /// The target.
    pub target: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RawResponse {
    /// The status.
    pub status: u16,
    /// The headers, in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Every header that an answer of a mount may have (decision 11, and what decisions name).
const ALLOWED: [&str; 23] = [
    "date",
    "content-length",
    "content-type",
    "cache-control",
    "x-content-type-options",
    "x-request-id",
    "request-id",
    "etag",
    "allow",
    "retry-after",
    "www-authenticate",
    "location",
    "vary",
    "accept-patch",
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-max-age",
    "idempotency-replayed",
    "ratelimit",
    "ratelimit-policy",
    "connection",
];

impl RawResponse {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The answer, if all its headers are allowed and each is there once.
    ///
    /// # Errors
    /// The header that is not.
    pub fn checked(self) -> Result<Self, String> {
        for (at, (name, value)) in self.headers.iter().enumerate() {
            if !ALLOWED.contains(&name.as_str()) {
                return Err(format!("header {name}: {value} is not allowed in an answer"));
            }
            if self.headers[..at].iter().any(|(other, _)| other == name) {
                return Err(format!("header {name} is there twice"));
            }
        }
        Ok(self)
    }
}

/// A connection that is kept open between requests.
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Of the socket.
    pub fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// Of the socket, or for an answer that is no HTTP.
    pub fn send(&mut self, request: &RawRequest) -> Result<RawResponse, String> {
        self.write(&encode(request))?;
        self.read(request.method == "HEAD")
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// Of the socket.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.get_mut().write_all(bytes).map_err(|error| error.to_string())
    }

    /// Reads the next answer; one to HEAD has no body.
    ///
    /// # Errors
    /// Of the socket, or for an answer that is no HTTP.
    pub fn read(&mut self, to_head: bool) -> Result<RawResponse, String> {
        let said = |error: std::io::Error| error.to_string();
        let mut line = String::new();
        self.stream.read_line(&mut line).map_err(said)?;
        let status =
            line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| format!("no status line: {line:?}"))?;
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).map_err(said)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut answer = RawResponse { status, headers, body: Vec::new() };
        let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        if !to_head {
            answer.body = vec![0; length];
            self.stream.read_exact(&mut answer.body).map_err(said)?;
        }
        Ok(answer)
    }

    /// What has been read and belongs to no answer; nothing while client and server are in step.
    #[must_use]
    pub fn left_over(&self) -> &[u8] {
        self.stream.buffer()
    }

    /// True if the server has closed, as it does soon after an answer with `Connection: close`.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.stream.fill_buf(), Ok([]))
    }

    /// The socket, for what this client does not do.
    pub fn socket(&mut self) -> &mut TcpStream {
        self.stream.get_mut()
    }
}

/// Sends one request on a connection of its own.
///
/// # Errors
/// Of the socket, or for an answer that is no HTTP.
pub fn send(address: SocketAddr, request: &RawRequest) -> Result<RawResponse, String> {
    Connection::open(address).map_err(|error| error.to_string())?.send(request)
}

/// The bytes of a request.
#[must_use]
pub fn encode(request: &RawRequest) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
    let given = |wanted: &str| request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
    if !given("host") {
        head.push_str("Host: gateway.test\r\n");
    }
    if !given("content-length")
        && !given("transfer-encoding")
        && (!request.body.is_empty() || request.method != "GET")
    {
        head.push_str(&format!("Content-Length: {}\r\n", request.body.len()));
    }
    for (name, value) in &request.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(&request.body);
    bytes
}
