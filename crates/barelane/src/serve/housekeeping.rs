//! Where the thread that looks after the lanes runs, and those that it starts.

use host::HostError;
use host::cores;

use crate::Plan;
use crate::events::News;

/// The calling thread, on its core: that of the plan, or wherever the kernel puts it where the lanes have every one.
#[derive(Debug)]
pub(super) struct Housekeeping {
    core: Option<usize>,
    /// Where it was before.
    before: Vec<usize>,
}

impl Housekeeping {
    /// Binds the calling thread to the plan's core for housekeeping. A server that answers is worth more than one that is in
    /// order, so where that cannot be, it is said.
    pub(super) fn begin(plan: &Plan) -> Self {
        let core = plan.placement.housekeeping.as_ref().map(|seat| seat.core);
        let this = Self { core, before: cores::allowed().unwrap_or_default() };
        this.bound().unwrap_or_else(|error| News::warning(error).tell());
        this
    }

    /// Does something with the cores that this process began with: what is planned is planned for all of them.
    pub(super) fn elsewhere<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.core.is_none() {
            return work();
        }
        cores::bind(&self.before).unwrap_or_else(|error| News::warning(error).tell());
        let done = work();
        self.bound().unwrap_or_else(|error| News::warning(error).tell());
        done
    }

    fn bound(&self) -> Result<(), HostError> {
        self.core.map_or(Ok(()), |core| cores::bind(&[core]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_elsewhere_has_all_cores_and_housekeeping_its_own_again_behind_it() {
        let before = cores::allowed().unwrap();
        let core = *before.last().unwrap();
        let housekeeping = Housekeeping { core: Some(core), before: before.clone() };
        housekeeping.bound().unwrap();
        assert_eq!(cores::allowed().unwrap(), [core]);
        assert_eq!(housekeeping.elsewhere(|| cores::allowed().unwrap()), before);
        assert_eq!(cores::allowed().unwrap(), [core]);
    }
}
