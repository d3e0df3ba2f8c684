use super::*;

/// Reads it whole, byte by byte, and in two parts split at each place: the outcome is the same.
fn read(bytes: &[u8]) -> Result<Option<(usize, Framing)>, Refusal> {
    let whole = Head::default().read(bytes);
    let mut trickled = Head::default();
    let mut first = Ok(None);
    for end in 1..=bytes.len() {
        first = trickled.read(&bytes[..end]);
        if first != Ok(None) {
            break;
        }
    }
    assert_eq!(first, whole, "{:?}", String::from_utf8_lossy(bytes));
    for split in 0..=bytes.len() {
        let mut head = Head::default();
        let parts = match head.read(&bytes[..split]) {
            Ok(None) => head.read(bytes),
            ended => ended,
        };
        assert_eq!(parts, whole, "split at {split}: {:?}", String::from_utf8_lossy(bytes));
    }
    whole
}

fn request(line: &str, headers: &[&str]) -> Vec<u8> {
    let mut head = format!("{line}\r\n");
    for header in headers {
        head += header;
        head += "\r\n";
    }
    (head + "\r\n").into_bytes()
}

fn framed(headers: &[&str]) -> Result<Framing, Refusal> {
    let mut all = vec!["Host: a"];
    all.extend(headers);
    let head = request("PATCH /x HTTP/1.1", &all);
    let mut followed = head.clone();
    followed.extend_from_slice(b"GET / HTTP/1.1\r\n");
    let (length, framing) = read(&followed)?.unwrap();
    assert_eq!(length, head.len());
    Ok(framing)
}

