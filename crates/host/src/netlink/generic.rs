//! Generic netlink: families that are known by name, whose numbers the kernel gives out at run time.

use std::fmt::Debug;
use std::marker::PhantomData;

use netlink_packet_core::{DecodeError, DefaultNla, Emitable, ParseableParametrized};
use netlink_packet_generic::ctrl::nlas::GenlCtrlAttrs;
use netlink_packet_generic::ctrl::{GenlCtrl, GenlCtrlCmd};
use netlink_packet_generic::{GenlFamily, GenlHeader, GenlMessage};
use netlink_sys::protocols;

use super::{Ask, Connection, attributes_of, not_understood};
use crate::HostError;

/// A family of messages.
pub(crate) trait Family: Debug {
    /// The name that the kernel registers it under.
    const NAME: &'static str;
}

/// One message of a family: what it asks, and its attributes unread.
#[derive(Debug)]
struct Message<F> {
    command: u8,
    attributes: Vec<DefaultNla>,
    family: PhantomData<F>,
}

/// Asks a family, and gives the attributes of every answer.
pub(crate) fn ask<F: Family>(
    command: u8,
    attributes: Vec<DefaultNla>,
    ask: Ask,
    asked: &str,
) -> Result<Vec<Vec<DefaultNla>>, HostError> {
    let mut connection = Connection::open(protocols::NETLINK_GENERIC)?;
    let number = number_of::<F>(&mut connection, asked)?;
    let mut message = GenlMessage::from_payload(Message::<F> { command, attributes, family: PhantomData });
    message.set_resolved_family_id(number);
    let answers = connection.ask(message, ask, asked)?;
    Ok(answers.into_iter().map(|answer| answer.payload.attributes).collect())
}

/// The number that the kernel gave to a family.
fn number_of<F: Family>(connection: &mut Connection, asked: &str) -> Result<u16, HostError> {
    let nlas = vec![GenlCtrlAttrs::FamilyName(F::NAME.to_owned())];
    let question = GenlMessage::from_payload(GenlCtrl { cmd: GenlCtrlCmd::GetFamily, nlas });
    let answers = connection.ask(question, Ask::One(0), asked)?;
    let number =
        answers.iter().flat_map(|answer| &answer.payload.nlas).find_map(|attribute| match attribute {
            GenlCtrlAttrs::FamilyId(number) => Some(*number),
            _ => None,
        });
    number.ok_or_else(|| not_understood(asked, format!("the family `{}` has no number", F::NAME)))
}

impl<F: Family> GenlFamily for Message<F> {
    fn family_name() -> &'static str {
        F::NAME
    }

    fn command(&self) -> u8 {
        self.command
    }

    fn version(&self) -> u8 {
        1
    }
}

impl<F> Emitable for Message<F> {
    fn buffer_len(&self) -> usize {
        self.attributes.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.attributes.as_slice().emit(buffer);
    }
}

impl<F> ParseableParametrized<[u8], GenlHeader> for Message<F> {
    fn parse_with_param(bytes: &[u8], header: GenlHeader) -> Result<Self, DecodeError> {
        Ok(Self { command: header.cmd, attributes: attributes_of(bytes), family: PhantomData })
    }
}
