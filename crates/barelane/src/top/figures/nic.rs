//! What a card counts itself: of which frames were lost before anything of Barelane saw them.

use host::ethtool::queue_of;
use serde::Serialize;

use crate::side_channel::{Area, Form, Snapshot, is_loss};

/// A card's own counts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Nic {
    /// When it was asked, since 1970.
    pub read_unix_ns: u64,
    /// What the kernel counts of every interface.
    pub link: Vec<NicCount>,
    /// What its driver counts, by its own names.
    pub driver: Vec<NicCount>,
    /// How many more its driver has.
    pub left_out: u64,
}

/// One number.
#[derive(Clone, Debug, Default, Serialize)]
pub struct NicCount {
    /// The kernel's or the driver's name.
    pub name: String,
    /// The queue that it is of, where its name says so.
    pub queue: Option<u32>,
    /// Since the card came to be.
    pub count: u64,
    /// Since the server started, or since the interface came back.
    pub since_start: u64,
    /// Between the two looks.
    pub per_second: f64,
    /// Whether its name says that frames were lost.
    pub is_loss: bool,
}

/// One kind of area at two looks, and at the start.
struct Looks<'a> {
    before: Option<&'a Area>,
    now: &'a Area,
    at_start: Option<&'a Area>,
    /// Between the two looks at the card.
    over_ns: u64,
}

impl Nic {
    /// What was counted between two looks at the same segment; nothing where the server has no card.
    pub(super) fn between(before: &Snapshot, now: &Snapshot) -> Option<Self> {
        let read = |snapshot, kind| first(snapshot, kind).and_then(|link| link.number("read")).unwrap_or(0);
        // An interface that came back between the two looks has counted since it did.
        let is_same = read(before, "link_at_start") == read(now, "link_at_start");
        let began = if is_same { read(before, "link") } else { read(now, "link_at_start") };
        let over_ns = read(now, "link").saturating_sub(began);
        let looks = |kind, at_start| {
            let at_start = first(now, at_start);
            let before = if is_same { first(before, kind) } else { at_start };
            Some(Looks { before, now: first(now, kind)?, at_start, over_ns })
        };
        let link = looks("link", "link_at_start")?;
        Some(Self {
            read_unix_ns: read(now, "link"),
            left_out: link.now.number("statistics_left_out").unwrap_or(0),
            link: link.counts(),
            driver: looks("nic", "nic_at_start").map(|nic| nic.counts()).unwrap_or_default(),
        })
    }
}

impl Looks<'_> {
    fn counts(&self) -> Vec<NicCount> {
        let fields = self.now.fields.iter().filter(|field| field.form == Form::Count);
        fields.map(|field| self.count(&field.name)).collect()
    }

    fn count(&self, name: &str) -> NicCount {
        let of = |area: Option<&Area>| area.and_then(|area| area.number(name)).unwrap_or(0);
        let count = of(Some(self.now));
        NicCount {
            name: name.to_owned(),
            queue: queue_of(name),
            count,
            // A card that was set up anew begins from 0.
            since_start: count.checked_sub(of(self.at_start)).unwrap_or(count),
            per_second: super::between::per_second(count.saturating_sub(of(self.before)), self.over_ns),
            is_loss: is_loss(name),
        }
    }
}

fn first<'a>(snapshot: &'a Snapshot, kind: &str) -> Option<&'a Area> {
    snapshot.areas.iter().find(|area| area.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::side_channel::tests::{back_at, memif_areas, snapshot, wanted};

    #[test]
    fn a_cards_counts_are_told_since_the_start_and_a_second_by_the_times_at_which_it_was_asked() {
        let card = Nic::between(&snapshot(wanted(10), 0), &snapshot(wanted(510), 1)).unwrap();
        assert_eq!((card.read_unix_ns, card.left_out), (510_000_000, 3));
        let count = |counts: &[NicCount], name: &str| {
            let found = counts.iter().find(|count| count.name == name).unwrap();
            (found.count, found.since_start, found.per_second.to_bits(), found.queue, found.is_loss)
        };
        let rate = 1_000.0_f64.to_bits();
        assert_eq!(count(&card.link, "rx_missed_errors"), (510, 506, rate, None, true));
        assert_eq!(count(&card.link, "rx_packets"), (510, 506, rate, None, false));
        assert_eq!(count(&card.driver, "rx_queue_0_drops"), (510, 506, rate, Some(0), true));
        assert_eq!(count(&card.driver, "peer_ifindex"), (7, 0, 0, None, false));
        assert!(Nic::between(&snapshot(memif_areas(1), 0), &snapshot(memif_areas(2), 1)).is_none());
    }

    #[test]
    fn a_card_that_began_anew_has_counted_what_it_says() {
        let card = Nic::between(&snapshot(wanted(2), 0), &snapshot(wanted(3), 1)).unwrap();
        assert_eq!(card.driver[1].since_start, 3);
    }

    #[test]
    fn an_interface_that_came_back_between_two_looks_has_counted_since_then() {
        let back = |count| snapshot(back_at(wanted(count), 1_000_000), 1);
        let missed = |card: Nic| {
            let found = card.link.into_iter().find(|count| count.name == "rx_missed_errors").unwrap();
            (found.count, found.since_start, found.per_second.to_bits())
        };
        // 500 within half a second, and not a million.
        let card = Nic::between(&snapshot(wanted(10), 0), &back(1_000_500)).unwrap();
        assert_eq!(missed(card), (1_000_500, 500, 1_000.0_f64.to_bits()));
        let card = Nic::between(&back(1_000_000), &back(1_000_250)).unwrap();
        assert_eq!(missed(card), (1_000_250, 250, 1_000.0_f64.to_bits()));
        let card = Nic::between(&snapshot(wanted(10), 0), &back(1_000_000)).unwrap();
        assert_eq!(missed(card), (1_000_000, 0, 0));
    }
}
