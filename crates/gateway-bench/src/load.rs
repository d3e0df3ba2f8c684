//! The load: so many connections in a closed loop, each answer checked, in one epoll loop.

use std::{
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};

use crate::Failure;

/// Nothing takes longer; a server that does hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Never asleep: to wake the load would cost a server that is slower than it, and no other.
pub(crate) const AWAKE: Duration = Duration::ZERO;
/// Asleep while there is nothing to do: what shares its cores with the load has them then.
pub(crate) const ASLEEP: Duration = Duration::from_millis(100);

/// When a run ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    After(Duration),
    Requests(u64),
}

/// What a run came to.
pub(crate) struct Run {
    pub(crate) took: Duration,
    /// Nanoseconds from each request to its answer, sorted.
    pub(crate) latencies: Vec<u64>,
    /// Bytes of the body of the last answer.
    pub(crate) body_bytes: usize,
}

impl Run {
    pub(crate) fn requests(&self) -> u64 {
        self.latencies.len() as u64
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// A quantile of the latencies, in microseconds.
    pub(crate) fn quantile(&self, of: f64) -> f64 {
        let at = (self.latencies.len() as f64 * of) as usize;
        self.latencies.get(at.min(self.latencies.len().saturating_sub(1))).map_or(0.0, |ns| *ns as f64 / 1e3)
    }
}

struct Client {
    stream: TcpStream,
    sent: Instant,
    answer: Vec<u8>,
}

/// Opens the connections; each stands under the token of its place.
fn connect(poll: &Poll, address: SocketAddr, connections: usize) -> Result<Vec<Client>, Failure> {
    let mut clients = Vec::with_capacity(connections);
    for token in 0..connections {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(token), Interest::READABLE)?;
        clients.push(Client { stream, sent: Instant::now(), answer: Vec::with_capacity(4096) });
    }
    Ok(clients)
}

/// Sends what `next` writes over so many connections, each waiting for its answer, which must have
/// this status; waits for answers for so long at a time.
pub(crate) fn drive(
    address: SocketAddr,
    connections: usize,
    wait: Duration,
    until: Until,
    status: u16,
    next: &mut dyn FnMut(&mut Vec<u8>),
) -> Result<Run, Failure> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(connections);
    let mut clients = connect(&poll, address, connections)?;
    let begun = Instant::now();
    let (mut sent, mut body_bytes) = (0, 0);
    let mut latencies = Vec::with_capacity(1 << 20);
    let mut request = Vec::with_capacity(4096);
    let mut send = |client: &mut Client, now: Instant| -> Result<(), Failure> {
        let over = match until {
            Until::After(time) => now - begun >= time,
            Until::Requests(count) => sent >= count,
        };
        if over {
            return Ok(());
        }
        request.clear();
        next(&mut request);
        client.sent = Instant::now();
        sent += 1;
        client.answer.clear();
        // The kernel's buffer is empty: it takes a request whole.
        if client.stream.write(&request)? == request.len() { Ok(()) } else { Err("a short write".into()) }
    };
    for client in &mut clients {
        send(client, begun)?;
    }
    let mut open = clients.len();
    let mut answered = begun;
    while open > 0 {
        poll.poll(&mut events, Some(wait))?;
        if events.is_empty() && answered.elapsed() > PATIENCE {
            return Err("the server does not answer".into());
        }
        for event in &events {
            let client = &mut clients[event.token().0];
            let Some(length) = receive(client, status)? else { continue };
            let now = Instant::now();
            answered = now;
            latencies.push(u64::try_from((now - client.sent).as_nanos()).unwrap_or(u64::MAX));
            body_bytes = length;
            client.answer.clear();
            send(client, now)?;
            // What was not sent again is at its end.
            open -= usize::from(client.sent < now);
        }
    }
    let took = begun.elapsed();
    latencies.sort_unstable();
    Ok(Run { took, latencies, body_bytes })
}

/// The length of the answer's body, once it is there whole.
fn receive(client: &mut Client, status: u16) -> Result<Option<usize>, Failure> {
    let mut bytes = [0; 4096];
    let read = match client.stream.read(&mut bytes) {
        Ok(0) => return Err("the server closed a connection".into()),
        Ok(read) => read,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    client.answer.extend_from_slice(&bytes[..read]);
    let Some(head) = client.answer.windows(4).position(|end| end == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&client.answer[..head])?;
    let mut lines = text.split("\r\n");
    let given = lines.next().and_then(|line| line.get(9..12)).and_then(|code| code.parse().ok());
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok());
    let length = length.ok_or("an answer without a length")?;
    let here = client.answer.len() - head - 4;
    if given != Some(status) {
        return Err(format!("an answer was {given:?}, not {status}: {}", client.answer.escape_ascii()).into());
    }
    match here.cmp(&length) {
        std::cmp::Ordering::Less => Ok(None),
        std::cmp::Ordering::Equal => Ok(Some(length)),
        std::cmp::Ordering::Greater => Err("an answer longer than it says".into()),
    }
}
