//! The idle states (C-states) that a lane's core may sink into.
//!
//! A lane that spins never idles. One that waits for its interrupt does, and so does the core that takes the interrupt. The
//! latency that the kernel may wake up with is limited for as long as a program holds `/dev/cpu_dma_latency` open: what is
//! read from it is the tightest wish of all programs (`Documentation/power/pm_qos_interface.rst`). The doctor ends, so it
//! switches the states off instead, core by core.

use super::{Change, Finding, Machine, Requirement, Unread, list};

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "c-states",
    why: "A core that sleeps deeply takes tens to hundreds of microseconds to wake up, which the first packet after each \
          pause pays.",
    check,
};

/// What waking up may take, in microseconds: the halt that every processor has takes 1 or 2.
const LATENCY_MAX_US: i64 = 2;

/// From here on it is longer than any answer takes by itself.
const LATENCY_BAD_US: i64 = 20;

/// One idle state of one core.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    core: usize,
    directory: String,
    name: String,
    latency_us: i64,
    is_enabled: bool,
}

/// Tells what all programs together allow waking up to take, in microseconds.
const LIMIT: &str = "/dev/cpu_dma_latency";

fn check(machine: &Machine) -> Finding {
    match gather(machine) {
        Ok(states) if states.is_empty() => {
            Finding::not_applicable("the lanes' cores have no idle states that the kernel chooses from")
        }
        states => Finding::or_unread(states.map(|states| judge(&states, limit_us(machine)))),
    }
}

/// The wish that some program holds; none where this process may not ask, which is as if there were none.
fn limit_us(machine: &Machine) -> i64 {
    machine.tree.raw_number(LIMIT).map_or(i64::MAX, i64::from)
}

fn gather(machine: &Machine) -> Result<Vec<State>, Unread> {
    let mut states = Vec::new();
    for &core in &machine.lanes {
        let parent = format!("/sys/devices/system/cpu/cpu{core}/cpuidle");
        for state in machine.tree.names(&parent) {
            let directory = format!("{parent}/{state}");
            states.push(State {
                core,
                name: machine.tree.word(&format!("{directory}/name"))?,
                latency_us: machine.tree.number(&format!("{directory}/latency"))?,
                is_enabled: machine.tree.number(&format!("{directory}/disable"))? == 0,
                directory,
            });
        }
    }
    Ok(states)
}

fn judge(states: &[State], limit_us: i64) -> Finding {
    let usable = |state: &&State| state.is_enabled && state.latency_us <= limit_us;
    let deep: Vec<_> =
        states.iter().filter(usable).filter(|state| state.latency_us > LATENCY_MAX_US).collect();
    let Some(deepest) = deep.iter().rev().max_by_key(|state| state.latency_us) else {
        let names = list(states.iter().filter(usable).map(|state| state.name.as_str()));
        return Finding::good(format_args!("the lanes' cores sink no deeper than {names}"));
    };
    let found =
        format!("core {} may sink into {} ({} µs to wake)", deepest.core, deepest.name, deepest.latency_us);
    let is_bad = deepest.latency_us >= LATENCY_BAD_US;
    let finding = if is_bad { Finding::bad(found) } else { Finding::could_be_better(found) };
    finding
        .remedy(format_args!(
            "cpupower --cpu {} idle-set --disable-by-latency {LATENCY_MAX_US}",
            deepest.core
        ))
        .changes(deep.iter().map(|state| Change::file(format!("{}/disable", state.directory), 1)))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    fn state(latency_us: i64, is_enabled: bool) -> State {
        State { core: 3, directory: format!("state{latency_us}"), name: "C".into(), latency_us, is_enabled }
    }

    #[test]
    fn only_enabled_states_beyond_the_limit_count_and_each_of_them_is_switched_off() {
        let status = |states: &[State]| judge(states, i64::MAX).status;
        assert_eq!(status(&[state(0, true), state(2, true), state(170, false)]), Status::Good);
        assert_eq!(status(&[state(3, true)]), Status::CouldBeBetter);
        assert_eq!(status(&[state(19, true)]), Status::CouldBeBetter);
        assert_eq!(status(&[state(20, true)]), Status::Bad);
        let finding =
            judge(&[state(2, true), state(10, true), state(170, true), state(300, false)], i64::MAX);
        let files: Vec<_> = finding.changes.iter().map(|change| change.setting.to_string()).collect();
        assert_eq!(files, ["state10/disable", "state170/disable"]);
        assert_eq!(
            judge(&[state(2, true), state(170, true)], 100).status,
            Status::Good,
            "some program forbids it"
        );
    }
}
