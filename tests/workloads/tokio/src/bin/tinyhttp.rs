// SPDX-License-Identifier: MIT
//! HTTP/1.1 with two documents, parsed by httparse inside a codec of its own.
use bytes::{Buf, BytesMut};
use futures_util::{SinkExt, StreamExt};
use std::io;
use tokio_util::codec::{Decoder, Encoder, Framed};
use workloads_tokio::*;

struct Http;

struct Request {
    method: String,
    path: String,
    keep: bool,
}

struct Response {
    status: &'static str,
    kind: &'static str,
    body: String,
}

impl Decoder for Http {
    type Item = Request;
    type Error = io::Error;

    fn decode(&mut self, from: &mut BytesMut) -> io::Result<Option<Request>> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut parsed = httparse::Request::new(&mut headers);
        let wrong = |e: httparse::Error| io::Error::new(io::ErrorKind::InvalidData, e);
        let httparse::Status::Complete(length) = parsed.parse(from).map_err(wrong)? else {
            return Ok(None);
        };
        let closes = |h: &&mut httparse::Header| {
            h.name.eq_ignore_ascii_case("connection") && h.value.eq_ignore_ascii_case(b"close")
        };
        let request = Request {
            method: parsed.method.unwrap_or("").into(),
            path: parsed.path.unwrap_or("").into(),
            keep: parsed.version == Some(1) && parsed.headers.iter_mut().find(closes).is_none(),
        };
        from.advance(length);
        Ok(Some(request))
    }
}

impl Encoder<Response> for Http {
    type Error = io::Error;

    fn encode(&mut self, r: Response, to: &mut BytesMut) -> io::Result<()> {
        let head = format!(
            "HTTP/1.1 {}\r\nServer: tinyhttp\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
            r.status, r.kind, r.body.len()
        );
        to.extend_from_slice(head.as_bytes());
        to.extend_from_slice(r.body.as_bytes());
        Ok(())
    }
}

fn respond(request: &Request) -> Response {
    let (status, kind, body) = match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/plaintext") => ("200 OK", "text/plain", "Hello, World!".to_string()),
        ("GET", "/json") => ("200 OK", "application/json", r#"{"message":"Hello, World!"}"#.to_string()),
        ("GET", path) => ("404 Not Found", "text/plain", format!("no {path}")),
        (method, _) => ("405 Method Not Allowed", "text/plain", format!("no {method}")),
    };
    Response { status, kind, body }
}

#[tokio::main]
async fn main() -> Result {
    let listener = listen("127.0.0.1:8080").await?;
    loop {
        let (client, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut http = Framed::new(client, Http);
            while let Some(Ok(request)) = http.next().await {
                if http.send(respond(&request)).await.is_err() || !request.keep {
                    break;
                }
            }
        });
    }
}
