//! The language of filters: the part of pcap-filter(7) that lanes can answer.
//!
//! ```text
//!   filter     = term { ("and" | "&&" | "or" | "||") term }          from left to right, neither binds closer
//!   term       = ("not" | "!") term | "(" filter ")" | primitive
//!   primitive  = "arp" | "icmp" | "icmp6" | "ip" | "ip6" | "tcp" | "udp"
//!              | ["tcp" | "udp"] [end] "port" N
//!              | ["arp" | "ip" | "ip6"] [end] ("host" A | "net" A/LEN)
//!   end        = "src" | "dst"
//! ```
//!
//! What else that language has is refused by name and not guessed at. Two things are meant otherwise: addresses and ports are looked
//! for behind VLAN tags too, as lanes do, where libpcap wants the word `vlan` first; and over IPv6 only a protocol that follows the
//! first header is seen.

use std::net::IpAddr;

use lane::filter::{End, Expression, Filter, Test};
use route::{Family, Prefix};

use crate::error::Wrong;

/// The longest filter that is read: more than [`lane::filter::TESTS_MAX`] tests are refused anyway.
const LENGTH_MAX: usize = 8_192;

/// How deep parentheses and `not` may be nested, so that nobody's filter has the server's stack grow.
const DEPTH_MAX: usize = 32;

/// What there is.
const LANGUAGE: &str = "write arp, icmp, icmp6, ip, ip6, tcp, udp, [src|dst] port N, [src|dst] host A, [src|dst] net A/LEN, joined \
                        by and, or, not and parentheses";

const ICMP: u8 = wire::ipv4::ICMP;
const ICMPV6: u8 = wire::ipv6::ICMP;
const UDP: u8 = wire::ipv4::UDP;
const TCP: u8 = 6;

/// Why a text is no filter: the word at fault, what is wrong with it, and what helps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; {remedy}")]
pub(crate) struct FilterError {
    problem: String,
    remedy: String,
}

impl FilterError {
    fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: remedy.into() }
    }

    fn unknown(word: &str) -> Self {
        Self::new(format!("'{word}' is no word of filters here"), LANGUAGE)
    }

    /// The same as what is wrong with an option.
    pub(crate) fn of(self, option: &str, text: &str) -> Wrong {
        Wrong::new(option, text).because(self.problem).remedy(self.remedy)
    }
}

/// The program of a filter. Nothing but blanks takes every packet.
pub(crate) fn compile(text: &str) -> Result<Filter, FilterError> {
    let too_long =
        || FilterError::new("it is too long", "leave tests out, or take a prefix for many addresses");
    if text.len() > LENGTH_MAX {
        return Err(too_long());
    }
    Filter::new(&parse(text)?).map_err(|_| too_long())
}

/// What a text asks of packets.
fn parse(text: &str) -> Result<Expression, FilterError> {
    let mut words = Words { all: split(text), at: 0, depth: 0 };
    if words.all.is_empty() {
        return Ok(Expression::Anything);
    }
    let expression = words.filter()?;
    match words.take() {
        None => Ok(expression),
        Some(")") => {
            Err(FilterError::new("a parenthesis is closed that was not opened", "take it away, or open it"))
        }
        Some(word) if is_known(word) => Err(FilterError::new(
            format!("nothing joins '{word}' to what stands before it"),
            "write and, or or between them",
        )),
        Some(word) => Err(FilterError::unknown(word)),
    }
}

/// The words of a text. Parentheses and signs are words of their own, whatever stands beside them.
fn split(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for part in text.split_whitespace() {
        let mut rest = part;
        while !rest.is_empty() {
            let (word, left) = rest.split_at(word_len(rest));
            words.push(word);
            rest = left;
        }
    }
    words
}

fn word_len(rest: &str) -> usize {
    match rest.as_bytes() {
        [b'&', b'&', ..] | [b'|', b'|', ..] => 2,
        // One of the last two by itself is a word that nobody knows.
        [b'(' | b')' | b'!' | b'&' | b'|', ..] => 1,
        _ => rest.find(['(', ')', '!', '&', '|']).unwrap_or(rest.len()),
    }
}

/// Whether a word begins a term, or stands within one.
fn is_known(word: &str) -> bool {
    const KNOWN: [&str; 15] = [
        "arp", "icmp", "icmp6", "ip", "ip6", "tcp", "udp", "src", "dst", "port", "host", "net", "not", "!",
        "(",
    ];
    KNOWN.contains(&word)
}

/// The words that are left.
struct Words<'text> {
    all: Vec<&'text str>,
    at: usize,
    depth: usize,
}

/// What stands before the kind of a primitive.
#[derive(Clone, Copy)]
struct Qualified<'text> {
    protocol: Option<&'text str>,
    end: Option<End>,
}

