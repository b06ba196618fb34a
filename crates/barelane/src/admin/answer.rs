//! Which path gives what, to whom.

use std::net::{Ipv4Addr, Ipv6Addr};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName,
    HeaderValue, REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, StatusCode};

use super::exposition::Form;
use super::families::Families;
use super::health::{self, Watched};
use super::page::{Looks, PAGE, POLICY, PageFigures};
use super::settings::Token;
use crate::health::Report;
use crate::side_channel::{Reader, SegmentError, Snapshot, unix_ns};

const TEXT: &str = "text/plain; charset=utf-8";

/// What answers requests.
#[derive(Debug)]
pub(super) struct Answerer {
    /// What whoever asks must show.
    pub(super) token: Option<Token>,
    /// The server's cards, in their order.
    pub(super) cards: Vec<Card>,
}

/// What is known of one card.
#[derive(Debug)]
pub(super) struct Card {
    /// The interface.
    pub(super) nic: String,
    /// Its segment, where there is one.
    pub(super) reader: Option<Reader>,
    /// What else of its server is looked at.
    pub(super) watched: Watched,
    /// What the page was told last.
    pub(super) looks: Looks,
}

/// The page, which has no figure in it. Whoever asks for it is a browser that was given an address, and cannot show a token yet.
const FOR_ALL: &str = "/";

type Answer = Response<Full<Bytes>>;

impl Answerer {
    pub(super) async fn answer<Body>(&self, request: &Request<Body>) -> Answer {
        if self.token.is_none() && !is_for_this_host(request) {
            let said = "nobody here has that name: ask for the host by its number, or as localhost\n";
            return text(StatusCode::MISDIRECTED_REQUEST, said);
        }
        if !self.may_ask(request) {
            let answer = text(StatusCode::UNAUTHORIZED, "show the token: Authorization: Bearer TOKEN\n");
            return with(answer, WWW_AUTHENTICATE, "Bearer");
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let answer = text(StatusCode::METHOD_NOT_ALLOWED, "nothing can be changed here: GET or HEAD\n");
            return with(answer, ALLOW, "GET, HEAD");
        }
        match request.uri().path() {
            FOR_ALL => page(),
            "/page.json" => self.figures(request.uri().query()),
            "/metrics" => self.metrics(form_of(request)),
            "/readyz" => self.health(health::ready).await,
            "/healthz" => self.health(health::healthy).await,
            _ => text(StatusCode::NOT_FOUND, "there are /, /page.json, /metrics, /readyz and /healthz\n"),
        }
    }

    fn may_ask<Body>(&self, request: &Request<Body>) -> bool {
        let Some(token) = self.token.as_ref().filter(|_| request.uri().path() != FOR_ALL) else {
            return true;
        };
        request.headers().get(AUTHORIZATION).is_some_and(|shown| token.is_in(shown.as_bytes()))
    }

    fn metrics(&self, form: Form) -> Answer {
        let with_segment = self.cards.iter().filter_map(|card| Some((&card.nic, card.reader.as_ref()?)));
        let read = with_segment.map(|(nic, reader)| Ok((nic.clone(), reader.read()?)));
        let snapshots: Vec<(String, Snapshot)> = match read.collect::<Result<_, SegmentError>>() {
            Ok(snapshots) => snapshots,
            Err(error) => return text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
        };
        let families = match snapshots.as_slice() {
            [] => return no_segment(),
            [(_, snapshot)] if self.cards.len() == 1 => Families::of(snapshot, unix_ns()),
            several => Families::of_cards(several, unix_ns()),
        };
        with(text(StatusCode::OK, families.text(form)), CONTENT_TYPE, form.content_type())
    }

