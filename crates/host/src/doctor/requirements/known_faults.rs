//! Kernels and drivers with faults that AF_XDP meets.

use super::{Finding, Machine, Requirement, Unread};

pub(super) const REQUIREMENT: Requirement = Requirement {
    name: "known-faults",
    why: "Some kernels lose AF_XDP's packets, send none, or take the card down with them: better known before than found out.",
    check,
};

/// The kernel below which Barelane's system calls are missing.
const OLDEST: (u32, u32) = (5, 10);

/// A fault, and where it is.
struct Fault {
    /// The first kernel that has it not any more.
    mended_in: (u32, u32),
    /// The driver that has it; nothing where it is the kernel's own.
    driver: Option<&'static str>,
    what: &'static str,
}

const FAULTS: [Fault; 2] = [
    Fault {
        mended_in: (5, 18),
        driver: None,
        what: "copy mode with busy polling (--wake busy-poll) sends nothing (\"xsk: Fix l2fwd for copy mode + busy poll combo\")",
    },
    Fault {
        mended_in: (6, 11),
        driver: Some("ice"),
        what: "taking a zero-copy socket down under load can hang the card (\"ice: reorder disabling IRQ and NAPI in ice_qp_dis\")",
    },
];

fn check(machine: &Machine) -> Finding {
    let driver = machine.card.as_ref().and_then(|card| card.driver.as_deref());
    Finding::or_unread(gather(machine).map(|(release, version)| judge(&release, version, driver)))
}

/// The release as it is written, and its first two numbers.
fn gather(machine: &Machine) -> Result<(String, (u32, u32)), Unread> {
    let path = "/proc/sys/kernel/osrelease";
    let release = machine.tree.word(path)?;
    let version = version_of(&release).ok_or_else(|| Unread::odd(path, &release))?;
    Ok((release, version))
}

fn version_of(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// A distribution may have mended its kernel without giving it another number.
fn judge(release: &str, version: (u32, u32), driver: Option<&str>) -> Finding {
    if version < OLDEST {
        return Finding::bad(format_args!("kernel {release}"))
            .remedy("Linux 5.10 or newer: this one lacks what serve needs");
    }
    let is_here =
        |fault: &&Fault| version < fault.mended_in && (fault.driver.is_none() || fault.driver == driver);
    let faults: Vec<_> = FAULTS.iter().filter(is_here).collect();
    let Some(newest) = faults.iter().map(|fault| fault.mended_in).max() else {
        return Finding::good(format_args!(
            "kernel {release}: none of the {} that the doctor knows of",
            FAULTS.len()
        ));
    };
    let whats: Vec<_> = faults.iter().map(|fault| fault.what).collect();
    Finding::could_be_better(format_args!("kernel {release}: {}", whats.join("; "))).remedy(format_args!(
        "Linux {}.{} or newer, or a distribution's kernel with the fix",
        newest.0, newest.1
    ))
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn releases_of_distributions_are_read() {
        for (release, version) in [
            ("6.18.44-fc-v657", Some((6, 18))),
            ("5.14.0-427.13.1.el9_4.x86_64", Some((5, 14))),
            ("6.8", Some((6, 8))),
            ("six", None),
        ] {
            assert_eq!(version_of(release), version, "{release}");
        }
    }

    #[test]
    fn a_fault_ends_with_the_kernel_that_mended_it_and_is_its_drivers_alone() {
        let status = |version, driver| judge("x", version, driver).status;
        assert_eq!(status((5, 9), None), Status::Bad);
        assert_eq!(status((5, 17), None), Status::CouldBeBetter);
        assert_eq!(status((5, 18), None), Status::Good);
        assert_eq!(status((6, 10), Some("ice")), Status::CouldBeBetter);
        assert_eq!(status((6, 10), Some("mlx5_core")), Status::Good);
        assert_eq!(status((6, 11), Some("ice")), Status::Good);
    }
}
