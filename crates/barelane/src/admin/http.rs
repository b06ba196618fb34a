//! Connections: bounded in number, in what they may send, and in time. One request each; Prometheus comes again in some
//! seconds anyway, and a connection that is kept is one more that others wait for.

use std::io;
use std::net::TcpListener as Listening;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::answer::Answerer;
use super::tls::Tls;

/// The most connections at a time. Who comes then waits in the kernel's queue: longer than [`CONNECTION_MAX`] only behind more
/// than so many others.
const CONNECTIONS_MAX: usize = 32;

/// How long a handshake of TLS may take: some round trips, and a millisecond of this thread.
const HANDSHAKE_MAX: Duration = Duration::from_secs(2);

/// How long a request line and its headers may take to come.
const HEADERS_MAX: Duration = Duration::from_secs(2);

/// How long a connection may last: until the last byte of its answer has been taken.
const CONNECTION_MAX: Duration = Duration::from_secs(5);

/// The most bytes of a request line and its headers; 8 KiB are the least that hyper takes. Prometheus sends some 400.
const REQUEST_SIZE_MAX: usize = 8 << 10;

/// How long to wait where the kernel refuses a connection, as where no descriptor is left.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// Answers until told to stop.
pub(super) fn serve(
    listener: Listening,
    answerer: Answerer,
    tls: &watch::Receiver<Option<Tls>>,
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        tokio::select! {
            () = accept(&listener, Arc::new(answerer), tls) => {}
            _ = stopped => {}
        }
        Ok(())
    })
}

async fn accept(listener: &TcpListener, answerer: Arc<Answerer>, tls: &watch::Receiver<Option<Tls>>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(REFUSED_PAUSE).await;
            continue;
        };
        let (answerer, tls) = (Arc::clone(&answerer), tls.borrow().as_ref().map(Tls::acceptor));
        tokio::spawn(async move {
            // What a peer does wrong, or does not do in time, is its own affair.
            let _peers_fault = timeout(CONNECTION_MAX, connection(stream, answerer, tls)).await;
            drop(place);
        });
    }
}

/// One connection. Its handshake has a place among the connections, and a time of its own.
async fn connection(stream: TcpStream, answerer: Arc<Answerer>, tls: Option<TlsAcceptor>) {
    let _peers_fault = match tls {
        None => speak(stream, answerer).await,
        Some(tls) => match timeout(HANDSHAKE_MAX, tls.accept(stream)).await {
            Ok(Ok(stream)) => speak(stream, answerer).await,
            Ok(Err(_)) | Err(_) => return,
        },
    };
}

async fn speak<Stream>(stream: Stream, answerer: Arc<Answerer>) -> hyper::Result<()>
where
    Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let answerer = Arc::clone(&answerer);
        async move { hyper::Result::<Response<Full<Bytes>>>::Ok(answerer.answer(&request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADERS_MAX)
        .max_buf_size(REQUEST_SIZE_MAX)
        .keep_alive(false);
    http.serve_connection(TokioIo::new(stream), service).await
}
