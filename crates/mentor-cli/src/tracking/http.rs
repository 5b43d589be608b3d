//! Requests to a server of JSON over plain HTTP/1.0, which no answer in pieces follows. There is no https: a
//! server behind it is reached by a tunnel.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};

const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const MAX_ANSWER: u64 = 4 << 20;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    host: String,
    port: u16,
    /// Before every path; empty or with `/` in front.
    prefix: String,
}

/// What a server said.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: serde_json::Value,
}

impl Server {
    /// Reads `http://HOST[:PORT][/PREFIX]`.
    pub(crate) fn parse(uri: &str) -> anyhow::Result<Self> {
        let rest = match uri.split_once("://") {
            Some(("http", rest)) => rest,
            Some(("https", _)) => bail!("{uri}: https is not spoken; go through a tunnel, such as ssh -L"),
            _ => bail!("{uri}: is not an address http://HOST:PORT"),
        };
        let (place, prefix) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().with_context(|| uri.to_owned())?)
            }
            _ => (place, 80),
        };
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@');
        if host.is_empty() || !plain(host) || !plain(prefix) {
            bail!("{uri}: is not an address http://HOST:PORT");
        }
        let prefix = prefix.trim_end_matches('/').to_owned();
        Ok(Self { host: host.to_owned(), port, prefix })
    }

    /// Sends `body`, or asks without one.
    pub(crate) fn request(&self, path: &str, body: Option<&serde_json::Value>) -> anyhow::Result<Answer> {
        let Self { host, port, prefix } = self;
        let places = (host.trim_matches(['[', ']']), *port).to_socket_addrs();
        let mut error = anyhow!("{host}: has no address");
        let mut stream = None;
        for place in places.with_context(|| host.clone())? {
            match TcpStream::connect_timeout(&place, TIMEOUT) {
                Ok(connected) => {
                    stream = Some(connected);
                    break;
                }
                Err(refused) => error = anyhow!("{place}: {refused}"),
            }
        }
        let mut stream = stream.ok_or(error)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let text = body.map(ToString::to_string).unwrap_or_default();
        let method = if body.is_some() { "POST" } else { "GET" };
        let head = format!(
            "{method} {prefix}{path} HTTP/1.0\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            text.len()
        );
        stream.write_all(&[head.as_bytes(), text.as_bytes()].concat())?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
        parse(&answer)
    }
}

fn parse(answer: &[u8]) -> anyhow::Result<Answer> {
    let no_http = || anyhow!("the answer is no HTTP");
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(no_http)?;
    let head = std::str::from_utf8(&answer[..end]).map_err(|_| no_http())?;
    let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    // An answer that is no JSON is of no use, but its status is.
    let body = serde_json::from_slice(&answer[end + 4..]).unwrap_or_default();
    Ok(Answer { status: status.ok_or_else(no_http)?, body })
}

/// A name in the query of an address.
pub(crate) fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).into() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let server =
            |uri: &str| Server::parse(uri).map(|Server { host, port, prefix }| (host, port, prefix)).ok();
        let of = |host: &str, port, prefix: &str| Some((host.to_owned(), port, prefix.to_owned()));
        assert_eq!(server("http://a.b:5000"), of("a.b", 5000, ""));
        assert_eq!(server("http://[::1]:5000/m/"), of("[::1]", 5000, "/m"));
        assert_eq!(server("http://[::1]"), of("[::1]", 80, ""));
        for bad in ["a.b:5000", "file:///x", "http://", "http://a b/", "http://a:b", "http://u:p@h:1"] {
            assert_eq!(server(bad), None, "{bad}");
        }
        assert!(Server::parse("https://a").unwrap_err().to_string().contains("https is not spoken"));
    }

    #[test]
    fn answers_are_read() {
        let answer = parse(b"HTTP/1.1 404 NOT FOUND\r\nA: b\r\n\r\n{\"x\": 1}").unwrap();
        assert_eq!((answer.status, answer.body["x"].as_u64()), (404, Some(1)));
        assert_eq!(parse(b"HTTP/1.0 200 OK\r\n\r\n<html>").unwrap().body, serde_json::Value::Null);
        assert!(parse(b"SSH-2.0-x\r\n\r\n").is_err() && parse(b"").is_err());
        assert_eq!(percent_encoded("a b/é"), "a%20b%2F%C3%A9");
    }
}