#[test]
fn bodies_are_delimited_in_one_way_only() {
    assert_eq!(framed(&[]), Ok(Framing::Length(0)));
    assert_eq!(framed(&["content-LENGTH:\t4 "]), Ok(Framing::Length(4)));
    assert_eq!(framed(&["Transfer-Encoding: Chunked"]), Ok(Framing::Chunked));
    let refused: [(&[&str], Refusal); 27] = [
        (&["Content-Length: 4", "Transfer-Encoding: chunked"], Refusal::Length),
        (&["Transfer-Encoding: chunked", "Content-Length: 4"], Refusal::Length),
        (&["Content-Length: 4", "Content-Length: 4"], Refusal::Length),
        (&["Content-Length: 4", "X: y", "content-length: 5"], Refusal::Length),
        (&["Content-Length: 4, 4"], Refusal::Length),
        (&["Content-Length: +4"], Refusal::Length),
        (&["Content-Length: -1"], Refusal::Length),
        (&["Content-Length: 0x4"], Refusal::Length),
        (&["Content-Length: 4 4"], Refusal::Length),
        (&["Content-Length:"], Refusal::Length),
        (&["Content-Length: 4e0"], Refusal::Length),
        (&["Content-Length: 99999999999999999999"], Refusal::Length),
        (&["Content-Length : 4"], Refusal::HeaderName),
        (&["Content_Length: 4"], Refusal::HeaderName),
        (&["Transfer-Encoding: xchunked"], Refusal::UnknownCoding),
        (&["Transfer-Encoding: gzip, chunked"], Refusal::UnknownCoding),
        (&["Transfer-Encoding: identity"], Refusal::UnknownCoding),
        (&["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], Refusal::Coding),
        (&["Transfer-Encoding: chunked", "Transfer-Encoding: gzip"], Refusal::UnknownCoding),
        (&["Transfer-Encoding: chunked, chunked"], Refusal::Coding),
        (&["Transfer-Encoding: \u{b}chunked"], Refusal::HeaderLine),
        (&["Transfer-Encoding: chunked;foo=bar"], Refusal::Coding),
        (&["Transfer-Encoding: \"chunked\""], Refusal::Coding),
        (&["Transfer-Encoding:"], Refusal::Coding),
        (&["Transfer-Encoding : chunked"], Refusal::HeaderName),
        (&["Transfer-Encoding:", " chunked"], Refusal::Coding),
        (&["X: y", " chunked"], Refusal::HeaderLine),
    ];
    for (headers, refusal) in refused {
        assert_eq!(framed(headers), Err(refusal), "{headers:?}");
    }
    let old = |header| read(&request("POST / HTTP/1.0", &[header]));
    assert_eq!(old("Transfer-Encoding: chunked"), Err(Refusal::Coding));
    assert_eq!(old("Content-Length: 7").unwrap().unwrap().1, Framing::Length(7));
}

#[test]
fn a_request_of_http_1_1_has_one_host() {
    let hosts = |headers: &[&str]| read(&request("GET / HTTP/1.1", headers)).map(|_| ());
    assert_eq!(hosts(&["Host: a.example:80"]), Ok(()));
    assert_eq!(hosts(&[]), Err(Refusal::Host));
    assert_eq!(hosts(&["Host: a", "Host: a"]), Err(Refusal::Host));
    for bad in ["Host:", "Host: a/b", "Host: [::1", "Host: a:99999", "Host: a b"] {
        assert_eq!(hosts(&[bad]), Err(Refusal::Host), "{bad}");
    }
    assert_eq!(hosts(&["Host: a\0b"]), Err(Refusal::HeaderLine));
    assert_eq!(read(&request("GET / HTTP/1.0", &[])).map(|_| ()), Ok(()));
    assert_eq!(read(&request("GET / HTTP/1.0", &["Host: a", "Host: b"])), Err(Refusal::Host));
}

#[test]
fn request_lines() {
    let line = |line: &str| read(&request(line, &["Host: a"])).map(|_| ());
    for good in
        ["GET / HTTP/1.1", "TRACE /x HTTP/1.1", "patch /x?a=[b]&c={d} HTTP/1.1", "GET //x/%2F HTTP/1.1"]
    {
        assert_eq!(line(good), Ok(()), "{good}");
    }
    let refused = [
        ("CONNECT a:443 HTTP/1.1", Refusal::Connect),
        ("OPTIONS * HTTP/1.1", Refusal::Target),
        ("GET http://evil/x HTTP/1.1", Refusal::Target),
        ("GET x HTTP/1.1", Refusal::Target),
        ("GET /x#y HTTP/1.1", Refusal::Target),
        ("GET /é HTTP/1.1", Refusal::Target),
        ("GET /\u{1} HTTP/1.1", Refusal::Target),
        ("GET /x", Refusal::RequestLine),
        ("GET  /x HTTP/1.1", Refusal::RequestLine),
        ("GET /x  HTTP/1.1", Refusal::RequestLine),
        ("GET /x HTTP/1.1 ", Refusal::RequestLine),
        (" GET /x HTTP/1.1", Refusal::RequestLine),
        ("GET\t/x HTTP/1.1", Refusal::RequestLine),
        ("PA(CH /x HTTP/1.1", Refusal::RequestLine),
        ("GET /x http/1.1", Refusal::RequestLine),
        ("GET /x HTTP/1.10", Refusal::RequestLine),
        ("GET /x HTTP/1.2", Refusal::Version),
        ("PRI * HTTP/2.0", Refusal::Version),
        ("foo", Refusal::RequestLine),
    ];
    for (bad, refusal) in refused {
        assert_eq!(line(bad), Err(refusal), "{bad}");
    }
    assert_eq!(read(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(Some((29, Framing::Length(0)))));
    assert_eq!(read(b"\r\n\r\nGET / HTTP/1.1\r\n"), Err(Refusal::RequestLine));
    assert_eq!(read(b"\x16\x03\x01"), Err(Refusal::RequestLine));
}

#[test]
fn lines_end_in_one_way_only() {
    for (head, refusal) in [
        (&b"GET / HTTP/1.1\nHost: a\n\n"[..], Refusal::HeaderLine),
        (b"GET / HTTP/1.1\r\nHost: a\n\r\n", Refusal::HeaderLine),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\n", Refusal::HeaderLine),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\rc\r\n\r\n", Refusal::HeaderLine),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n", Refusal::HeaderLine),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\r\n\r\n", Refusal::HeaderLine),
        (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", Refusal::HeaderLine),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\tc\r\n\r\n", Refusal::HeaderLine),
        (b"GET / HTTP/1.1\r\nHost: a\r\nfoo\r\n\r\n", Refusal::HeaderLine),
        (b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", Refusal::HeaderName),
    ] {
        assert_eq!(read(head), Err(refusal), "{:?}", String::from_utf8_lossy(head));
    }
    assert!(framed(&["X-A: \u{ff}"]).is_ok());
}

#[test]
fn expectations() {
    assert_eq!(framed(&["Expect: 100-Continue"]), Ok(Framing::Length(0)));
    for bad in
        ["Expect: 200-maybe", "Expect: y 100-continue", "Expect:", "Expect: 100-continue, 100-continue"]
    {
        assert_eq!(framed(&[bad]), Err(Refusal::Expectation), "{bad}");
    }
    assert_eq!(framed(&["Expect: 100-continue", "Expect: 100-continue"]), Err(Refusal::Expectation));
}

#[test]
fn sizes() {
    let target = |length: usize| format!("GET /{} HTTP/1.1", "x".repeat(length - 1));
    let line = |length| Head::default().read(&request(&target(length), &["Host: a"])).map(|_| ());
    assert_eq!(line(MAX_TARGET_BYTES), Ok(()));
    assert_eq!(line(MAX_TARGET_BYTES + 1), Err(Refusal::TargetTooLong));
    assert_eq!(line(MAX_HEAD_BYTES * 2), Err(Refusal::TargetTooLong));
    assert_eq!(Head::default().read(&[b'A'; MAX_LINE_BYTES + 1]), Err(Refusal::TargetTooLong));

    let lines = |count: usize| {
        let mut headers = vec!["Host: a"];
        headers.resize(count, "X: y");
        read(&request("GET / HTTP/1.1", &headers)).map(|_| ())
    };
    assert_eq!(lines(64), Ok(()));
    assert_eq!(lines(65), Err(Refusal::HeadTooLarge));

    let wide = |size: usize| {
        let rest = request("GET / HTTP/1.1", &["Host: a", "X: "]).len();
        request("GET / HTTP/1.1", &["Host: a", &format!("X: {}", "y".repeat(size - rest))])
    };
    assert_eq!(wide(MAX_HEAD_BYTES).len(), MAX_HEAD_BYTES);
    assert!(Head::default().read(&wide(MAX_HEAD_BYTES)).unwrap().is_some());
    assert_eq!(Head::default().read(&wide(MAX_HEAD_BYTES + 1)), Err(Refusal::HeadTooLarge));
    let endless = &wide(MAX_HEAD_BYTES + 99)[..MAX_HEAD_BYTES];
    assert_eq!(Head::default().read(endless), Err(Refusal::HeadTooLarge));
}