    /// The figures of the card whose number is asked for, as `card=1`; of the first one where none is.
    fn figures(&self, query: Option<&str>) -> Answer {
        let number = query.map_or(Some(0), |query| query.strip_prefix("card=")?.parse().ok());
        let Some(card) = number.and_then(|number: usize| self.cards.get(number)) else {
            let there = format!("there are {} cards, of which the first is card=0\n", self.cards.len());
            return text(StatusCode::NOT_FOUND, there);
        };
        let Some(reader) = &card.reader else { return no_segment() };
        let now = match reader.read() {
            Ok(snapshot) => snapshot,
            Err(error) => return text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
        };
        let nics = || self.cards.iter().map(|card| card.nic.clone()).collect();
        let make = |before: &_, now: &_| PageFigures::between(before, now, reader.path(), unix_ns(), nics());
        match serde_json::to_string(&card.looks.take(now, make)) {
            Ok(figures) => with(text(StatusCode::OK, figures), CONTENT_TYPE, "application/json"),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }

    /// What is looked at of every card. Of several, each line says which one it is of.
    async fn health(&self, look: impl AsyncFn(&Reader, &Watched) -> Report) -> Answer {
        let (mut status, mut said) = (StatusCode::OK, String::new());
        for card in &self.cards {
            let Some(reader) = &card.reader else { return no_segment() };
            let report = look(reader, &card.watched).await;
            if !report.is_good() {
                status = StatusCode::SERVICE_UNAVAILABLE;
            }
            let on = if self.cards.len() > 1 { format!(" ({})", card.nic) } else { String::new() };
            said.extend(
                report.to_string().lines().map(|line| line.replacen(": ", &format!("{on}: "), 1) + "\n"),
            );
        }
        text(status, said)
    }
}

/// Whether a request was meant for this host. A browser asks whatever a name leads to, and says the name; whose that is may lead it
/// to a loopback address, and his page then reads what is answered there as its own (DNS rebinding). A number leads nowhere else, and
/// nobody else has localhost (RFC 6761 6.3). Where a token is asked for, no such page has it.
fn is_for_this_host<Body>(request: &Request<Body>) -> bool {
    let named = request.headers().get_all(HOST).into_iter().map(|host| host.to_str().unwrap_or_default());
    named.chain(request.uri().authority().map(Authority::as_str)).all(is_this_host)
}

/// Whether it is an address, in brackets where it is one of IPv6, or localhost; with a port or without.
fn is_this_host(host: &str) -> bool {
    let is_port = |text: &str| {
        text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
    };
    if let Some((address, port)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address.parse::<Ipv6Addr>().is_ok() && is_port(port);
    }
    let (name, port) = host.split_at(host.find(':').unwrap_or(host.len()));
    is_port(port) && (name.parse::<Ipv4Addr>().is_ok() || name.eq_ignore_ascii_case("localhost"))
}

/// OpenMetrics to whoever says that he reads it, as Prometheus does.
fn form_of<Body>(request: &Request<Body>) -> Form {
    let accepted = request.headers().get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let mut kinds = accepted.flat_map(|value| value.split(',')).filter_map(|kind| kind.split(';').next());
    let is_open = kinds.any(|kind| kind.trim().eq_ignore_ascii_case("application/openmetrics-text"));
    if is_open { Form::OpenMetrics } else { Form::Prometheus }
}

fn page() -> Answer {
    let mut answer = with(text(StatusCode::OK, ""), CONTENT_TYPE, "text/html; charset=utf-8");
    *answer.body_mut() = Full::new(Bytes::from_static(PAGE.as_bytes()));
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    with(answer, REFERRER_POLICY, "no-referrer")
}

fn no_segment() -> Answer {
    text(StatusCode::SERVICE_UNAVAILABLE, "there is no side channel: the server said why at its start\n")
}

fn text(status: StatusCode, body: impl Into<String>) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.into())));
    *answer.status_mut() = status;
    // What is said is of now, and of the kind that is named, whatever it looks like.
    let answer = with(answer, CACHE_CONTROL, "no-store");
    with(with(answer, X_CONTENT_TYPE_OPTIONS, "nosniff"), CONTENT_TYPE, TEXT)
}

fn with(mut answer: Answer, name: HeaderName, value: &'static str) -> Answer {
    answer.headers_mut().insert(name, HeaderValue::from_static(value));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_by_its_number_and_as_localhost() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:9464",
            "[::1]",
            "[::1]:9464",
            "localhost",
            "LocalHost:9464",
            "10.9.0.1:1",
        ] {
            assert!(is_this_host(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "example.com:9464",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "127.0.0.1:x",
            "127.0.0.1:",
            "[::1",
            "[::1]x",
            "[example.com]",
            "::1",
            "user@127.0.0.1",
            "localhost:9464:1",
        ] {
            assert!(!is_this_host(host), "{host}");
        }
    }
}
