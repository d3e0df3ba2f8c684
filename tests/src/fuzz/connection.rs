//! The bytes of a connection: heads and chunks of HTTP/1, frames of HTTP/2. Where they are cut apart on
//! their way never matters.

use gateway::server::fuzz;

/// Where an input comes in parts: as its own first bytes say, and byte by byte where it is short.
fn cuts(bytes: &[u8]) -> [Vec<usize>; 2] {
    let steps = bytes.iter().take(8).scan(0, |end, step| {
        *end += usize::from(*step);
        Some(*end)
    });
    [steps.collect(), (0..bytes.len().min(512)).collect()]
}

/// A head that is let through is read alike by the parser behind, which then finds one body, of the
/// length that was found here.
pub(super) fn h1_head(bytes: &[u8]) -> bool {
    let read = fuzz::head(bytes, &[]);
    for ends in cuts(bytes) {
        assert_eq!(fuzz::head(bytes, &ends), read, "{ends:?}");
    }
    let Ok(Some((length, body))) = read else { return false };
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    assert_eq!(request.parse(bytes), Ok(httparse::Status::Complete(length)));
    assert!(length <= 16 * 1024 && bytes[..length].ends_with(b"\r\n\r\n"));
    let of = |name: &str| {
        let named = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| std::str::from_utf8(header.value).unwrap().trim()).collect::<Vec<_>>()
    };
    let (lengths, codings) = (of("content-length"), of("transfer-encoding"));
    match body {
        None => {
            assert!(lengths.is_empty() && codings.len() == 1 && codings[0].eq_ignore_ascii_case("chunked"));
            assert_eq!(request.version, Some(1));
        }
        Some(length) => {
            assert!(codings.is_empty() && lengths.len() <= 1);
            assert_eq!(lengths.first().map_or(Ok(0), |text| text.parse()), Ok(length));
        }
    }
    let hosts = of("host");
    assert!(hosts.len() == 1 || (hosts.is_empty() && request.version == Some(0)));
    assert!(hosts.iter().all(|host| host.parse::<http::uri::Authority>().is_ok()), "{hosts:?}");
    let target = request.path.unwrap();
    assert!(target.starts_with('/') && target.parse::<http::Uri>().is_ok(), "{target:?}");
    assert!(request.method.unwrap().parse::<http::Method>().is_ok());
    true
}

/// A chunked body ends where it ends for a reader of few lines.
pub(super) fn h1_chunks(bytes: &[u8]) -> bool {
    let read = fuzz::chunked(bytes, &[]);
    for ends in cuts(bytes) {
        assert_eq!(fuzz::chunked(bytes, &ends), read, "{ends:?}");
    }
    match read {
        Ok((length, true)) => {
            assert_eq!(end_of_chunks(bytes), Some(length));
            true
        }
        Ok((length, false)) => {
            assert_eq!(length, bytes.len());
            false
        }
        Err(name) => {
            assert_eq!(name, "chunk");
            false
        }
    }
}

/// RFC 9112, 7.1, line by line.
fn end_of_chunks(bytes: &[u8]) -> Option<usize> {
    let line = |from: usize| {
        let length = bytes.get(from..)?.windows(2).position(|pair| pair == b"\r\n")?;
        Some((std::str::from_utf8(&bytes[from..from + length]), from + length + 2))
    };
    let mut at = 0;
    loop {
        let (size, data) = line(at)?;
        // An extension may hold bytes beyond ASCII.
        let size = match size {
            Ok(size) => size.split(';').next()?.to_owned(),
            Err(_) => String::from_utf8_lossy(&bytes[at..data]).split(';').next()?.to_owned(),
        };
        let size = usize::from_str_radix(&size, 16).ok()?;
        at = data;
        if size == 0 {
            break;
        }
        at += size;
        assert_eq!(bytes.get(at..at + 2)?, b"\r\n");
        at += 2;
    }
    loop {
        let (_, next) = line(at)?;
        if next == at + 2 {
            return Some(next);
        }
        at = next;
    }
}

/// Frames are found where their lengths say.
pub(super) fn h2_frames(bytes: &[u8]) -> bool {
    let read = fuzz::frames(bytes, &[]);
    for ends in cuts(bytes) {
        assert_eq!(fuzz::frames(bytes, &ends), read, "{ends:?}");
    }
    let (mut at, mut expected) = (0, Vec::new());
    while let Some(&[a, b, c, kind, flags, s0, s1, s2, s3]) =
        bytes.get(at..).and_then(|rest| rest.first_chunk())
    {
        let length = u32::from_be_bytes([0, a, b, c]);
        expected.push((length, kind, flags, u32::from_be_bytes([s0 & 0x7f, s1, s2, s3])));
        at += 9 + length as usize;
    }
    assert_eq!(read, (expected, at == bytes.len()));
    read.1 && !bytes.is_empty()
}
