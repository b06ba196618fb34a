//! Where to listen, and who may ask.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};

use sha2::{Digest, Sha256};

use super::tls::Tls;
use crate::config::keys::{ADMIN, ADMIN_TLS_CERT_FILE, ADMIN_TOKEN_FILE};
use crate::config::{AdminChoice, Config};
use crate::error::Wrong;
use crate::{Plan, stamp_key};

/// What whoever asks must show. Only its hash is kept: two hashes can be compared in whatever time it takes, since nobody can
/// choose them byte by byte.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token([u8; 32]);

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token(not shown)")
    }
}

impl Token {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Whether the value of an Authorization header has it (RFC 6750 section 2.1).
    pub(super) fn is_in(&self, authorization: &[u8]) -> bool {
        let (scheme, shown) = authorization.split_at_checked(7).unwrap_or_default();
        scheme.eq_ignore_ascii_case(b"bearer ") && Self::of(shown) == *self
    }
}

/// Where metrics and health are served. Holding one proves that whoever is not on this host must show a token there.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    choice: AdminChoice,
    token: Option<Token>,
    tls: Option<Tls>,
}

impl AdminSettings {
    /// What the configuration says, with the token, the certificate and its key from their files.
    pub(crate) fn of(config: &Config) -> Result<Self, Wrong> {
        let (choice, token, tls) = (config.serve.admin, token(config)?, Tls::of(config)?);
        match choice.address().filter(|address| !address.ip().is_loopback() && token.is_none()) {
            None => Ok(Self { choice, token, tls }),
            Some(open) => Err(Wrong::new(ADMIN, open)
                .because("others than this host could ask there, and no token is asked for")
                .remedy(format_args!(
                    "name a file with a token: {ADMIN_TOKEN_FILE}; or write 127.0.0.1:9464"
                ))),
        }
    }

    pub(super) fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    pub(super) fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// That others could hear the token, where they could.
    pub(crate) fn warning(&self) -> Option<String> {
        let open =
            self.choice.address().filter(|address| !address.ip().is_loopback() && self.tls.is_none())?;
        Some(format!(
            "at {open} whoever can listen on the way hears the token: name a certificate with {ADMIN_TLS_CERT_FILE}, or ask by a tunnel"
        ))
    }
}

impl fmt::Display for AdminSettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.choice.address() {
            None => out.write_str("no metrics and no health are served"),
            Some(address) => {
                let token = if self.token.is_some() { ", to whoever shows the token" } else { "" };
                let http = if self.tls.is_some() { "https" } else { "http" };
                write!(out, "{http}://{address}: metrics, health and a page{token}")
            }
        }
    }
}

/// The token; none where no file is named.
fn token(config: &Config) -> Result<Option<Token>, Wrong> {
    let path = &config.serve.admin_token_file;
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let bytes = stamp_key::read(ADMIN_TOKEN_FILE, path)?;
    if bytes.iter().all(u8::is_ascii_graphic) {
        return Ok(Some(Token::of(&bytes)));
    }
    Err(Wrong::new(ADMIN_TOKEN_FILE, path.display())
        .because("a header cannot carry what is in it")
        .remedy("write letters and digits into it, such as of: openssl rand -hex 32"))
}

/// Listens where the plan says. At the default address two servers of one host may meet: the second one says so and serves
/// without.
pub(crate) fn listen(plan: &mut Plan) -> Result<Option<TcpListener>, Wrong> {
    let Some(address) = plan.admin.choice.address() else { return Ok(None) };
    match (bind(address), plan.admin.choice) {
        (Ok(listener), _) => Ok(Some(listener)),
        (Err(cause), AdminChoice::Default) => {
            plan.warnings.push(format!(
                "no metrics and no health are served: {address}: {cause}; name another address with {ADMIN}, or off"
            ));
            Ok(None)
        }
        (Err(cause), _) => {
            let remedy = "name an address of this host with a port that is free, or off";
            Err(Wrong::new(ADMIN, address).because(cause).remedy(remedy))
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
