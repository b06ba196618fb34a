//! What the probe's own path costs on this machine, measured by null paths before the first question.

use probe::own_error::Bias;
use probe::own_error::null_path::null_ask;
use probe::socket::{Socket, Wait};
use probe::transport::Stamps;
use probe::{Ask, Clock, ProbeError, TransportError};

use super::settings::Means;

/// The bias of questions like those of `ask`. Over sockets also by the kernel's loopback; where the host has none, as in a
/// network namespace whose `lo` is down, or a firewall on it, that figure is absent.
pub(super) fn measure(ask: &Ask, means: &Means, clock: &impl Clock) -> Result<Bias, ProbeError> {
    let bias = Bias::in_memory(ask, clock)?;
    let &Means::Socket { spins, stamps } = means else { return Ok(bias) };
    let Ok(mut itself) = to_itself(ask, if spins { Wait::Spin } else { Wait::Block }, stamps) else {
        return Ok(bias);
    };
    Ok(bias.with_loopback(ask, &mut itself, clock).unwrap_or(bias))
}

fn to_itself(ask: &Ask, wait: Wait, stamps: Stamps) -> Result<Socket, TransportError> {
    let socket = Socket::to_itself(&null_ask(ask), wait)?;
    match stamps {
        Stamps::User => Ok(socket),
        Stamps::Kernel => socket.stamped_by_kernel(),
    }
}