impl<'text> Words<'text> {
    fn peek(&self) -> Option<&'text str> {
        self.all.get(self.at).copied()
    }

    fn take(&mut self) -> Option<&'text str> {
        let word = self.peek()?;
        self.at += 1;
        Some(word)
    }

    fn filter(&mut self) -> Result<Expression, FilterError> {
        let mut left = self.term()?;
        loop {
            let join = match self.peek() {
                Some("and" | "&&") => Expression::And,
                Some("or" | "||") => Expression::Or,
                _ => return Ok(left),
            };
            self.at += 1;
            left = join(Box::new(left), Box::new(self.term()?));
        }
    }

    fn term(&mut self) -> Result<Expression, FilterError> {
        match self.take() {
            Some("not" | "!") => self.deeper(|words| Ok(Expression::Not(Box::new(words.term()?)))),
            Some("(") => self.deeper(|words| {
                let inner = words.filter()?;
                match words.take() {
                    Some(")") => Ok(inner),
                    Some(word) if is_known(word) || word == ")" => Err(FilterError::new(
                        format!("nothing joins '{word}' to what stands before it"),
                        "write and or or",
                    )),
                    Some(word) => Err(FilterError::unknown(word)),
                    None => Err(FilterError::new("a parenthesis is not closed", "close it")),
                }
            }),
            Some(word) => self.primitive(word),
            None => Err(FilterError::new("it ends where a test belongs", LANGUAGE)),
        }
    }

    fn deeper(
        &mut self,
        of: impl FnOnce(&mut Self) -> Result<Expression, FilterError>,
    ) -> Result<Expression, FilterError> {
        if self.depth == DEPTH_MAX {
            let problem = format!("not and parentheses are nested more than {DEPTH_MAX} deep");
            return Err(FilterError::new(problem, "write it flatter"));
        }
        self.depth += 1;
        let expression = of(self);
        self.depth -= 1;
        expression
    }

    fn primitive(&mut self, word: &'text str) -> Result<Expression, FilterError> {
        let Some(protocol) = protocol(word) else {
            self.at -= 1;
            return self.qualified(None);
        };
        match self.peek() {
            Some("src" | "dst" | "port" | "host" | "net") => self.qualified(Some(word)),
            _ => Ok(protocol),
        }
    }

    fn qualified(&mut self, protocol: Option<&'text str>) -> Result<Expression, FilterError> {
        let end = match self.peek() {
            Some("src") => Some(End::Source),
            Some("dst") => Some(End::Destination),
            _ => None,
        };
        self.at += usize::from(end.is_some());
        let before = Qualified { protocol, end };
        match self.take() {
            Some("port") => before.port(self.value("port", "write a number from 0 to 65535")?),
            Some("host") => before.host(self.value("host", ADDRESS)?),
            Some("net") => before.net(self.value("net", PREFIX)?),
            Some(word) if end.is_some() => {
                Err(FilterError::new(format!("'{word}' stands where port, host or net belongs"), LANGUAGE))
            }
            Some(word) => Err(FilterError::unknown(word)),
            None => Err(FilterError::new("it ends where port, host or net belongs", LANGUAGE)),
        }
    }

    fn value(&mut self, kind: &str, remedy: &str) -> Result<&'text str, FilterError> {
        self.take().ok_or_else(|| FilterError::new(format!("{kind} has no value"), remedy))
    }
}

const ADDRESS: &str = "write an address such as 192.0.2.1 or 2001:db8::1; names are not looked up";
const PREFIX: &str = "write one such as 10.0.0.0/8 or 2001:db8::/32";

/// What the name of a protocol asks for by itself; nothing where it is none.
fn protocol(word: &str) -> Option<Expression> {
    let both = |family, number| and(is(family), is(Test::Protocol(number)));
    Some(match word {
        "arp" => is(Test::Arp),
        "ip" => is(Test::Ipv4),
        "ip6" => is(Test::Ipv6),
        "icmp" => both(Test::Ipv4, ICMP),
        "icmp6" => both(Test::Ipv6, ICMPV6),
        "udp" => is(Test::Protocol(UDP)),
        "tcp" => is(Test::Protocol(TCP)),
        _ => return None,
    })
}

impl Qualified<'_> {
    fn end(self) -> End {
        self.end.unwrap_or(End::Either)
    }

    fn port(self, value: &str) -> Result<Expression, FilterError> {
        let port = value.parse().map_err(|_| {
            let problem = format!("'{value}' is no port");
            FilterError::new(problem, "write a number from 0 to 65535; names are not looked up")
        })?;
        self.within(&["tcp", "udp"], "port", is(Test::Port(self.end(), port)))
    }

    fn host(self, value: &str) -> Result<Expression, FilterError> {
        let address: IpAddr =
            value.parse().map_err(|_| FilterError::new(format!("'{value}' is no address"), ADDRESS))?;
        self.prefix("host", value, Prefix::from(address))
    }

    fn net(self, value: &str) -> Result<Expression, FilterError> {
        let prefix =
            value.parse().map_err(|error| FilterError::new(format!("'{value}': {error}"), PREFIX))?;
        self.prefix("net", value, prefix)
    }

    fn prefix(self, kind: &str, value: &str, prefix: Prefix) -> Result<Expression, FilterError> {
        let family = match self.protocol {
            Some("arp" | "ip") => Family::V4,
            Some("ip6") => Family::V6,
            _ => prefix.family(),
        };
        if family != prefix.family() {
            let protocol = self.protocol.unwrap_or_default();
            let problem = format!("'{value}' is of the other family than {protocol}");
            return Err(FilterError::new(problem, format!("leave {protocol} out, or write another address")));
        }
        self.within(&["arp", "ip", "ip6"], kind, is(Test::Net(self.end(), prefix)))
    }

    /// A test, within a protocol where one was named that has such a thing.
    fn within(self, having: &[&str], kind: &str, test: Expression) -> Result<Expression, FilterError> {
        match self.protocol {
            None => Ok(test),
            Some(word) if having.contains(&word) => {
                Ok(protocol(word).map_or(test.clone(), |protocol| and(protocol, test)))
            }
            Some(word) => Err(FilterError::new(
                format!("'{word}' has no {kind}"),
                format!("write {word} and {kind}, or {kind} behind one of {}", having.join(", ")),
            )),
        }
    }
}

fn is(test: Test) -> Expression {
    Expression::Is(test)
}

fn and(left: Expression, right: Expression) -> Expression {
    Expression::And(Box::new(left), Box::new(right))
}

#[cfg(test)]
mod tests;
