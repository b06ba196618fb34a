//! The card whose frames say when they came: by the clock that the test sets.

use super::Card;
use crate::queue::{Arrival, Burst, Frame, Queue};

/// A [`Card`] whose frames bear the time of [`Card::set_time`] at which they were injected.
#[derive(Debug)]
pub struct Stamped(pub Card);

impl Queue for Stamped {
    const HAS_ARRIVALS: bool = true;

    fn rx(&mut self) -> Burst {
        self.0.rx()
    }

    fn next(&mut self, burst: &mut Burst) -> Option<Frame> {
        self.0.next(burst)
    }

    fn arrival(&mut self, frame: &Frame) -> Option<Arrival> {
        self.0.arrival_of(frame)
    }

    fn room_mut(&mut self, frame: &Frame) -> &mut [u8] {
        self.0.room_mut(frame)
    }

    fn tx(&mut self, frame: Frame) -> Result<(), Frame> {
        self.0.tx(frame)
    }

    fn pass(&mut self, frame: Frame) -> Result<(), Frame> {
        self.0.pass(frame)
    }

    fn release(&mut self, frame: Frame) {
        self.0.release(frame);
    }

    fn free_frame(&mut self) -> Option<Frame> {
        self.0.free_frame()
    }

    fn flush(&mut self) {
        self.0.flush();
    }
}
