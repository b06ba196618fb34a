//! Which path gives what, to whom.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
    HeaderValue, REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};

use super::exposition::Form;
use super::families::Families;
use super::health::{self, Watched};
use super::page::{Looks, PAGE, POLICY, PageFigures};
use super::settings::Token;
use crate::health::Report;
use crate::side_channel::{Reader, unix_ns};

const TEXT: &str = "text/plain; charset=utf-8";

/// What answers requests.
#[derive(Debug)]
pub(super) struct Answerer {
    /// What whoever asks must show.
    pub(super) token: Option<Token>,
    /// The server's own segment, where there is one.
    pub(super) reader: Option<Reader>,
    /// What else of the server is looked at.
    pub(super) watched: Watched,
    /// What the page was told last.
    pub(super) looks: Looks,
}

/// The page, which has no figure in it. Whoever asks for it is a browser that was given an address, and cannot show a token yet.
const FOR_ALL: &str = "/";

type Answer = Response<Full<Bytes>>;

impl Answerer {
    pub(super) async fn answer<Body>(&self, request: &Request<Body>) -> Answer {
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
            "/page.json" => self.figures(),
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
        let Some(reader) = &self.reader else { return no_segment() };
        match reader.read() {
            Ok(snapshot) => {
                let page = Families::of(&snapshot, unix_ns()).text(form);
                with(text(StatusCode::OK, page), CONTENT_TYPE, form.content_type())
            }
            Err(error) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
        }
    }

    fn figures(&self) -> Answer {
        let Some(reader) = &self.reader else { return no_segment() };
        let now = match reader.read() {
            Ok(snapshot) => snapshot,
            Err(error) => return text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
        };
        let make = |before: &_, now: &_| PageFigures::between(before, now, reader.path(), unix_ns());
        match serde_json::to_string(&self.looks.take(now, make)) {
            Ok(figures) => with(text(StatusCode::OK, figures), CONTENT_TYPE, "application/json"),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }

    async fn health(&self, look: impl AsyncFn(&Reader, &Watched) -> Report) -> Answer {
        let Some(reader) = &self.reader else { return no_segment() };
        let report = look(reader, &self.watched).await;
        let status = if report.is_good() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        text(status, report.to_string())
    }
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
